"""The data of one file: by reflink or in the kernel where the file systems can, holes kept."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from orchestrator_native.report import Stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

FICLONE = 0x40049409
"""ioctl_ficlonerange(2)"""

CHUNK = 8 << 20
BUFFER = 1 << 20

CANNOT = frozenset({errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS, errno.EINVAL, errno.EBADF, errno.EPERM})
"""The file systems cannot do it between these two files; another way may go."""


class Copier:
    """Copies between two trees; remembers which fast ways their file systems refuse. `copied(count)` is called with the
    bytes that were written; a reflink writes none."""

    def __init__(self, stop: threading.Event, copied: Callable[[int], object] = lambda count: None) -> None:
        self.stop = stop
        self._copied = copied
        self._no_clone: set[tuple[int, int]] = set()
        self._no_range: set[tuple[int, int]] = set()

    def copy(self, source: int, target: int, stat: os.stat_result, target_dev: int) -> None:
        """The first `stat.st_size` bytes of an open file into an empty one. Less, where the file shrank."""
        size = stat.st_size
        if not size:
            return
        pair = (stat.st_dev, target_dev)
        if pair not in self._no_clone:
            try:
                fcntl.ioctl(target, FICLONE, source)
                return
            except OSError as error:
                if error.errno not in CANNOT:
                    raise
                self._no_clone.add(pair)
        if stat.st_blocks * 512 >= size:
            self._segment(source, target, 0, size, pair)
            return
        for start, end in segments(source, size):
            self._segment(source, target, start, end, pair)
        os.ftruncate(target, size)

    def _segment(self, source: int, target: int, at: int, end: int, pair: tuple[int, int]) -> None:
        if pair not in self._no_range:
            try:
                while at < end:
                    done = os.copy_file_range(source, target, min(CHUNK, end - at), at, at)
                    if not done:
                        break
                    at += done
                    self._copied(done)
                    self._check()
            except OSError as error:
                if error.errno not in CANNOT:
                    raise
                self._no_range.add(pair)
        while at < end:
            block = os.pread(source, min(BUFFER, end - at), at)
            if not block:
                break
            view = memoryview(block)
            while view:
                done = os.pwrite(target, view, at)
                view = view[done:]
                at += done
            self._copied(len(block))
            self._check()

    def _check(self) -> None:
        if self.stop.is_set():
            raise Stopped


def segments(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file holds data (lseek(2), SEEK_DATA)."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end, or the file has shrunk
                return
            if error.errno == errno.EINVAL:  # the file system knows no holes
                yield at, size
                return
            raise
        yield start, min(at, size)
