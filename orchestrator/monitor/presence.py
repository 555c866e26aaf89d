"""Whether a file is still there: the kernel reports when it is deleted, moved away or replaced."""

from __future__ import annotations

import os

from inotify_simple import INotify, flags

_GONE = flags.MOVE_SELF | flags.DELETE_SELF | flags.ATTRIB
"""ATTRIB: its name is gone though somebody still has it open (its link count has changed)."""


class Presence:
    """Of one file at a time. Raises OSError where the kernel has no more to give (instances, descriptors)."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._wd = -1
        self._path = b""
        self._file: os.stat_result | None = None

    def fileno(self) -> int:
        """To be waited for: when it can be read, `has_gone` is to be asked."""
        fd: int = self._inotify.fileno()
        return fd

    def watch(self, path: bytes, file: os.stat_result) -> bool:
        """Watches `file`, which was put at `path`, instead of the one before. False: it is not there by now.

        If there are no more watches, no later change is seen.
        """
        try:
            self._inotify.rm_watch(self._wd)
        except OSError:
            pass  # it went with its file
        self._path = path
        self._file = file
        try:
            self._wd = self._inotify.add_watch(path, _GONE)
        except OSError as error:
            self._wd = -1
            return not isinstance(error, FileNotFoundError)
        # what we did ourselves, putting it there, and perhaps that somebody has put another one there since
        return not self.has_gone()

    def has_gone(self) -> bool:
        """Whether another file, or none, has its name."""
        self._inotify.read(timeout=0)
        if self._file is None:
            return False
        try:
            return not os.path.samestat(os.stat(self._path), self._file)
        except OSError:
            return True

    def close(self) -> None:
        self._inotify.close()
