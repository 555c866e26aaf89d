"""From events to changes.

The same changes as inotify gives, but for what the kernel does not keep apart: events of one file that wait in its
queue are put together, in the place of the first. So the disk is asked wherever it is open what came last, and what was
renamed to and fro is looked at again when all events are worked off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import Change, is_there
from orchestrator_fanotify import events
from orchestrator_fanotify.ambiguous import AmbiguousPaths
from orchestrator_fanotify.calls import (
    ATTRIB,
    CREATE,
    DELETE,
    FID_RECORD,
    MODIFY,
    MOVED_FROM,
    MOVED_TO,
    NAME_RECORD,
    NEW_NAME_RECORD,
    OLD_NAME_RECORD,
    ONDIR,
    Q_OVERFLOW,
    RENAME,
)
from orchestrator_fanotify.disk import contents, is_finished
from orchestrator_fanotify.events import FIRST, HANDLE, KEY, RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator_fanotify.directories import Directories


class Translator:
    """`translate` batch after batch, `settle` when there are no more, `take` the changes.

    Both are generators, as reading one directory may take seconds: they stop whenever `limit` changes wait to be taken.
    """

    def __init__(self, directories: Directories, wants: Callable[[bytes], bool], mode: str, limit: int) -> None:
        """`mode`: the setting inotifyMode, a key of events.CONTENT."""
        self._limit = limit
        self._directories = directories
        self._wants = wants
        self._content = events.CONTENT[mode]
        self._reports_creates = mode != "CloseWrite only"  # of files that are still written to, too
        self._etypes = events.etypes_by_mask(self._content, reports_creates=self._reports_creates)
        self._changes: list[Change] = []
        self._ambiguous = AmbiguousPaths()
        self._has_overflowed = False

    def translate(self, pieces: list[bytes]) -> Iterator[None]:
        """Turns a batch of events into changes."""
        outside = self._directories.outside
        if outside:
            pieces = [events.without(piece, outside) for piece in pieces]
        is_moving = events.has_directories(pieces)
        if is_moving:
            self._directories.begin(*events.directories(pieces))
        for piece in pieces:
            yield from self._decode(piece)
        if is_moving:
            self._directories.end()

    def settle(self) -> Iterator[None]:
        """All events are worked off: reports the state of what they leave open."""
        self._directories.settle()
        is_at_source = self._directories.is_at_source
        for path in self._ambiguous.resolve(lambda path: is_at_source(path) and is_there(path)):
            if is_at_source(path):  # else its source was paused, or lost
                yield from self._state(path)
                if len(self._changes) >= self._limit:
                    yield

    def take(self) -> list[Change]:
        """The changes since the last call, oldest first."""
        changes, self._changes = self._changes, []
        return changes

    def has_overflowed(self) -> bool:
        """Whether the kernel reported that it lost events, since last asked."""
        has_overflowed, self._has_overflowed = self._has_overflowed, False
        return has_overflowed

    # ---- event by event -----------------------------------------------------------------------

    def _decode(self, piece: bytes) -> Iterator[None]:
        """The cost of a burst is the cost of this loop."""
        unpack, etypes_of, inside_of = FIRST.unpack_from, self._etypes.get, self._directories.known.get
        make, append, deleted = tuple.__new__, self._changes.append, self._ambiguous.deleted.add
        position, end = 0, len(piece)
        piece += events.NO_RECORD
        while position < end:
            size, _, _, _, mask, _, _, kind, _, length, count = unpack(piece, position)
            at, position = position, position + size
            etypes = etypes_of(mask)
            if etypes is None or kind != NAME_RECORD:
                yield from self._decode_rest(piece, at, mask)
                if len(self._changes) >= self._limit:
                    yield
                append = self._changes.append  # others by now, if they were taken
                continue
            stop = at + HANDLE + count
            key = piece[at + KEY : stop]
            above = inside_of(key)
            if above is None:
                above = self._directories.find(key)
            if not above:
                continue
            name = piece[stop : at + RECORD + length].rstrip(b"\0")
            for directory in above:
                if directory is None:
                    continue
                path = directory + name
                if mask & DELETE:
                    deleted(path)
                elif not mask & CREATE and not is_there(path) and not self._is_named(piece, at):
                    continue  # written to or touched after its name was deleted
                for etype in etypes:
                    append(make(Change, (etype, path, None)))

    def _decode_rest(self, piece: bytes, position: int, mask: int) -> Iterator[None]:
        if mask & Q_OVERFLOW:
            self._has_overflowed = True
            return
        found = events.records(piece, position)
        if mask & RENAME:
            yield from self._renamed(found[OLD_NAME_RECORD], found[NEW_NAME_RECORD], is_directory=bool(mask & ONDIR))
            return
        record = found.get(NAME_RECORD)
        if record is None:
            return  # of a file whose name is gone
        for directory in self._directories.find(record.key):
            if directory is None:
                continue
            if mask & ONDIR and record.name == b".":
                # MODIFY of a directory is of its times, where inotifyMode asks for it
                if mask & (ATTRIB | MODIFY) and self._directories.is_at_source(directory):
                    self._changes.append(Change("Attrib", directory))
            elif mask & (MOVED_FROM | MOVED_TO):
                yield from self._moved_half(directory + record.name, mask)
            else:
                self._report_rest(directory + record.name + (b"/" if mask & ONDIR else b""), mask)

    def _report_rest(self, path: bytes, mask: int) -> None:
        """Of directories; of files, where it is open what happened: then the disk reports what came last."""
        if mask & DELETE:
            self._ambiguous.deleted.add(path)
            if mask & CREATE and is_there(path):
                self._changes.append(Change("Delete", path))
                mask &= ~DELETE
        is_new = bool(mask & CREATE) and (self._reports_creates or bool(mask & ONDIR) or is_finished(path))
        self._changes += [Change(etype, path) for etype in events.etypes(mask, self._content, is_new=is_new)]

    def _renamed(self, origin: events.Record, destination: events.Record, *, is_directory: bool) -> Iterator[None]:
        slash = b"/" if is_directory else b""
        for directory, directory2 in self._directories.find_both(origin.key, destination.key):
            path = None if directory is None else directory + origin.name + slash
            path2 = None if directory2 is None else directory2 + destination.name + slash
            if path is not None:
                self._ambiguous.renamed_from(path)
            if path2 is not None:
                self._ambiguous.renamed_to(path2)
                if is_directory and self._directories.has_unplaced():
                    self._changes.append(Change("Delete", path2))
            if path is not None and path2 is not None:
                self._changes.append(Change("Move", path, path2))
                if is_directory:
                    self._ambiguous.moved(path, path2)
            elif path is not None:
                self._changes.append(Change("Delete", path))
            elif path2 is not None:
                self._changes.append(Change("Create", path2))
                yield from self._report_contents(path2)
        if is_directory:
            self._directories.passed(origin.key)

    def _moved_half(self, path: bytes, mask: int) -> Iterator[None]:
        """Half of a rename, from a kernel that does not report both in one: reports whether the name is there now.

        Halves are not matched: the kernel may have put one of them together with an older event of the same name.
        """
        if mask & ONDIR:
            self._directories.forget()
        yield from self._state(path + (b"/" if mask & ONDIR else b""))

    def _is_named(self, piece: bytes, position: int) -> bool:
        """Whether the file of an event has a name left: if so, it was renamed since, which comes next."""
        record = events.records(piece, position).get(FID_RECORD)
        return record is None or self._directories.is_named(record.key)

    def _state(self, path: bytes) -> Iterator[None]:
        if is_there(path):
            self._changes.append(Change("Create", path))
            yield from self._report_contents(path)
        else:
            self._changes.append(Change("Delete", path))

    def _report_contents(self, path: bytes) -> Iterator[None]:
        """A Create for everything in a directory."""
        if path.endswith(b"/"):
            for change in contents(path, self._wants):
                self._changes.append(change)
                if len(self._changes) >= self._limit:
                    yield
