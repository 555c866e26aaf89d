"""The state of one sync's target, as the loop asks for it. Its work is done on the writer's thread."""

from __future__ import annotations

import os
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.logic.event import ATTRIB
from orchestrator.logic.known import (
    DIRECTORY,
    ROOT,
    Comparison,
    Descent,
    Moment,
    checksum_of,
    ctime_of,
    differences,
    is_directory,
    kind_of,
    status_of,
    unchanged,
    without_attributes,
)
from orchestrator.state.place import Seal, Unusable, file_name
from orchestrator.state.scan import entries_of, open_to_list, unmoved_since
from orchestrator.state.store import VERSION, Damaged, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from orchestrator.logic.known import Brought, Touched
    from orchestrator.state.writer import Writer

CLOCK_REALTIME_COARSE: Final = 5
"""The clock that the kernel takes file times from (clock_gettime(2))."""

CLOCK_MONOTONIC_COARSE: Final = 6
"""The same clock, but for where it was set."""

PIECE: Final = 500
"""Paths that are worked off at once, while transfers may wait."""

DONE: Final = "done"

_FAULTS: Final = (sqlite3.Error, OSError, Damaged, Unusable, ValueError, TypeError, OverflowError)
"""What a database with any content, on any disk, may raise."""


class _Closing(Exception):
    """The daemon ends: nobody waits for the comparison any more."""


class Source(NamedTuple):
    """A tree to be walked. `path`: absolute, a slash at its end. `identity`: what a state must have been made for, each
    with a key of `REASONS`. `excludes` None: nothing is left out."""

    path: bytes
    identity: Mapping[str, str]
    excludes: Callable[[bytes], bool] | None


REASONS: Final[Mapping[str, str]] = {
    "source": "the source is another directory",
    "target": "the target is another one",
    "filters": "the filters are others",
    "options": "the options are others",
}


