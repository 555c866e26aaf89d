"""Wakes when a name appears in a directory, or leaves it: for who waits for a file that somebody else makes."""

from __future__ import annotations

import errno
import os

from inotify_simple import INotify, flags

from orchestrator.monitor import kernel as kernel  # sets up the library's door to the C library

_ASKED = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ATTRIB | flags.ONLYDIR
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


class Names:
    """Watches directories by path. One that is not there yet: the nearest one above it, until it is."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._inotify = INotify(nonblocking=True)

    def fileno(self) -> int:
        """Readable when names have changed."""
        return int(self._inotify.fileno())

    def watch(self, directory: str) -> None:
        """Watch it from now on. Asked again for a directory that is watched, this does nothing. Raises OSError."""
        place = os.path.abspath(directory)
        while True:
            try:
                self._inotify.add_watch(place, _ASKED)
            except OSError as error:
                if error.errno not in _ABSENT or place == "/":
                    raise
                place = os.path.dirname(place)
            else:
                return

    def read(self) -> None:
        """Forget what has changed so far: `fileno()` is quiet until the next change."""
        self._inotify.read(timeout=0)

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()
