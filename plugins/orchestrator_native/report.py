"""The trouble of one run, and the exit code that it makes (rsync's numbers, rsync(1))."""

from __future__ import annotations

import errno
import os
import threading

OK = 0
FILE_IO = 11
STOPPED = 20
PARTIAL = 23
CUT = 25

AGAIN = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""These concern the file system or the machine, not one path: the whole run is tried again."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""These concern one path, as long as there is room for anything else."""

SHOWN = 20


class Vanished(Exception):
    """The source is gone or has become something else meanwhile. No error: its event comes."""


class Stopped(Exception):
    """The run shall end."""


class TooMuch(Stopped):
    """More would be deleted than may be: the source is not what it was when that was counted."""


class RunReport:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self.is_of_other_source = False
        """Nothing was done: the source is not the one that the last full run found."""
        self.lacks_room = False
        """Something did not fit on the target."""
        self.deferred: dict[str, None] = {}
        """Paths that are to be asked for once more, soon: see newer.py."""
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._notes: dict[str, None] = {}
        self._paths: dict[str, None] = {}
        self._count = 0
        self._code = OK

    def trouble(self, what: str, path: str, error: OSError) -> None:
        """Something could not be done on `path`; the rest goes on."""
        reason = os.strerror(error.errno) if error.errno else str(error)
        with self._lock:
            self._count += 1
            self._paths[path] = None
            self.lacks_room |= error.errno in NO_ROOM
            self._code = FILE_IO if error.errno in AGAIN or self._code == FILE_IO else PARTIAL
            if len(self._lines) < SHOWN:
                self._lines.append(f'cannot {what} "/{path}": {reason}')

    def note(self, line: str) -> None:
        """Worth a line in the log, but no failure."""
        with self._lock:
            self._notes[line] = None

    def end(self, code: int) -> None:
        with self._lock:
            self._code = code

    @property
    def exit_code(self) -> int:
        return self._code

    def paths(self) -> list[str]:
        """The paths that there was trouble with."""
        with self._lock:
            return list(self._paths)

    def lines(self) -> list[str]:
        with self._lock:
            more = self._count - len(self._lines)
            return [*self._notes, *self._lines, *([f"and {more} more like these"] if more else [])]
