"""From a directory's file handle to its path, by asking the kernel. One `Handles` for each mount.

The same file system may be mounted at several places. A path is seen from one mount: what lies outside of it, or
beneath something mounted over it, has none there.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from orchestrator_fanotify.calls import open_handle

if TYPE_CHECKING:
    from collections.abc import Callable

_DELETED = b" (deleted)"


class Handles:
    """Asks about directories through a mount that is held open no longer than needed, lest it can't be unmounted."""

    def __init__(self, point: bytes, is_below_source: Callable[[bytes], bool]) -> None:
        """`point`: a directory on the mount."""
        self._point = point
        self._is_below_source = is_below_source
        self._mount = -1

    def look(self, handle: bytes) -> bytes | None:
        """Where that directory is now, with a slash at the end; None if it is gone or cannot be seen from here."""
        try:
            directory = self._open(handle)
        except OSError:
            return None
        try:
            return self._path(directory)
        except OSError:
            return None
        finally:
            os.close(directory)

    def is_named(self, handle: bytes) -> bool:
        """Whether a file has any name left."""
        try:
            file = self._open(handle)
        except OSError:
            return False
        try:
            return os.fstat(file).st_nlink > 0
        finally:
            os.close(file)

    def close(self) -> None:
        """Lets go of the mount until it is needed again."""
        if self._mount >= 0:
            os.close(self._mount)
            self._mount = -1

    def _open(self, handle: bytes) -> int:
        if self._mount < 0:
            self._mount = os.open(self._point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return open_handle(self._mount, handle)

    def _path(self, directory: int) -> bytes | None:
        path = _path_of(directory)
        if path.endswith(_DELETED) and not os.fstat(directory).st_nlink:
            return None
        path = path.rstrip(b"/") + b"/"
        # Through a mount of a part of the file system, the kernel names what lies outside by a path that leads nowhere
        # or elsewhere.
        if self._is_below_source(path) and not _is_same_directory(path, directory):
            return None
        return path


def _is_same_directory(path: bytes, directory: int) -> bool:
    try:
        there = os.stat(path)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    here = os.fstat(directory)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _path_of(directory: int) -> bytes:
    """A path longer than the kernel gives is put together from that of a directory above and the names below it."""
    below: list[bytes] = []
    here = os.dup(directory)
    try:
        while True:
            try:
                return b"/".join([os.readlink(b"/proc/self/fd/%d" % here).rstrip(b"/"), *reversed(below)])
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
            above = os.open(b"..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
            inode = os.fstat(here).st_ino
            os.close(here)
            here = above
            with os.scandir(above) as entries:
                name = next((os.fsencode(entry.name) for entry in entries if entry.inode() == inode), None)
            if name is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            below.append(name)
    finally:
        os.close(here)
