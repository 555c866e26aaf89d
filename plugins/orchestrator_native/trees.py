"""Directories of one tree, opened so that no symlink can lead out of it.

A path is a str relative to the root, `""` for the root itself, `a/b`, with names as the
directory reading gives them (surrogateescape). Every directory is opened component by component
with O_NOFOLLOW (open(2)): a symlink where a directory was is an error, never a way elsewhere.
"""

from __future__ import annotations

import errno
import os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PASSAGE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

ELSEWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE})
"""Opening says: the entry is gone, or something else has taken its place."""

KEPT = 48
"""So many directories of the last path stay open; below that each is opened anew, so that a very
deep tree does not use up the descriptors."""


def split(path: str) -> tuple[str, str]:
    """The directory a path lies in, and its name."""
    parent, _, name = path.rpartition("/")
    return parent, name


def join(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name


class OpenTree:
    """One thread's way into a tree. Keeps the directories of the last path open, so that going
    through a tree in order opens each directory once. Not for two threads at a time: `clone`.
    """

    def __init__(self, root: int) -> None:
        """`root`: a descriptor of the root directory, owned by the OpenTree from now on."""
        self.root = root
        self._names: list[str] = []
        self._fds: list[int] = []
        self._deep = -1
        self._last: tuple[str, int] | None = None

    @classmethod
    def at(cls, path: bytes) -> OpenTree:
        """The tree at an absolute path. The path itself may be a symlink: the user said so."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def clone(self) -> OpenTree:
        return OpenTree(os.dup(self.root))

    def open(self, path: str) -> int:
        """A descriptor of a directory, good until the next `open`, `forget` or `close`.

        OSError as from open(2): ENOENT, and ENOTDIR or ELOOP where something else is on the way.
        """
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        names = path.split("/") if path else []
        same = 0
        for mine, wanted in zip(self._names, names, strict=False):
            if mine != wanted:
                break
            same += 1
        self._cut(same)
        fd = self._fds[-1] if self._fds else self.root
        for name in names[same:]:
            if name in ("", ".", ".."):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
            fd = self._step(name, fd)
        self._last = (path, fd)
        return fd

    def _step(self, name: str, parent: int) -> int:
        try:
            fd = os.open(name, DIRECTORY, dir_fd=parent)
        except PermissionError:
            fd = os.open(name, PASSAGE, dir_fd=parent)
        if len(self._fds) < KEPT:
            self._fds.append(fd)
            self._names.append(name)
        else:
            if self._deep >= 0:
                os.close(self._deep)
            self._deep = fd
        return fd

    def _cut(self, length: int) -> None:
        self._last = None
        if self._deep >= 0:
            os.close(self._deep)
            self._deep = -1
        for fd in self._fds[length:]:
            os.close(fd)
        del self._fds[length:], self._names[length:]

    def forget(self) -> None:
        """Close what is kept open: paths may mean other directories now."""
        self._cut(0)

    def close(self) -> None:
        self._cut(0)
        os.close(self.root)
