"""Stands in for orchestrator_fanotify.kernel.Kernel: real files, but the events and handles are made up here.

What a test does to the files by these methods is what the kernel would report. Needs no rights.
"""

from __future__ import annotations

import os
from collections import deque
from struct import pack
from typing import TYPE_CHECKING

from orchestrator_fanotify.calls import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    FID_RECORD,
    MOVED_FROM,
    MOVED_TO,
    NAME_RECORD,
    NEW_NAME_RECORD,
    OLD_NAME_RECORD,
    ONDIR,
    Q_OVERFLOW,
    RENAME,
)
from orchestrator_fanotify.mounts import Mount

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_SYSTEM = b"filesys1"


def record(kind: int, handle: bytes, name: bytes = b"", file_system: bytes = FILE_SYSTEM) -> bytes:
    body = file_system + pack("=Ii", len(handle), 1) + handle + (name + b"\0" if name else b"")
    body += b"\0" * (-len(body) % 4)
    return pack("=BBH", kind, 0, 4 + len(body)) + body


def event(mask: int, *records: bytes) -> bytes:
    body = b"".join(records)
    return pack("=IBBHQii", 24 + len(body), 3, 0, 24, mask, -1, 1) + body


class FanotifyWorld:
    """Files below `top`, on one file system; `before_5_17`: renames are reported in halves."""

    def __init__(self, top: Path, *, before_5_17: bool = False) -> None:
        self.top = os.fsencode(top)
        self.reports_renames = not before_5_17
        self.table = [Mount(1, b"/", "tmpfs")]
        self.marked: dict[bytes, bytes] = {}  # identity → point
        self.refuses: dict[bytes, OSError] = {}  # point → why it cannot be marked
        self.table_error: OSError | None = None
        self.looks = 0
        self.is_closed = False
        self._queue: deque[bytes] = deque()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)

    # ---- what happens -----------------------------------------------------------------------------

    def create(self, path: str) -> None:
        """A new file, which stays open."""
        os.close(os.open(self._at(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        self._say(CREATE, path)

    def write(self, path: str) -> None:
        """Something writes to a file and closes it."""
        self._say(CLOSE_WRITE, path)

    def chmod(self, path: str) -> None:
        self._say(ATTRIB | self._kind(path), path)

    def mkdir(self, path: str) -> None:
        os.mkdir(self._at(path))
        self._say(CREATE | ONDIR, path)

    def remove(self, path: str) -> None:
        kind = self._kind(path)
        reported = self._event(DELETE | kind, path)
        (os.rmdir if kind else os.unlink)(self._at(path))
        self.say(reported)

    def rename(self, old: str, new: str) -> None:
        kind = self._kind(old)
        fid = record(FID_RECORD, self._handle(old))
        ends = [(self._handle(os.path.dirname(path)), os.path.basename(path).encode()) for path in (old, new)]
        os.rename(self._at(old), self._at(new))
        if self.reports_renames:
            records = [record(what, *end) for what, end in zip((OLD_NAME_RECORD, NEW_NAME_RECORD), ends, strict=True)]
            self.say(event(RENAME | kind, *records, fid))
        else:
            for mask, end in zip((MOVED_FROM, MOVED_TO), ends, strict=True):
                self.say(event(mask | kind, record(NAME_RECORD, *end), fid))

    def overflow(self) -> None:
        self.say(event(Q_OVERFLOW))

    def refuse(self, point: bytes, error: OSError) -> None:
        """A file system is mounted that cannot be marked."""
        self.table.append(Mount(len(self.table) + 1, point, "odd"))
        self.refuses[point] = error

    def say(self, reported: bytes) -> None:
        """An event waits in the queue."""
        self._queue.append(reported)
        os.eventfd_write(self._fd, 1)

    # ---- what the monitor does ------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._fd

    def read(self) -> bytes:
        piece = b""
        while self._queue and len(piece) < 4000:
            piece += self._queue.popleft()
        if not piece:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:
                pass
        return piece

    def mark(self, mask: int, point: bytes) -> bytes:
        if point in self.refuses:
            raise self.refuses[point]
        identity = next((b"filesys%d" % mount.number for mount in self.table[1:] if mount.point == point), FILE_SYSTEM)
        self.marked.setdefault(identity, point)
        return identity

    def unmark(self, mask: int, point: bytes) -> None:
        self.marked = {identity: marked for identity, marked in self.marked.items() if marked != point}

    def mounts(self) -> list[Mount]:
        if self.table_error is not None:
            raise self.table_error
        return self.table

    def handles(self, point: bytes, is_below_source: Callable[[bytes], bool]) -> FanotifyWorld:
        return self

    def look(self, handle: bytes) -> bytes | None:
        """As Handles."""
        self.looks += 1
        found = self._find(handle)
        return None if found is None or not os.path.isdir(found) else found + b"/"

    def is_named(self, handle: bytes) -> bool:
        """As Handles."""
        return self._find(handle) is not None

    def close(self) -> None:
        """Of the monitor itself, or of a mount, which may be opened again."""

    def end(self) -> None:
        os.close(self._fd)

    # ---- inside ---------------------------------------------------------------------------------------

    def _find(self, handle: bytes) -> bytes | None:
        inode = int.from_bytes(handle[8:], "little")
        if os.stat(self.top).st_ino == inode:
            return self.top
        for above, directories, files in os.walk(self.top):
            for name in directories + files:
                path = os.path.join(above, name)
                if os.lstat(path).st_ino == inode:
                    return path
        return None

    def _at(self, path: str) -> bytes:
        return os.path.join(self.top, path.encode())

    def _kind(self, path: str) -> int:
        return ONDIR if os.path.isdir(self._at(path)) else 0

    def _handle(self, path: str) -> bytes:
        return os.lstat(self._at(path).rstrip(b"/")).st_ino.to_bytes(8, "little")

    def _event(self, mask: int, path: str) -> bytes:
        above, name = os.path.split(path)
        return event(
            mask, record(NAME_RECORD, self._handle(above), name.encode()), record(FID_RECORD, self._handle(path))
        )

    def _say(self, mask: int, path: str) -> None:
        self.say(self._event(mask, path))
