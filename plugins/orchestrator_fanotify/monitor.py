"""The fanotify monitor: events of whole file systems in, changes below the sources out (spec 3.1, 6).

The same changes as inotify gives, but for what the kernel does not keep apart: events of one file that wait in its
queue are put together, in the place of the first. So the disk is asked wherever it is open what came last, and what was
renamed to and fro is looked at again when all events are worked off.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import deque
from typing import TYPE_CHECKING

from orchestrator.api import Change, Found, MonitorError, SourceWatch
from orchestrator_fanotify import calls, events
from orchestrator_fanotify.calls import (
    ATTRIB,
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
from orchestrator_fanotify.events import FILE_SYSTEM, FIRST, HANDLE, KEY, RECORD
from orchestrator_fanotify.handles import Handles
from orchestrator_fanotify.mounts import Mount, mount_of, mounts_below, read_mounts
from orchestrator_fanotify.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 65536
_READ_AHEAD = 10_000_000  # bytes of events worked off by one read() at most, beyond those that waited at its beginning
_HELD = 256 * 1024 * 1024  # bytes of events held in memory at most
_CACHED = 50_000  # directories remembered

_REMEMBERED = 2
"""For so many calls of read(): what happened in a directory that cannot be found may be what emptied it before another
one was renamed onto it. Of that directory's end no event tells, so what takes its place is told after a Delete."""

_REASONS = {
    errno.EPERM: "it needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, which root has outside of containers",
    errno.EINVAL: "it needs Linux 5.9 or newer",
    errno.ENOSYS: "the kernel is built without it",
    errno.EXDEV: "it is a part of a file system (a btrfs subvolume) that can only be watched as a whole",
    errno.ENODEV: "the file system has no identity",
    errno.EOPNOTSUPP: "the file system has no file handles",
}

Inside = tuple[bytes | None, ...]
"""The path of a directory as seen from each mount of its file system; None where it is not within a source."""


class _View:
    """One mount, and the places of directories as seen from it."""

    def __init__(self, point: bytes, is_below_source: Callable[[bytes], bool]) -> None:
        self.handles = Handles(point, is_below_source)
        self.places = Places(self.handles.look)


