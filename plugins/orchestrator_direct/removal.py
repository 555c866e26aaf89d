"""Removes an entry with all that is in it, as `rm -rf` does; symlinks are removed, never followed.

Goes through the directories by descriptors and a list of its own. Entries deeper than the descriptors reach are
moved up to where those end: a tree may be deeper than a path can be long.
"""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator_native.api import Stopped

if TYPE_CHECKING:
    import threading

READING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DEEPEST = 64


@dataclass
class _Level:
    """An open directory, and those in it that are still to be removed."""

    name: bytes
    fd: int
    directories: list[bytes]


@dataclass
class Removal:
    """`stop`: set when it should come to an end. `error`: the first of what could not be removed."""

    stop: threading.Event
    error: OSError | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def remove(self, name: bytes, parent: int) -> None:
        """Raises Stopped, and in the end OSError where something is left."""
        if not self._unlink(name, parent):
            self._remove_tree(name, parent)
        if self.error is not None:
            raise self.error

    def _remove_tree(self, name: bytes, parent: int) -> None:
        levels: list[_Level] = []
        self._enter(name, parent, levels)
        try:
            while levels:
                level = levels[-1]
                if self.stop.is_set():
                    raise Stopped
                if not level.directories:
                    levels.pop()
                    os.close(level.fd)
                    self._rmdir(level.name, levels[-1].fd if levels else parent)
                elif len(levels) < DEEPEST:
                    self._enter(level.directories.pop(), level.fd, levels)
                else:
                    self._bring_up(level.directories.pop(), level)
        finally:
            for level in levels:
                os.close(level.fd)

    def _enter(self, name: bytes, parent: int, levels: list[_Level]) -> None:
        fd = self._open(name, parent)
        if fd is not None:
            levels.append(_Level(name, fd, []))
            levels[-1].directories = self._empty(fd)

    def _bring_up(self, name: bytes, level: _Level) -> None:
        fd = self._open(name, level.fd)
        if fd is None:
            return
        try:
            for inner in self._empty(fd):
                higher = b".lsyncd-%d-%d" % (os.getpid(), next(self._numbers))
                try:
                    os.rename(inner, higher, src_dir_fd=fd, dst_dir_fd=level.fd)
                except OSError as error:
                    self._failed(error)
                else:
                    level.directories.append(higher)
        finally:
            os.close(fd)
        self._rmdir(name, level.fd)

    def _open(self, name: bytes, parent: int) -> int | None:
        """None: it is no directory any more, or can't be read; it is gone then, if that can be."""
        try:
            return os.open(name, READING, dir_fd=parent)
        except OSError as error:
            if not self._unlink(name, parent) and not self._rmdir(name, parent):
                self._failed(error)
        return None

    def _empty(self, fd: int) -> list[bytes]:
        """Remove all but directories; those are returned."""
        try:
            names = [os.fsencode(name) for name in os.listdir(fd)]
        except OSError as error:
            self._failed(error)
            return []
        return [name for name in names if not self._unlink(name, fd)]

    def _unlink(self, name: bytes, parent: int) -> bool:
        """False: it is a directory."""
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            return False
        except OSError as error:
            if _is_directory(name, parent):  # what POSIX has unlink(2) say of one
                return False
            self._failed(error)
        return True

    def _rmdir(self, name: bytes, parent: int) -> bool:
        try:
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._failed(error)
            return False
        return True

    def _failed(self, error: OSError) -> None:
        self.error = self.error or error


def _is_directory(name: bytes, parent: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False
