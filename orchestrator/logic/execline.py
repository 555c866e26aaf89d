"""A command as `-log Exec` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.secrets import MASK, is_secret_input, mask_words

if TYPE_CHECKING:
    from collections.abc import Sequence


def exec_line(argv: Sequence[bytes], stdin: bytes | None) -> bytes:
    """The words of a command, each in brackets (spec 5.2), without passwords."""
    argv = mask_words(argv)
    words = [*argv[:1]]
    if stdin is not None:
        words += [b"[<]", b"[%s]" % (MASK.encode() if is_secret_input(argv) else stdin)]
    words += [b"[%s]" % argument for argument in argv[1:]]
    return b" ".join(words).replace(b"\0", b"\n")