class Keeper:
    """The state of one sync. Every method is called by the loop.

    `in_loop(callback)`: has it called by the loop. `report(problem)`: by any thread.
    """

    def __init__(
        self, directory: str, name: str, source: Callable[[], Source], writer: Writer,
        in_loop: Callable[[Callable[[], None]], None], report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._directory = directory
        self._name = name
        self._source = source
        self._path = b""
        self._writer = writer
        self._in_loop = in_loop
        self._report = report
        self._is_void = True  # no full run has ended, so nothing is claimed
        self._is_closing = False
        self._walks = 0
        # of the writer's thread
        self._store: Store | None = None
        self._seal: Seal | None = None
        self._recording: list[_Recording] = []

    def compare(self, done: Callable[[Comparison], None]) -> None:
        """Open the state and compare the source with it."""
        lost = partial(self._tell, done, Comparison("its state is lost"))
        self._writer.begin(self._guarded(self._open(self._source(), done), lost))

    def _tell(self, done: Callable[[Comparison], None], look: Comparison) -> None:
        def tell() -> None:
            self._is_void = bool(look.reason)
            done(look)

        if not self._is_closing:
            self._in_loop(tell)

    def begin(self, touched: Sequence[Touched] | None, go: Callable[[], None]) -> None:
        """A transfer is about to begin, of the whole tree where `touched` is None: `go` is called when nothing is
        claimed any more of what it may change."""
        if self._is_void:
            go()
            return
        self._is_void = touched is None
        self._writer.call(lambda: self._void(touched, go))

    def moment(self) -> Moment:
        """Now."""
        return _now()

    def invalidate(self) -> None:
        """Nothing of the state holds any more, until everything has arrived."""
        self.begin(None, lambda: None)

    def arrived(self, brought: Brought, since: Moment) -> None:
        """A transfer that began at `since` went well."""
        if self._is_void or self._is_closing:
            return
        recording = _Recording(self._path, brought, since)
        self._writer.call(lambda: self._recording.append(recording))
        if not self._writer.begin(self._guarded(self._record(recording)), len(recording)):
            self._writer.call(lambda: self._recording.remove(recording))

    def everything_arrived(self, pending: Sequence[bytes], since: Moment) -> None:
        """A run over the whole tree that began at `since` went well, but for these paths."""
        if self._is_closing:
            return
        self._is_void = False
        self._walks += 1
        walk, source = str(self._walks), self._source()
        self._path = source.path
        self._writer.call(lambda: self._clear(source, pending, walk))
        self._writer.begin(self._guarded(self._walk(source, walk, since)))

    def close(self, *, is_at_rest: bool) -> None:
        """Write what is waiting, and let go. `is_at_rest`: no transfer runs."""
        self._is_closing = True
        self._writer.begin(self._guarded(self._close(time.time() if is_at_rest else None)))

    # ---- the writer's thread ------------------------------------------------------------------

    def _guarded(self, task: Iterator[None], otherwise: Callable[[], None] = lambda: None) -> Iterator[None]:
        try:
            yield from task
        except _FAULTS as error:
            self._give_up(error)
            otherwise()

    def _give_up(self, error: BaseException) -> None:
        """The state cannot be kept: whatever it claims must be gone before anything more is transferred."""
        store, seal, self._store = self._store, self._seal, None
        try:
            if store is not None:
                store.close()
        except sqlite3.Error:
            pass
        problem = f"the state of {self._name} cannot be kept: {error}"
        if seal is not None:
            try:
                seal.remove_files()
            except OSError as left:
                problem += f"; remove {seal.path} before the next start, it is out of date ({left.strerror})"
        self._report(problem)

    def _open(self, source: Source, done: Callable[[Comparison], None]) -> Iterator[None]:
        yield
        self._path = source.path
        try:
            seal = self._seal = Seal(self._directory, file_name(self._name))
        except Unusable as error:
            self._tell(done, Comparison(str(error)))
            return
        is_new = seal.make()
        store, reason = None, "there is no state yet" if is_new else ""
        found: tuple[list[tuple[str, bytes]], int] = [], 0
        until: float | None = None
        try:
            store = Store(seal)
            if not is_new:
                reason = _reason(store, source.identity)
            if not reason:
                stopped = store.about("until")
                until = None if stopped is None else float(stopped)
                found = yield from self._compare(store, source)
                # from here on the daemon may be killed: nothing says when its last transfer is over
                store.set_about({"until": None})
                store.commit(durably=True)
        except _Closing:
            if store is not None:
                store.close()
            return
        except (sqlite3.Error, Damaged, ValueError, TypeError, OverflowError) as error:
            reason = f"its state is unreadable: {error}"
        if store is None or reason:
            if store is not None:
                store.close()
            seal.remove_files()
            seal.make()
            store = Store(seal)
            store.clear()
            store.set_about({"full": None})
            store.commit(durably=True)
        self._store = store
        self._tell(done, Comparison(reason, *found, until))

    def _compare(self, store: Store, source: Source) -> Generator[None, None, tuple[list[tuple[str, bytes]], int]]:
        """Gives the changes, and how many paths there are."""
        root = store.root()
        if root is None:
            raise Damaged("it has no root")
        changes: list[tuple[str, bytes]] = []
        total = 1
        status = status_of(os.stat(source.path))
        if root.status != status:
            changes.append((ATTRIB, b"/"))
        pending = [(b"/", Descent(b"", ROOT, root.below, True))]
        while pending:
            path, descent = pending.pop()
            records = {} if descent.number is None else store.records(descent.number)
            if descent.is_known and checksum_of(records) != descent.below:
                raise Damaged("records are missing")
            entries = entries_of(source.path, path, source.excludes)
            if self._is_closing:
                raise _Closing
            if entries is None:
                if path == b"/":
                    raise Damaged("the source cannot be read")
                continue  # it has gone, of which there is an event; or nobody can read it, rsync as little
            same = unchanged(records, entries) if descent.is_known else None
            if same is not None:
                pending += [(path + below.name + b"/", below) for below in same]
                total += len(entries)
                yield
                continue
            found, descents = differences(records, entries, is_known=descent.is_known)
            changes += [(etype, path + name) for etype, name in found]
            pending += [(path + below.name + b"/", below) for below in descents]
            total += len(entries.keys() | records.keys())
            yield
        return changes, total

    def _void(self, paths: Sequence[Touched] | None, go: Callable[[], None]) -> None:
        store = self._store
        try:
            if store is not None:
                if paths is None:
                    store.set_about({"full": None, "walk": None})
                else:
                    self._void_paths(store, paths)
                store.commit(durably=True)
        except _FAULTS as error:
            self._give_up(error)
        if not self._is_closing:
            self._in_loop(go)

    def _void_paths(self, store: Store, paths: Sequence[Touched]) -> None:
        for path, with_below, attributes_only in paths:
            if with_below:
                store.void_below(path)
            elif attributes_only:
                store.void_attributes(path)
            else:
                store.void(path)
        for recording in self._recording:
            recording.skip(paths)

    def _clear(self, source: Source, pending: Sequence[bytes], walk: str) -> None:
        try:
            store = self._store
            if store is not None:
                store.clear()
                store.set_about({**source.identity, "full": None, "walk": walk})
                for path in pending:
                    store.void(path)
                store.commit()
        except _FAULTS as error:
            self._give_up(error)

    def _walk(self, source: Source, walk: str, since: Moment) -> Iterator[None]:
        yield
        pending, count = [b"/"], 0
        while pending and not self._is_closing:
            store = self._store
            if store is None or store.about("walk") != walk:
                return
            path = pending.pop()
            entries = entries_of(source.path, path, source.excludes)
            before = since.seen_from(_now())
            unmoved = unmoved_since(source.path, path, before)
            if entries is None or not unmoved.is_there:
                store.void(path)
                continue
            if path == b"/":
                _know_root(store, source.path, before)
            known = {
                name: (kind_of(status), _known(status, before, unmoved.keeps_names)) for name, status in entries.items()
            }
            store.add(path, known)
            pending += [path + name + b"/" for name, (kind, status) in known.items() if kind == DIRECTORY and status]
            count += len(entries)
            if count >= PIECE:
                store.commit()
                count = 0
            yield
        store = self._store
        if store is not None and not pending and store.about("walk") == walk:
            store.set_about({"full": DONE, "walk": None})
            store.commit(durably=True)

    def _record(self, recording: _Recording) -> Iterator[None]:
        yield
        for path in recording.brought.pending:
            if self._store is not None:
                self._store.void(path)
        for directory, names in recording.by_directory():
            for start in range(0, len(names), PIECE):
                store = self._store
                if store is None:
                    return
                recording.record(store, directory, names[start : start + PIECE])
                yield
            if recording.brought.with_directories and self._store is not None:
                recording.record_parents(self._store, directory)
        if self._store is not None:
            self._store.commit()
        self._recording.remove(recording)

    def _close(self, until: float | None) -> Iterator[None]:
        yield
        store, seal = self._store, self._seal
        if store is not None:
            if until is not None:
                store.set_about({"until": repr(until)})
            store.commit(durably=True)
            store.close()
        if seal is not None:
            seal.close()
        self._store = self._seal = None


class _Recording:
    """A transfer that is being recorded."""

    def __init__(self, source: bytes, brought: Brought, since: Moment) -> None:
        self.brought = brought
        self._source = source
        self._since = since
        self._skipped: set[bytes] = set()
        self._skipped_below: tuple[bytes, ...] = ()
        self._parents: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.brought.present) + len(self.brought.deleted) + len(self.brought.pending)

    def skip(self, paths: Sequence[Touched]) -> None:
        """Another transfer of these paths begins."""
        self._skipped.update(touched.path for touched in paths)
        self._skipped_below += tuple(touched.path for touched in paths if touched.with_below)

    def by_directory(self) -> Iterator[tuple[bytes, list[tuple[bytes, bool]]]]:
        """Directories with the names of them that were transferred, and whether each was deleted."""
        found: dict[bytes, dict[bytes, bool]] = {}
        for paths, is_deleted in ((self.brought.deleted, True), (self.brought.present, False)):
            for path in paths:
                if path == b"/":
                    continue
                cut = path.rindex(b"/", 0, -1) + 1
                found.setdefault(path[:cut], {})[path[cut:]] = is_deleted
        for directory in sorted(found):
            yield directory, list(found[directory].items())

    def record(self, store: Store, directory: bytes, names: Iterable[tuple[bytes, bool]]) -> None:
        """Record those of a directory that have not changed since before the transfer."""
        statuses: list[tuple[bytes, bytes]] = []
        gone: list[bytes] = []
        try:
            fd = open_to_list(self._source, directory)
        except FileNotFoundError:
            fd = -1
        except OSError:
            return
        try:
            for name, is_deleted in names:
                if self._is_skipped(directory, name):
                    continue
                status = _status(fd, name.rstrip(b"/"))
                if status is None:
                    if is_deleted:
                        gone.append(directory + name)
                elif not is_deleted and is_directory(status) == name.endswith(b"/"):
                    statuses.append((name.rstrip(b"/"), status))
        finally:
            if fd >= 0:
                os.close(fd)
        before = self._since.seen_from(_now())
        unmoved = unmoved_since(self._source, directory, before)
        if unmoved.is_there:
            known = [(name, _known(status, before, unmoved.keeps_names)) for name, status in statuses]
            store.know(directory, [(name, status) for name, status in known if status is not None])
        for path in gone:
            store.drop(path)

    def record_parents(self, store: Store, directory: bytes) -> None:
        """Record the directories above what was transferred."""
        before = self._since.seen_from(_now())
        while directory not in self._parents:
            self._parents.add(directory)
            try:
                status = status_of(os.lstat(self._source + directory[1:].rstrip(b"/")))
            except OSError:
                return
            if ctime_of(status) < before and unmoved_since(self._source, directory, before).is_there:
                store.know_same(directory, status)
            if directory == b"/":
                return
            directory = directory[: directory.rindex(b"/", 0, -1) + 1]

    def _is_skipped(self, directory: bytes, name: bytes) -> bool:
        path = directory + name
        return path in self._skipped or path.startswith(self._skipped_below)


