"""A small world in memory that stands in for orchestrator.monitor.kernel.Kernel: a file system and its inotify.

Says about each step what inotify(7) would say. `between` is called at the beginning of every call that the monitor
makes, so that a test can let things happen exactly there.
"""

from __future__ import annotations

import errno
import itertools
from typing import TYPE_CHECKING

from orchestrator.errors import MonitorError
from orchestrator.logic.snapshot import Directory
from orchestrator.monitor.kernel import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    HEADER,
    IGNORED,
    ISDIR,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    OUT_OF_WATCHES,
    Q_OVERFLOW,
    UNMOUNT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_numbers = itertools.count(1)


class Inode:
    """A directory (`entries` is a dict) or a file."""

    def __init__(self, is_directory: bool, device: int) -> None:
        self.entries: dict[bytes, Inode] | None = {} if is_directory else None
        self.device = device
        self.links = 1
        self.version = 0  # of a file's content
        self.number = next(_numbers)
        self.is_closed = False  # nobody may read or watch it
        self.is_regular = not is_directory


class World:
    """The file system of the test, and the kernel that the monitor sees."""

    def __init__(self, content: int = CLOSE_WRITE, limit: int = 1_000_000, queue_limit: int = 1_000_000) -> None:
        self.root = Inode(True, 1)
        self.content = content
        self.limit = limit
        self.queue_limit = queue_limit
        self.queue: list[bytes] = []
        self.masks: dict[int, int] = {}
        self.calls: list[str] = []
        self.between: Callable[[], None] = lambda: None
        self.is_gone_reported_first = False  # kernels before 5.17: the end of a watch, then the deletion in the parent
        self.piece = 65536  # bytes given by one read
        self.shortage: OSError | None = None  # raised by whoever wants to read a directory
        self._wds: dict[Inode, int] = {}
        self._inodes: dict[int, Inode] = {}
        self._next_wd = 1
        self._next_cookie = 1
        self._have_mounts_changed = False
        self.is_awake = False
        self.is_drained = True
        self.is_limit_fatal = True
        self.moved_mounts: set[bytes] = set()
        self.sources: set[bytes] = set()

    # -- what a test does ------------------------------------------------------------------------------------------

    def mkdir(self, path: bytes) -> None:
        self._make(path, Inode(True, self._parent(path)[0].device), ISDIR)

    def create(self, path: bytes, *, close: bool = True, regular: bool = True) -> None:
        inode = Inode(False, self._parent(path)[0].device)
        inode.is_regular = regular
        self._make(path, inode, 0)
        if close:
            self.write(path)

    def link(self, path: bytes, new: bytes) -> None:
        inode = self.find(path)
        inode.links += 1
        self._make(new, inode, 0)

    def write(self, path: bytes) -> None:
        parent, name = self._parent(path)
        self.find(path).version += 1
        self._say(parent, CLOSE_WRITE, name)

    def chmod(self, path: bytes, *, closed: bool = False) -> None:
        parent, name = self._parent(path)
        inode = self.find(path)
        inode.is_closed = closed
        bits = 0 if inode.entries is None else ISDIR
        self._say(parent, ATTRIB | bits, name)
        self._say(inode, ATTRIB | bits, b"")

    def unlink(self, path: bytes) -> None:
        parent, name = self._parent(path)
        inode = self.find(path)
        del self._entries(parent)[name]
        inode.links -= 1
        self._say(parent, DELETE, name)

    def rmdir(self, path: bytes) -> None:
        parent, name = self._parent(path)
        inode = self.find(path)
        del self._entries(parent)[name]
        if self.is_gone_reported_first:
            self._end(inode)
        self._say(parent, DELETE | ISDIR, name)
        self._end(inode)

    def remove(self, path: bytes) -> None:
        """As rm -r does."""
        inode = self.find(path)
        if inode.entries is None:
            self.unlink(path)
            return
        for name in list(inode.entries):
            self.remove(path + b"/" + name)
        self.rmdir(path)

    def rename(self, old: bytes, new: bytes) -> None:
        """As rename(2) does; a directory takes the place of an empty one only."""
        (parent, name), (parent2, name2) = self._parent(old), self._parent(new)
        inode = self.find(old)
        replaced = self._entries(parent2).get(name2)
        if replaced is not None and replaced.entries:
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        bits = 0 if inode.entries is None else ISDIR
        del self._entries(parent)[name]
        self._entries(parent2)[name2] = inode
        cookie = self._next_cookie
        self._next_cookie += 1
        self._say(parent, MOVED_FROM | bits, name, cookie)
        self._say(parent2, MOVED_TO | bits, name2, cookie)
        if replaced is not None:
            self._end(replaced)
        self._say(inode, MOVE_SELF, b"")

    def exchange(self, one: bytes, other: bytes) -> None:
        """As renameat2(2) with RENAME_EXCHANGE: two names change places in one step, reported as two renames."""
        ends = [self._parent(one), self._parent(other)]
        inodes = [self.find(one), self.find(other)]
        for (parent, name), inode in zip(ends, reversed(inodes), strict=True):
            self._entries(parent)[name] = inode
        for inode, (parent, name), (parent2, name2) in zip(inodes, ends, reversed(ends), strict=True):
            bits = 0 if inode.entries is None else ISDIR
            cookie = self._next_cookie
            self._next_cookie += 1
            self._say(parent, MOVED_FROM | bits, name, cookie)
            self._say(parent2, MOVED_TO | bits, name2, cookie)
            self._say(inode, MOVE_SELF, b"")

    def mount(self, path: bytes, device: int) -> None:
        """Puts an empty file system over a directory."""
        parent, name = self._parent(path)
        inode = Inode(True, device)
        self._entries(inode)[b"\0under"] = self._entries(parent)[name]
        self._entries(parent)[name] = inode
        self._have_mounts_changed = True
        self.moved_mounts.add(path)

    def unmount(self, path: bytes) -> Inode:
        """Takes it off again, and gives it."""
        parent, name = self._parent(path)
        inode = self._entries(parent)[name]
        self._entries(parent)[name] = self._entries(inode).pop(b"\0under")
        for _, below in walk(inode):
            self._say(below, UNMOUNT, b"")
            self._end(below)
        self._have_mounts_changed = True
        self.moved_mounts.add(path)
        return inode

    def overflow(self) -> None:
        """Drops what waits, as a queue that is full does with what comes."""
        self.queue = [HEADER.pack(-1, Q_OVERFLOW, 0, 0)]

    def find(self, path: bytes) -> Inode:
        """Raises OSError as a system call would."""
        inode = self.root
        for name in path.split(b"/"):
            if name:
                if inode.entries is None:
                    raise OSError(errno.ENOTDIR, "Not a directory")
                if name not in inode.entries or name == b"\0under":
                    raise OSError(errno.ENOENT, "No such file or directory")
                inode = inode.entries[name]
        return inode

    def directories_below(self, path: bytes) -> list[bytes]:
        """All directories at and below `path` (slash at the end), sorted."""
        return sorted(
            path + name for name, inode in walk(self.find(path)) if inode.entries is not None and (name or path)
        )

    def watched_inodes(self) -> int:
        return len(self._wds)

    # -- what the monitor does ---------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return -1

    def also_poll(self, fd: int) -> None:
        pass

    def close(self) -> None:
        pass

    def watch(self, path: bytes) -> int:
        return self._add(path, self.content | ATTRIB | CREATE | DELETE | MOVED_FROM | MOVED_TO | MOVE_SELF)

    def watch_ancestor(self, path: bytes, mask: int, *, more: bool) -> int:
        inode = self.find(path)
        old = self.masks.get(self._wds.get(inode, 0), 0)
        return self._add(path, mask | old if more else mask)

    def unwatch(self, wd: int) -> None:
        self._call("unwatch")
        inode = self._inodes.get(wd)
        if inode is not None:
            self._end(inode)

    def read(self) -> bytes:
        self._call("read")
        piece = b""
        while self.queue and len(piece) + len(self.queue[0]) <= self.piece:
            piece += self.queue.pop(0)
        self.is_drained = not self.queue
        return piece

    def wake(self) -> None:
        self.is_awake = True

    def clear_wake(self) -> None:
        self.is_awake = False

    def yield_cpu(self) -> None:
        self._call("yield_cpu")

    def has_mounts_changed(self) -> bool:
        changed, self._have_mounts_changed = self._have_mounts_changed, False
        return changed

    def watch_all(self, path: bytes, names: Iterable[bytes]) -> list[tuple[bytes, int, bool]]:
        found = []
        for name in names:
            try:
                wd = self.watch(path + name)
            except (OSError, MonitorError):
                wd = -1
            found.append((name, wd, False))
        return found

    def directories(self, path: bytes) -> list[bytes]:
        return [name for name, is_directory in self.entries(path) if is_directory]

    def entries(self, path: bytes) -> list[tuple[bytes, bool]]:
        self._call("entries")
        if self.shortage is not None:
            raise self.shortage
        inode = self.find(path)
        if inode.is_closed:
            raise OSError(errno.EACCES, "Permission denied")
        return [(name, below.entries is not None) for name, below in self._entries(inode).items() if name != b"\0under"]

    def read_directory(self, path: bytes) -> Directory:
        """As orchestrator.monitor.treescan.read_directory."""
        self._call("read_directory")
        inode = self.find(path)
        if inode.is_closed:
            raise OSError(errno.EACCES, "Permission denied")
        entries = {
            name + (b"" if below.entries is None else b"/"): (below.number << 32 | below.version, 0)
            if below.entries is None
            else (0, 0)
            for name, below in self._entries(inode).items()
            if name != b"\0under"
        }
        return Directory(inode.device, inode.number, (0, 0, 0), entries)

    def device(self, path: bytes) -> int | None:
        self._call("device")
        try:
            inode = self.find(path)
        except OSError:
            return None
        return None if inode.entries is None else inode.device

    def is_file(self, path: bytes) -> bool:
        self._call("is_file")
        try:
            return self.find(path).entries is None
        except OSError:
            return False

    def is_unfinished(self, path: bytes) -> bool:
        self._call("is_unfinished")
        try:
            inode = self.find(path)
        except OSError:
            return True
        return inode.is_regular and inode.links == 1

    # -- inside ------------------------------------------------------------------------------------------------------

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.between()

    def _add(self, path: bytes, mask: int) -> int:
        self._call("watch")
        inode = self.find(path)
        if inode.entries is None:
            raise OSError(errno.ENOTDIR, "Not a directory")
        if inode.is_closed:
            raise OSError(errno.EACCES, "Permission denied")
        wd = self._wds.get(inode)
        if wd is None:
            if len(self._wds) >= self.limit:
                if self.is_limit_fatal:
                    raise MonitorError(OUT_OF_WATCHES)
                raise OSError(errno.ENOSPC, "No space left on device")
            wd = self._wds[inode] = self._next_wd
            self._inodes[wd] = inode
            self._next_wd += 1
        self.masks[wd] = mask
        return wd

    def _make(self, path: bytes, inode: Inode, bits: int) -> None:
        parent, name = self._parent(path)
        if name in self._entries(parent):
            raise OSError(errno.EEXIST, "File exists")
        self._entries(parent)[name] = inode
        self._say(parent, CREATE | bits, name)

    def _parent(self, path: bytes) -> tuple[Inode, bytes]:
        above, _, name = path.rpartition(b"/")
        return self.find(above), name

    def _entries(self, inode: Inode) -> dict[bytes, Inode]:
        if inode.entries is None:
            raise OSError(errno.ENOTDIR, "Not a directory")
        return inode.entries

    def _say(self, inode: Inode, mask: int, name: bytes, cookie: int = 0) -> None:
        wd = self._wds.get(inode)
        if wd is None or not mask & (self.masks[wd] | IGNORED | UNMOUNT):
            return
        padded = name + b"\0" * (-(len(name) + 1) % 16 + 1) if name else b""
        if len(self.queue) == self.queue_limit:
            self.queue.append(HEADER.pack(-1, Q_OVERFLOW, 0, 0))
        elif len(self.queue) < self.queue_limit:
            self.queue.append(HEADER.pack(wd, mask, cookie, len(padded)) + padded)

    def _end(self, inode: Inode) -> None:
        wd = self._wds.get(inode)
        if wd is not None:
            self._say(inode, IGNORED, b"")
            del self._wds[inode], self._inodes[wd], self.masks[wd]


def walk(inode: Inode, path: bytes = b"") -> Iterator[tuple[bytes, Inode]]:
    """An inode and all below it, each with its path; directories' paths end with a slash (but for the first's)."""
    yield path, inode
    for name, below in (inode.entries or {}).items():
        if name != b"\0under":
            yield from walk(below, path + name + (b"" if below.entries is None else b"/"))
