"""The door to the kernel: inotify watches, raw events, and the few questions asked of the file system.

Decides nothing about paths or changes. Everything that touches the world on behalf of the monitor is
here, so that a test can put a small world of its own in its place.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import stat
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import inotify_simple
from inotify_simple import INotify, flags

from orchestrator.descent import open_directory, way_into
from orchestrator.errors import MonitorError
from orchestrator.logic.mounts import unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADER = Struct("iIII")
"""`struct inotify_event` without its name: wd, mask, cookie, length of the padded name (inotify(7))."""

ATTRIB = int(flags.ATTRIB)
CLOSE_WRITE = int(flags.CLOSE_WRITE)
CREATE = int(flags.CREATE)
DELETE = int(flags.DELETE)
IGNORED = int(flags.IGNORED)
ISDIR = int(flags.ISDIR)
MODIFY = int(flags.MODIFY)
MOVED_FROM = int(flags.MOVED_FROM)
MOVED_TO = int(flags.MOVED_TO)
MOVE_SELF = int(flags.MOVE_SELF)
Q_OVERFLOW = int(flags.Q_OVERFLOW)
UNMOUNT = int(flags.UNMOUNT)

# DELETE_SELF is not asked for: IGNORED comes anyway when a watched directory is gone. EXCL_UNLINK: what is written
# to a file after its name was deleted would be reported under a name that is gone, or is another file's by now.
_TREE = ATTRIB | CREATE | DELETE | MOVED_FROM | MOVED_TO | MOVE_SELF
_TREE |= int(flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK)
_SELF = MOVE_SELF | int(flags.ONLYDIR)

ITSELF = _SELF | int(flags.DONT_FOLLOW | flags.MASK_ADD)
"""Asked of a source when what is in it is none of our business."""

ANCESTOR_EVENTS = _SELF
"""Asked of the directories above a source: silent unless one of them is itself moved or gone."""
PARENT_EVENTS = _SELF | DELETE
"""Asked of a source's parent. A source that somebody still holds open says nothing when it is deleted."""
AWAITING_EVENTS = _SELF | DELETE | CREATE | MOVED_TO | ATTRIB
"""Asked of the directory in which the way to a lost source should appear again."""

# The library's own add_watch costs twice what this does: a tree of 150,000 directories is watched in one second less
# by calling the C function straight. All else about the descriptor is the library's.
_libc = ctypes.CDLL(None, use_errno=True)
_add_watch = _libc.inotify_add_watch
_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_add_watch.restype = ctypes.c_int
# It would look for the C library, which is here already, by starting ldconfig.
inotify_simple._libc = _libc

_COUNTED = {b"ext2", b"ext3", b"ext4", b"f2fs", b"jfs", b"tmpfs", b"xfs"}
"""File systems on which a directory with a link count of 2 has no directories in it; others count differently."""

_CHUNK = 65536  # one read's worth of raw events: 1,300 to 4,000 of them
_SHORT = _CHUNK - 4096  # bytes: a piece that is shorter was all that the kernel had
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

OUT_OF_WATCHES = "Terminating since out of inotify watches.\nConsider increasing /proc/sys/fs/inotify/max_user_watches"


