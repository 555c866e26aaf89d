"""A program of the user's that compares source and target (`verifyCommand`, spec 4.5).

It ends with 0 where they are equal, with 1 where they are not, with anything else where it could not tell. Each line of
its output is a difference, `KIND PATH`, PATH relative to the source, a directory's with a slash at its end; a line
without a kind is a path whose content differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import ATTRIBUTES, CONTENT, EXTRA, MISSING, TYPE, Compared, Difference, to_text

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.api import Inlet

_KINDS = {kind.encode(): kind for kind in (ATTRIBUTES, CONTENT, EXTRA, MISSING, TYPE)}
_EQUAL, _DIFFERENT = 0, 1

SHOWN = 300
"""Bytes of its stderr in an error."""


class Comparison:
    """For a job's thread. `paths`: None for all of them."""

    def __init__(self, inlet: Inlet, argv: Sequence[bytes], paths: Sequence[bytes] | None) -> None:
        self._inlet = inlet
        self._argv = argv
        self._wanted = None if paths is None else frozenset(paths)

    def __call__(self, stop: threading.Event, found: Callable[[Difference], None]) -> Compared:
        has_any = False

        def read(line: bytes) -> None:
            nonlocal has_any
            difference = _difference(line)
            if difference is None:
                return
            has_any = True
            if self._wanted is None or difference.path in self._wanted:
                found(difference)

        try:
            code, stderr = self._inlet.read_program(self._argv, b"", None, stop, read)
        except (OSError, ValueError) as error:
            return Compared(error=f"{to_text(self._argv[0])}: {getattr(error, 'strerror', None) or error}")
        if code == _DIFFERENT and not has_any:
            found(Difference(b"/", CONTENT))
        if code in (_EQUAL, _DIFFERENT):
            return Compared()
        said = stderr.strip()[-SHOWN:].decode("utf-8", "backslashreplace")
        return Compared(error=f"the verifyCommand ended with {code}{': ' + said if said else ''}")


def _difference(line: bytes) -> Difference | None:
    word, has_kind, path = line.partition(b" ")
    kind = _KINDS.get(word) if has_kind else None
    if kind is None:
        kind, path = CONTENT, line
    return Difference(b"/" + path.lstrip(b"/"), kind) if path else None