class FanotifyMonitor:
    """Tells of what changes below the sources, from marks on their file systems."""

    def __init__(
        self, mode: str, wants: Callable[[bytes], bool], log: Callable[..., None], *, held: int = _HELD
    ) -> None:
        """As InotifyMonitor; `held`: bytes of events held in memory at most. Raises MonitorError."""
        content = events.CONTENT.get(mode)
        if content is None:
            raise MonitorError(f"'{mode}' not a valid inotfiyMode.")
        self.overflowed = False
        self._wants = wants
        self._log = log
        self._limit = held
        self._tells_creates = mode != "CloseWrite only"
        self._content = content
        self._etypes = events.etypes_by_mask(content, tells_creates=self._tells_creates)
        try:
            self._group, self._tells_renames = calls.open_group()
        except OSError as error:
            raise MonitorError(_refusal(error)) from None
        self._mask = CREATE | DELETE | ATTRIB | content | ONDIR
        self._mask |= RENAME if self._tells_renames else MOVED_FROM | MOVED_TO
        try:
            self._sources = SourceWatch()
        except MonitorError:
            os.close(self._group)
            raise
        self._sources.attend(self._group)
        self._held: tuple[bytes, ...] = ()  # sources in place
        self._views: dict[bytes, list[_View]] = {}  # by file system
        self._marked: dict[bytes, bytes] = {}  # a path on each marked file system
        self._refused: set[bytes] = set()  # mounts that it was said of
        self._inside: dict[bytes, Inside] = {}
        self._lock = threading.Lock()
        self._pieces: deque[bytes] = deque()
        self._size = 0  # bytes in them
        self._taken = 0  # bytes taken since read() was called
        self._has_dropped = False
        self._changes: list[Change] = []
        self._gone: set[bytes] = set()  # what was deleted since all events were worked off last
        self._ends: dict[bytes, int] = {}  # what was renamed since then, and renamed to: how often
        self._left: set[bytes] = set()  # what was renamed to something else since then
        self._renames: list[tuple[bytes, bytes]] = []  # of directories
        self._unplaced = 0  # whether something happened in a directory that is gone, nobody knows where

    # ---- what the daemon calls ----------------------------------------------------------------

    def fileno(self) -> int:
        return self._sources.fileno()

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Watches a source. How many directories it has makes no difference. Raises MonitorError."""
        self._sources.add(root)
        problem = self._look_at_mounts().get(root)
        if problem is not None:
            self._sources.remove(root)
            self._sources.check()
            self._look_at_mounts()
            raise MonitorError(problem)

    def unwatch(self, root: bytes) -> None:
        self._sources.remove(root)
        self._sources.check()
        self._look_at_mounts()

    def rescan(self) -> None:
        """After lost events or other filters: what was known of directories is asked for anew."""
        self._inside.clear()
        self._sources.check(anew=True)
        self._look_at_mounts()

    def lost_roots(self) -> list[bytes]:
        return self._sources.lost()

    def returned_roots(self) -> list[bytes]:
        return self._sources.returned()

    def watched(self) -> list[bytes]:
        """The sources: all below them is watched by the mark on their file system."""
        return self._sources.held()

    def close(self) -> None:
        for views in self._views.values():
            for view in views:
                view.handles.close()
        self._sources.close()
        os.close(self._group)

    def drain(self) -> None:
        """Takes all events that wait in the kernel's queue into memory; may be called by another thread."""
        if self._drain():
            self._sources.ring()

    def read(self) -> list[Change]:
        """All that changed since last called, oldest first. Does not wait."""
        self._sources.calm()
        if self._sources.check():
            for problem in self._look_at_mounts().values():
                self._log("Error", problem)
        self._taken = 0
        self._drain()
        is_all = False
        while not is_all and self._taken < _READ_AHEAD:
            self._work(self._take())
            is_all = not self._drain()
        if self._has_dropped:
            self._has_dropped = False
            self.overflowed = True
        if is_all:
            self._settle()
        else:
            self._sources.ring()
        for views in self._views.values():
            for view in views:
                view.handles.close()
        changes, self._changes = self._changes, []
        return changes

    # ---- out of the kernel --------------------------------------------------------------------

    def _drain(self) -> bool:
        """Takes what the kernel has; gives whether there was anything."""
        taken = 0
        with self._lock:
            while piece := self._read_piece():
                taken += len(piece)
                if self._size + len(piece) > self._limit:
                    self._pieces.clear()
                    self._size = 0
                    self._has_dropped = True
                if not self._has_dropped:
                    self._pieces.append(piece)
                    self._size += len(piece)
            self._taken += taken
        return taken > 0

    def _read_piece(self) -> bytes:
        try:
            return os.read(self._group, _CHUNK)
        except BlockingIOError:
            return b""

    def _take(self) -> list[bytes]:
        with self._lock:
            pieces = list(self._pieces)
            self._pieces.clear()
            self._size = 0
        return pieces

    # ---- events -------------------------------------------------------------------------------

    def _work(self, pieces: list[bytes]) -> None:
        """Turns a batch of events into changes."""
        is_moving = events.has_directories(pieces)
        if is_moving:
            renames, graves = events.directories(pieces)
            for identity, views in self._views.items():
                for view in views:
                    if any(map(self._matters, view.places.begin(renames.get(identity, ()), graves))):
                        self._inside.clear()
        for piece in pieces:
            self._decode(piece)
        if is_moving:
            for views in self._views.values():
                for view in views:
                    view.places.end()
            if graves:
                self._inside.clear()

    def _matters(self, rename: tuple[bytes | None, bytes | None]) -> bool:
        """Whether a renamed directory is within a source, or a source within it."""
        return any(
            path is not None and (path.startswith(root) or root.startswith(path))
            for path in rename
            for root in self._held
        )

    def _decode(self, piece: bytes) -> None:
        """The cost of a burst is the cost of this loop."""
        unpack, etypes_of, inside_of = FIRST.unpack_from, self._etypes.get, self._inside.get
        make, append, gone = tuple.__new__, self._changes.append, self._gone.add
        position, end = 0, len(piece)
        while position < end:
            size, _, _, _, mask, _, _, kind, _, length, count = unpack(piece, position)
            at, position = position, position + size
            etypes = etypes_of(mask)
            if etypes is None or kind != NAME_RECORD:
                self._decode_rest(piece, at, mask)
                continue
            stop = at + HANDLE + count
            key = piece[at + KEY : stop]
            above = inside_of(key)
            if above is None:
                above = self._find(key)
            if not above:
                continue
            name = piece[stop : at + RECORD + length].rstrip(b"\0")
            for directory in above:
                if directory is None:
                    continue
                path = directory + name
                if mask & DELETE:
                    gone(path)
                elif not mask & CREATE and not _exists(path) and not self._is_named(piece, at):
                    continue  # written to or touched after its name was deleted
                for etype in etypes:
                    append(make(Change, (etype, path, None)))

    def _decode_rest(self, piece: bytes, position: int, mask: int) -> None:
        if mask & Q_OVERFLOW:
            self.overflowed = True
            return
        found = events.records(piece, position)
        if mask & RENAME:
            self._renamed(found[OLD_NAME_RECORD], found[NEW_NAME_RECORD], is_directory=bool(mask & ONDIR))
            return
        record = found.get(NAME_RECORD)
        if record is None:
            return  # of a file whose name is gone
        for directory in self._find(record.key):
            if directory is None:
                continue
            if mask & ONDIR and record.name == b".":
                if mask & ATTRIB and self._is_within_source(directory):
                    self._changes.append(Change("Attrib", directory))
            elif mask & (MOVED_FROM | MOVED_TO):
                self._moved_half(directory + record.name, mask)
            else:
                self._tell_rest(directory + record.name + (b"/" if mask & ONDIR else b""), mask)

    def _tell_rest(self, path: bytes, mask: int) -> None:
        """Of directories; of files, where it is open what happened: then the disk tells what came last."""
        if mask & DELETE:
            self._gone.add(path)
            if mask & CREATE and _exists(path):
                self._changes.append(Change("Delete", path))
                mask &= ~DELETE
        is_new = bool(mask & CREATE) and (self._tells_creates or bool(mask & ONDIR) or _is_finished(path))
        self._changes += [Change(etype, path) for etype in events.etypes(mask, self._content, is_new=is_new)]

    def _renamed(self, origin: events.Record, destination: events.Record, *, is_directory: bool) -> None:
        slash = b"/" if is_directory else b""
        views = self._views.get(origin.key[:FILE_SYSTEM], ())
        nowhere = (None,) * len(views)
        above = self._find(origin.key) or nowhere
        above2 = self._find(destination.key) or nowhere
        for directory, directory2 in zip(above, above2, strict=True):
            path = None if directory is None else directory + origin.name + slash
            path2 = None if directory2 is None else directory2 + destination.name + slash
            if path is not None:
                self._note(path)
                self._left.add(path)
            if path2 is not None:
                self._note(path2)
                if is_directory and self._unplaced:
                    self._changes.append(Change("Delete", path2))
            if path is not None and path2 is not None:
                self._changes.append(Change("Move", path, path2))
                if is_directory:
                    self._renames.append((path, path2))
            elif path is not None:
                self._changes.append(Change("Delete", path))
            elif path2 is not None:
                self._changes.append(Change("Create", path2))
                self._tell_contents(path2)
        if is_directory:
            for view in views:
                view.places.passed()
            self._inside.clear()

    def _moved_half(self, path: bytes, mask: int) -> None:
        """Half of a rename, from a kernel that does not tell both in one: whether the name is there now is what counts.

        Halves are not matched: the kernel may have put one of them together with an older event of the same name.
        """
        if mask & ONDIR:
            self._inside.clear()
        self._state(path + (b"/" if mask & ONDIR else b""))

    def _is_named(self, piece: bytes, position: int) -> bool:
        """Whether the file of an event has a name left: if so, it was renamed since, which comes next."""
        record = events.records(piece, position).get(FID_RECORD)
        if record is None:
            return True
        views = self._views.get(record.key[:FILE_SYSTEM], ())
        return any(view.handles.is_named(record.key[FILE_SYSTEM:]) for view in views)

    # ---- where --------------------------------------------------------------------------------

    def _find(self, key: bytes) -> Inside:
        """A directory's paths within the sources; empty if it has none."""
        found = self._inside.get(key)
        if found is None:
            places = [view.places.of(key[FILE_SYSTEM:]) for view in self._views.get(key[:FILE_SYSTEM], ())]
            if None in places:
                self._unplaced = _REMEMBERED
                if not any(places):
                    return ()  # asked for again, so that it is noticed again
            found = tuple(path if path is not None and self._is_wanted(path) else None for path in places)
            if not any(found):
                found = ()
            if len(self._inside) >= _CACHED:
                self._inside.clear()
            self._inside[key] = found
        return found

    def _is_below_source(self, path: bytes) -> bool:
        return path.startswith(self._held)

    def _is_within_source(self, path: bytes) -> bool:
        return any(path.startswith(root) and path != root for root in self._held)

    def _is_wanted(self, path: bytes) -> bool:
        """Whether a directory is within a source, and neither it nor one above it is unwanted."""
        return any(path.startswith(root) and self._is_way_wanted(path, len(root)) for root in self._held)

    def _is_way_wanted(self, path: bytes, cut: int) -> bool:
        while cut:
            if not self._wants(path[:cut]):
                return False
            cut = path.find(b"/", cut) + 1
        return True

    def _look_at_mounts(self) -> dict[bytes, str]:
        """Marks the file systems that hold sources now. Gives why a source can't be watched."""
        self._inside.clear()
        self._held = tuple(self._sources.held())
        problems: dict[bytes, str] = {}
        points: dict[int, bytes] = {}
        try:
            mounts = read_mounts() if self._held else []
        except OSError as error:
            return dict.fromkeys(self._held, _refusal(error))
        views: dict[bytes, list[_View]] = {}
        marked: dict[bytes, bytes] = {}
        for root in self._held:
            own = mount_of(root, mounts)
            for mount in [] if own is None else [own, *mounts_below(root, mounts)]:
                if mount.number in points:
                    continue
                point = root if mount is own else mount.point
                try:
                    identity = self._mark(point)
                except OSError as error:
                    if mount is own:
                        problems[root] = _refusal(error, root, mount.kind)
                    else:
                        self._warn(mount, error)
                    continue
                points[mount.number] = point
                marked.setdefault(identity, point)
                views.setdefault(identity, []).append(_View(point, self._is_below_source))
        for identity in self._marked.keys() - marked.keys():
            try:
                calls.unmark(self._group, self._mask, self._marked[identity])
            except OSError:
                pass  # it is gone, with its mark
        self._views, self._marked = views, marked
        return problems

    def _mark(self, point: bytes) -> bytes:
        """Marks a file system and gives its identity. Raises OSError."""
        calls.mark(self._group, self._mask, point)
        mount = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(calls.open_handle(mount, calls.handle_of(point)))
        finally:
            os.close(mount)
        return calls.file_system_id(point)

    def _warn(self, mount: Mount, error: OSError) -> None:
        if mount.point not in self._refused:
            self._refused.add(mount.point)
            shown = mount.point.decode("utf-8", "surrogateescape")
            reason = _REASONS.get(error.errno or 0, error.strerror)
            self._log("Warn", f"changes below {shown} ({mount.kind}) go unnoticed by fanotify: {reason}.")

    # ---- what events leave open ---------------------------------------------------------------

    def _note(self, path: bytes) -> None:
        self._ends[path] = self._ends.get(path, 0) + 1

    def _settle(self) -> None:
        """Tells the state of what may have gone to and fro: the events do not give the order of that for sure."""
        ends, self._ends = self._ends, {}
        gone, self._gone = self._gone, set()
        left, self._left = self._left, set()
        renames, self._renames = self._renames, []
        self._unplaced = max(0, self._unplaced - 1)
        again = {path for path, count in ends.items() if count > 1 or path in gone}
        again.update(filter(_exists, left))
        entangled = _entangled({path for rename in renames for path in rename})
        for rename in renames:
            if not entangled.isdisjoint(rename):
                again.update(rename)
        for path in sorted(again):
            self._state(path)

    def _state(self, path: bytes) -> None:
        if _exists(path):
            self._changes.append(Change("Create", path))
            self._tell_contents(path)
        else:
            self._changes.append(Change("Delete", path))

    def _tell_contents(self, path: bytes) -> None:
        """A Create for everything in a directory."""
        if path.endswith(b"/"):
            self._changes.extend(self._contents(path))

    def _contents(self, top: bytes) -> Iterator[Change]:
        stack = [top]
        while stack:
            directory = stack.pop()
            if not self._wants(directory):
                continue
            try:
                with os.scandir(directory) as entries:
                    found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            except OSError:
                continue  # gone or closed meanwhile
            for name, is_directory in found:
                path = directory + name
                if is_directory:
                    path += b"/"
                    stack.append(path)
                yield Found("Create", path)


def _refusal(error: OSError, root: bytes = b"", kind: str = "") -> str:
    """One line: what, why, and what to do."""
    place = f" for {root.decode('utf-8', 'surrogateescape')} ({kind})" if root else ""
    reason = _REASONS.get(error.errno or 0, error.strerror)
    return f'The monitor "fanotify" cannot be used{place}: {reason}. The monitor "inotify" needs none of this.'


def _entangled(paths: set[bytes]) -> set[bytes]:
    """Those of directories that lie within another one of them, and those others."""
    found = set()
    top = None
    for path in sorted(paths):
        if top is not None and path.startswith(top):
            found |= {top, path}
        else:
            top = path
    return found


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path.rstrip(b"/"))
    except OSError:
        return None


def _exists(path: bytes) -> bool:
    """Whether a directory (with a slash at the end), or something that is none, is there now."""
    try:
        found = os.lstat(path.rstrip(b"/"))
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return stat.S_ISDIR(found.st_mode) == path.endswith(b"/")


def _is_finished(path: bytes) -> bool:
    """Whether no close-write is to be expected for what was just created: all but regular files with one name."""
    found = _lstat(path)
    return found is not None and not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