class Kernel:
    """One inotify descriptor, and what wakes it besides: the mount table, and a bell for events held in memory.

    `fileno()` is an epoll descriptor over the three, so that one descriptor stands for the monitor in the loop.
    """

    def __init__(self, content: int, tree: int = _TREE) -> None:
        """`content`: the inotify flags that say a file's content changed; `tree`: all others that are asked for of a
        watched directory. Raises MonitorError.
        """
        self._mask = tree | content
        self.sources: set[bytes] = set()
        """Paths of the sources, each with a slash at the end: below them no link is followed, see `open_directory`."""
        self.is_limit_fatal = True
        """Whether being out of watches is a MonitorError; else it is an OSError, ENOSPC."""
        try:
            self._inotify = INotify(nonblocking=True)
            self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._epoll = select.epoll()
        except OSError as error:
            raise MonitorError(f"Cannot access inotify monitor! ({error.errno}:{error.strerror})") from None
        self._fd = self._inotify.fileno()
        self.is_drained = True
        """Whether the last `read` has taken all that the kernel had."""
        # closed when there are no more descriptors, so that a watch does not fail
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._is_awake = False
        self._epoll.register(self._fd, select.EPOLLIN)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._mounts = _Mounts(self._epoll)
        self._table = _mount_table()
        self._counted = _counted_devices(self._table)
        self.moved_mounts: set[bytes] = set()
        """Where something was mounted or unmounted when `has_mounts_changed` was last true."""

    def fileno(self) -> int:
        """Readable when there is something to read."""
        return self._epoll.fileno()

    def also_poll(self, fd: int) -> None:
        """Makes `fileno()` readable when `fd` is, too."""
        self._epoll.register(fd, select.EPOLLIN)

    def close(self) -> None:
        self._epoll.close()
        self._mounts.close()
        os.close(self._wakeup)
        if self._spare >= 0:
            os.close(self._spare)
        self._inotify.close()

    def watch(self, path: bytes) -> int:
        """Watches the directory `path` and gives its number: the same number again for the same directory.

        A path with a slash at the end is that of a source. Raises MonitorError when there are no watches left (see
        `is_limit_fatal`), else OSError.
        """
        above, _, name = path.rpartition(b"/")
        with self._directory(above + b"/") as way:
            return self._add(way + (name or b"."), self._mask)

    def watch_all(self, path: bytes, names: Iterable[bytes]) -> list[tuple[bytes, int, bool]]:
        """Watches the directories `names` in the directory `path` (with a slash at the end), each as `watch` does.

        Gives for each its name, its number, and whether the file system reports that no directories are in it, asked
        after it was watched. A number below 0: `watch` reports why. The time of starting on a big tree is spent here.
        """
        fd, mask, counted, stat = self._fd, self._mask, self._counted, os.stat
        found = []
        with self._directory(path) as way:
            for name in names:
                place = way + name
                wd = _add_watch(fd, place, mask)
                is_leaf = False
                if wd >= 0:
                    try:
                        status = stat(place, follow_symlinks=False)
                        is_leaf = status.st_nlink == 2 and status.st_dev in counted
                    except OSError:
                        pass  # whoever reads it hears why
                found.append((name, wd, is_leaf))
        return found

    def watch_ancestor(self, path: bytes, mask: int, *, more: bool) -> int:
        """Watches `path` for the events of `mask`, beside those already asked of it if `more`, else instead."""
        with self._directory(path) as way:
            return self._add(way + b".", mask | (flags.MASK_ADD if more else 0))

    def unwatch(self, wd: int) -> None:
        """Ends a watch; one that the kernel has ended by itself already is no error."""
        try:
            self._inotify.rm_watch(wd)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def read(self) -> bytes:
        """The next piece of raw events, b"" if the queue is empty."""
        try:
            piece = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            piece = b""
        self.is_drained = len(piece) < _SHORT
        return piece

    def wake(self) -> None:
        """Makes `fileno()` readable until `clear_wake()`: events wait in memory where the kernel cannot see them."""
        os.eventfd_write(self._wakeup, 1)
        self._is_awake = True  # afterwards: a thread may ring while another one calms

    def clear_wake(self) -> None:
        if not self._is_awake:
            return
        self._is_awake = False
        try:
            os.eventfd_read(self._wakeup)
        except BlockingIOError:
            pass

    def has_mounts_changed(self) -> bool:
        """Whether something was mounted or unmounted since last asked."""
        changed = self._mounts.has_changed()
        if changed:
            before, self._table = self._table, _mount_table()
            self._counted = _counted_devices(self._table)
            self.moved_mounts = {mount.point for mount in before ^ self._table}
        return changed

    def yield_cpu(self) -> None:
        """Lets a program that the kernel interrupted between the two halves of a rename finish it."""
        os.sched_yield()

    def directories(self, path: bytes) -> list[bytes]:
        """The names of the directories in the directory `path`. Raises OSError."""
        return [name for name, is_directory in self.entries(path) if is_directory]

    def entries(self, path: bytes) -> list[tuple[bytes, bool]]:
        """The names in the directory `path`, each with whether it is a directory. Raises OSError."""
        with self._directory(path) as way, os.scandir(way) as found:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]

    def device(self, path: bytes) -> int | None:
        """The number of the file system that the directory `path` is on; None if there is no such directory."""
        try:
            with self._directory(path) as way:
                return os.stat(way).st_dev
        except OSError:
            return None

    def is_file(self, path: bytes) -> bool:
        """Whether there is something at `path` that is no directory."""
        found = self._look(path)
        return found is not None and not stat.S_ISDIR(found.st_mode)

    def is_unfinished(self, path: bytes) -> bool:
        """Whether a close-write is to be expected for the file just created at `path`.

        Not for hard links, symlinks, FIFOs, sockets and devices: nobody writes those in order to make them.
        """
        found = self._look(path)
        return found is None or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)

    def _look(self, path: bytes) -> os.stat_result | None:
        above, _, name = path.rpartition(b"/")
        try:
            with self._directory(above + b"/") as way:
                return os.lstat(way + name)
        except OSError:
            return None

    @contextmanager
    def _directory(self, path: bytes) -> Iterator[bytes]:
        """As `orchestrator.descent.opened`, even where descriptors have run out."""
        try:
            place = open_directory(path, self.sources)
        except OSError as error:
            if error.errno != errno.EMFILE or self._spare < 0:
                raise
            os.close(self._spare)
            self._spare = -1
            place = open_directory(path, self.sources)
        try:
            yield way_into(place, path)
        finally:
            os.close(place)
            if self._spare < 0:
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _add(self, path: bytes, mask: int) -> int:
        wd = int(_add_watch(self._fd, path, mask))
        if wd >= 0:
            return wd
        number = ctypes.get_errno()
        if number == errno.ENOSPC and self.is_limit_fatal:
            raise MonitorError(OUT_OF_WATCHES)
        if number == errno.EINTR:
            return self._add(path, mask)
        raise OSError(number, os.strerror(number))


