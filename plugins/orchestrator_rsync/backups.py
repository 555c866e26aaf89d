"""Where `backup` puts things: dates in `backup_dir` and `suffix`, and what keeps full runs from deleting it. Pure.

rsync moves what it deletes into the backup directory. If that lies inside of the target it is not in the source,
so a full run would move it into itself, deeper each time; with a date in the suffix, yesterday's backups would
become today's. Rules that protect them (rsync(1), "P") stand before all others.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Final

from orchestrator_rsync.filterlist import escape, escape_always
from orchestrator_rsync.words import options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator_rsync.arguments import Argument

_DIGITS: Final = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3, "V": 2, "u": 1}
"""Letters after a `%`, as strftime(3) has them, and how many digits each makes. Others stay as they are."""

_CODE: Final = re.compile(rf"%([{''.join(_DIGITS)}%])")
_DATED: Final = ("--backup-dir=", "--suffix=")


def dated(argv: Sequence[Argument], now: float) -> list[Argument]:
    """The arguments of a run with its own date in them. `now`: seconds since 1970; the date is a local one."""
    return [
        _CODE.sub(lambda code: time.strftime(code[0], time.localtime(now)), word)
        if isinstance(word, str) and word.startswith(_DATED)
        else word
        for word in argv
    ]


def protecting(words: Sequence[str], target: bytes | None) -> list[bytes]:
    """The rules as arguments; none where there is nothing to protect.

    `words`: what `rsync` of the config makes of itself. `target`: its path on whichever machine, None: not known.
    """
    found = {word.name: word.value or "" for word in options_of(words)}
    if "backup" not in found:
        return []
    if directory := found.get("backup-dir"):
        inside = _inside(os.fsencode(directory), target)
        return [] if inside is None else [b"--filter=P /" + _pattern(os.fsdecode(inside)) + b"/"]
    suffix = found.get("suffix", "")
    # rsync itself protects what has the suffix of this run
    return [b"--filter=P *" + _pattern(suffix)] if _CODE.search(suffix.replace("%%", "")) else []


def _inside(directory: bytes, target: bytes | None) -> bytes | None:
    """The directory relative to the target; None where it is not inside of it."""
    if not directory.startswith(b"/"):
        relative = os.path.normpath(directory)
    elif target is None:
        return None
    else:
        relative = os.path.relpath(os.path.normpath(directory), os.path.normpath(target))
    return None if relative in (b".", b"..") or relative.startswith(b"../") else relative


def _pattern(text: str) -> bytes:
    """What matches this text on any day."""
    if not _CODE.search(text):
        return escape(os.fsencode(text))
    pattern = b""
    for place, part in enumerate(_CODE.split(text)):
        pattern += (
            escape_always(os.fsencode(part)) if place % 2 == 0 else b"%" if part == "%" else b"[0-9]" * _DIGITS[part]
        )
    return pattern
