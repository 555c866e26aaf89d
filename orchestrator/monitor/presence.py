"""Whether a file is still there: told by the kernel when it is deleted, moved away or replaced. Nothing is polled."""

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
        self._identity: tuple[int, int] | None = None

    def fileno(self) -> int:
        """To be waited for: when it can be read, `has_gone` is to be asked."""
        fd: int = self._inotify.fileno()
        return fd

    def watch(self, path: bytes) -> None:
        """Look after the file that is there now, in the place of the one before. Without a watch nothing is told."""
        try:
            self._inotify.rm_watch(self._wd)
        except OSError:
            pass  # it went with its file
        self._path = path
        self._identity = _identity(path)
        try:
            self._wd = self._inotify.add_watch(path, _GONE)
        except OSError:
            self._wd = -1
        self._inotify.read(timeout=0)  # what we did ourselves, putting it there

    def has_gone(self) -> bool:
        """Whether another file, or none, has its name."""
        self._inotify.read(timeout=0)
        return self._identity is not None and _identity(self._path) != self._identity

    def close(self) -> None:
        self._inotify.close()


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