class _Mounts:
    """Notices changes of the mount table (proc(5), /proc/pid/mountinfo).

    The kernel reports each open file once. What an epoll descriptor inside another one is reported, the outer one has
    used up, so one file wakes us and a second one is asked.
    """

    def __init__(self, epoll: select.epoll) -> None:
        self._files: list[int] = []
        self._poll = select.poll()
        try:
            for _ in range(2):
                self._files.append(os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC))
            epoll.register(self._files[0], select.EPOLLPRI)
        except OSError:
            # No /proc, or one whose files report nothing (containers that are their own kernel): the sources are
            # still guarded by their own events.
            return
        self._poll.register(self._files[1], select.POLLPRI)

    def has_changed(self) -> bool:
        try:
            return bool(self._poll.poll(0))
        except OSError:
            return False  # the process may have no descriptor any more (prlimit(1)): the next read asks again

    def close(self) -> None:
        for file in self._files:
            os.close(file)


class _Mount(NamedTuple):
    number: bytes
    point: bytes
    device: int
    kind: bytes


def _mount_table() -> frozenset[_Mount]:
    """All that is mounted (proc(5), mountinfo)."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            lines = [line.split() for line in table]
    except OSError:
        return frozenset()
    found = set()
    for fields in lines:
        major, minor = fields[2].split(b":")
        device = os.makedev(int(major), int(minor))
        found.add(_Mount(fields[0], unescaped(fields[4]), device, fields[fields.index(b"-", 6) + 1]))
    return frozenset(found)


def _counted_devices(table: frozenset[_Mount]) -> frozenset[int]:
    """The devices of all mounted file systems of `_COUNTED`."""
    return frozenset(mount.device for mount in table if mount.kind in _COUNTED)


def is_out_of_watches(error: OSError) -> bool:
    """Whether a watch could not be had because the user has as many as it may (inotify_add_watch(2))."""
    return error.errno == errno.ENOSPC


def is_shortage(error: OSError) -> bool:
    """Whether the process or the machine ran out of something that comes back by itself."""
    return error.errno in _TOO_MANY_FILES