def _now() -> Moment:
    # Both clocks go on in the same step of the kernel's, so within one step what lies between them is exact, however
    # long this thread waits for the processor between the two.
    while True:
        step = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)
        coarse = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
        if time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE) == step:
            return Moment(coarse, coarse - step)


def _known(status: bytes, before: int, keeps_names: bool) -> bytes | None:
    """What of a status is certain since a time; None: nothing. `keeps_names`: no name of its directory was changed."""
    if ctime_of(status) < before:
        return status
    return without_attributes(status) if keeps_names and is_directory(status) else None


def _know_root(store: Store, source: bytes, before: int) -> None:
    status = status_of(os.stat(source))
    store.know_root(status if ctime_of(status) < before else without_attributes(status))


def _status(fd: int, name: bytes) -> bytes | None:
    """None: it is not there."""
    if fd < 0:
        return None
    try:
        return status_of(os.stat(name, dir_fd=fd, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _reason(store: Store, identity: Mapping[str, str]) -> str:
    """Why a state is not to be used; empty: it is."""
    version = store.version()
    if version != VERSION:
        return f"its state is of another version ({version})"
    if store.has_lost():
        return "its state has lost its last changes"
    for key, reason in REASONS.items():
        if store.about(key) != identity.get(key):
            return reason
    if store.about("full") != DONE:
        return "no full run has ended yet"
    return ""
