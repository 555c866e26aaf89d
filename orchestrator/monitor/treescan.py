"""Looking at directory trees: what is there now, and what is different from the last time.

A directory that cannot be read is taken to be as it was.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING

from orchestrator.descent import opened
from orchestrator.logic.snapshot import Directory, Signature, Snapshot, below, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.logic.change import Change

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

RECENT = 2_000_000_000
"""Nanoseconds: a file changed so recently may change once more and look the same: FAT and some servers count by two
seconds. It is reported once more the next time."""

_UNSURE = 0
_PERIOD = 100  # directories between two calls of `progress`


def read_directory(path: bytes, sources: Iterable[bytes] = ()) -> Directory:
    """A directory as it is now; `sources`: see `opened`. Raises OSError."""
    now = time.time_ns()
    entries: dict[bytes, Signature] = {}
    with opened(path, sources) as way, os.scandir(way) as found:
        own = os.stat(way)
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
    """What reports a file from how it looked before; `now` in nanoseconds.

    The ctime counts as content, though a change of attributes moves it, too: it may have been written in place and its
    time put back, or be another file with the inode of a deleted one, and nothing else would report.
    """
    is_recent = abs(now - there.st_mtime_ns) < RECENT
    content = hash((there.st_mtime_ns, there.st_ctime_ns, there.st_size, there.st_ino, stat.S_IFMT(there.st_mode)))
    attributes = hash((there.st_mode, there.st_uid, there.st_gid))
    return _UNSURE if is_recent else content, attributes


class ScanStopped(Exception):
    """Whoever wanted to know does not any more."""


class TreeScan:
    """One walk through a tree. `changes`: what is different from `before`; nothing if there is no before.

    `unread`: directories that could not be looked at, and why.
    """

    def __init__(
        self,
        before: Snapshot | None,
        wants: Callable[[bytes], bool],
        is_stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] | None = None,
        read_directory: Callable[[bytes], Directory] = read_directory,
    ) -> None:
        """`progress(directories)` is called now and then. `read_directory`: see there."""
        self.seen: Snapshot = {}
        self.changes: list[Change] = []
        self.unread: list[tuple[bytes, str]] = []
        self._is_first = before is None
        self._before = before or {}
        self._wants = wants
        self._is_stopped = is_stopped
        self._progress = progress
        self._read_directory = read_directory

    def walk(self, top: bytes, *, is_source: bool = True) -> None:
        """Looks at everything at and below a directory. Raises ScanStopped."""
        stack = [(top, is_source)]
        while stack:
            if self._is_stopped():
                raise ScanStopped
            path, is_reported = stack.pop()
            try:
                directory = self._read_directory(path)
            except OSError as error:
                self._keep(path, error)
                continue
            self.seen[path] = directory
            before = self._before.get(path)
            if not self._is_first:
                self.changes += differences(path, before, directory, is_reported=is_reported)
            for name in directory.entries:
                if name.endswith(b"/") and self._wants(path + name):
                    stack.append((path + name, before is None or name not in before.entries))
            if self._progress is not None and len(self.seen) % _PERIOD == 0:
                self._progress(len(self.seen))

    def _keep(self, path: bytes, error: OSError) -> None:
        if error.errno not in _GONE:
            self.unread.append((path, error.strerror or str(error)))
        self.seen.update(below(self._before, path))
