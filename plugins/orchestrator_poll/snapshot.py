"""How a tree looks, and what is different from how it looked before.

What is told: Create, Modify, Attrib, Delete; a rename is Delete and Create. What could not be looked at is taken to be
as it was.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.api import Change, Found

if TYPE_CHECKING:
    from collections.abc import Callable

_GONE = (errno.ENOENT, errno.ENOTDIR)

RECENT = 2_000_000_000
"""Nanoseconds: a file changed so recently may change once more and look the same: FAT and some servers count by two
seconds. It is told once more the next time."""

_UNSURE = 0

Signature = tuple[int, int]
"""Of a file: what changes with its content, and what changes with its attributes."""


class Directory(NamedTuple):
    """`entries`: names, of directories with a slash at the end. `attributes` of the directory itself."""

    device: int
    changed: int
    attributes: tuple[int, int, int]
    entries: dict[bytes, Signature]


Snapshot = dict[bytes, Directory]
"""All wanted directories of a tree by path."""


class Stopped(Exception):
    """Whoever wanted to know does not any more."""


class Look:
    """One walk through a tree. `changes`: what is different from `before`; nothing if there is no before.

    `unread`: directories that could not be looked at, and why.
    """

    def __init__(
        self,
        before: Snapshot | None,
        wants: Callable[[bytes], bool],
        is_stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.seen: Snapshot = {}
        self.changes: list[Change] = []
        self.unread: list[tuple[bytes, str]] = []
        self._is_first = before is None
        self._before = before or {}
        self._wants = wants
        self._is_stopped = is_stopped
        self._progress = progress

    def walk(self, top: bytes) -> None:
        """Looks at everything at and below a directory. Raises Stopped."""
        stack = [top]
        while stack:
            if self._is_stopped():
                raise Stopped
            path = stack.pop()
            try:
                directory = read(path)
            except OSError as error:
                self._keep(path, error)
                continue
            self.seen[path] = directory
            if not self._is_first:
                self._compare(path, directory, is_top=path == top)
            stack += [path + name for name in directory.entries if name.endswith(b"/") and self._wants(path + name)]
            if self._progress is not None and len(self.seen) % 1000 == 0:
                self._progress(len(self.seen))

    def _keep(self, path: bytes, error: OSError) -> None:
        if error.errno not in _GONE:
            self.unread.append((path, error.strerror or str(error)))
        for old, directory in self._before.items():
            if old.startswith(path):
                self.seen[old] = directory

    def _compare(self, path: bytes, now: Directory, *, is_top: bool) -> None:
        before = self._before.get(path)
        if before is None:
            self.changes += [Found("Create", path + name) for name in now.entries]
            return
        gone = before.entries.keys() - now.entries.keys() if before.device == now.device else set()
        self.changes += [Change("Delete", path + name) for name in before.entries if name in gone]
        is_same = not gone
        for name, signature in now.entries.items():
            old = before.entries.get(name)
            if old is None:
                is_same = False
                self.changes.append(Change("Create", path + name))
            elif old != signature and not name.endswith(b"/"):
                self.changes.append(Change("Modify" if old[0] != signature[0] else "Attrib", path + name))
        # what is made or deleted in a directory changes it, too
        if not is_top and (before.attributes != now.attributes or (is_same and before.changed != now.changed)):
            self.changes.append(Change("Attrib", path))


def read(path: bytes) -> Directory:
    """A directory as it is now. Raises OSError."""
    own = os.stat(path)
    now = time.time_ns()
    entries: dict[bytes, Signature] = {}
    with os.scandir(path) as found:
        for entry in found:
            try:
                there = entry.stat(follow_symlinks=False)
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise
            if stat.S_ISDIR(there.st_mode):
                entries[entry.name + b"/"] = (_UNSURE, _UNSURE)
            else:
                entries[entry.name] = signature(there, now)
    return Directory(own.st_dev, own.st_ctime_ns, (own.st_mode, own.st_uid, own.st_gid), entries)


def signature(there: os.stat_result, now: int) -> Signature:
    """What tells a file from how it looked before; `now` in nanoseconds."""
    is_recent = abs(now - there.st_mtime_ns) < RECENT
    content = hash((there.st_mtime_ns, there.st_size, there.st_ino, stat.S_IFMT(there.st_mode)))
    attributes = hash((there.st_ctime_ns, there.st_mode, there.st_uid, there.st_gid))
    return _UNSURE if is_recent else content, attributes
