"""Where a directory was at the time of an event, concluded from where it is now. Pure.

The kernel names directories by handles. Only the present path of one can be found out; an event that is being worked
off may be older than renames that have been read, but are not worked off yet: those are undone, the youngest first. A
directory that is gone by now has the path that the event of its deletion gives it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Entry(NamedTuple):
    """A name in a directory that is known by its handle."""

    handle: bytes
    name: bytes


class DeletedDirectory(NamedTuple):
    """A directory that is gone: its last place, and how many renames of the batch came before its end."""

    entry: Entry
    renames: int


_DEEPEST = 100_000  # directories within one another, all gone


class Places:
    """The directories of one mount, while a batch of events is worked off: `begin`, then `passed` for each rename."""

    def __init__(self, look: Callable[[bytes], bytes | None]) -> None:
        """`look(handle)`: the path of a directory now, with a slash at the end; None if there is none."""
        self._look = look
        self._renames: list[tuple[bytes | None, bytes | None]] = []
        self._by_destination: dict[bytes, list[int]] = {}
        self._passed = 0
        self._deleted_directories: Mapping[bytes, DeletedDirectory] = {}
        self._looked: dict[bytes, bytes | None] | None = None  # what `look` gave while a batch begins

    def begin(
        self, renames: Sequence[tuple[Entry, Entry]], deleted_directories: Mapping[bytes, DeletedDirectory]
    ) -> list[tuple[bytes | None, bytes | None]]:
        """Renames of directories in the batch, in order, and deletions by the handle of what was deleted.

        Gives both paths of each rename, at its time.
        """
        self._deleted_directories = deleted_directories
        self._looked = {}
        self._renames = [(None, None)] * len(renames)
        for number in range(len(renames) - 1, -1, -1):
            origin, destination = renames[number]
            self._passed = number + 1
            there = self._path(destination)
            self._renames[number] = (self._path(origin), there)
            if there is not None:
                self._by_destination.setdefault(there, []).insert(0, number)
        self._passed = 0
        self._looked = None
        return self._renames

    def passed(self) -> None:
        """The next rename has been worked off."""
        self._passed += 1

    def end(self) -> None:
        """The batch has been worked off."""
        self._renames = []
        self._by_destination = {}
        self._passed = 0
        self._deleted_directories = {}

    def of(self, handle: bytes) -> bytes | None:
        """The path of a directory, with a slash at the end, as the events have it that are worked off now."""
        gone: list[DeletedDirectory] = []
        while (path := self._path_now(handle)) is None:
            deletion = self._deleted_directories.get(handle)
            if deletion is None or len(gone) > _DEEPEST:
                return None
            gone.append(deletion)
            handle = deletion.entry.handle
        last = len(self._renames)
        for deletion in reversed(gone):
            above = self._undone(path, deletion.renames, last)
            if above is None:
                return None
            path = b"%s%s/" % (above, deletion.entry.name)
            last = deletion.renames
        return self._undone(path, self._passed, last)

    def _path_now(self, handle: bytes) -> bytes | None:
        if self._looked is None:
            return self._look(handle)
        if handle not in self._looked:  # thousands of renames in one directory: it is asked for once
            self._looked[handle] = self._look(handle)
        return self._looked[handle]

    def _path(self, entry: Entry) -> bytes | None:
        above = self.of(entry.handle)
        return None if above is None else b"%s%s/" % (above, entry.name)

    def _undone(self, path: bytes, first: int, last: int) -> bytes | None:
        """A path before the renames from the first up to, but without, the last."""
        there: bytes | None = path
        while there is not None and self._by_destination:
            number, cut = self._last_rename(there, last)
            if number < first:
                break
            origin = self._renames[number][0]
            there = None if origin is None else origin + there[cut:]
            last = number
        return there

    def _last_rename(self, path: bytes, before: int) -> tuple[int, int]:
        """The last rename, of those before a certain one, that moved `path` or something above it; -1 if none did."""
        best = (-1, 0)
        cut = 0
        while cut := path.find(b"/", cut) + 1:
            numbers = self._by_destination.get(path[:cut])
            if numbers is not None:
                place = bisect_left(numbers, before) - 1
                if place >= 0:
                    best = max(best, (numbers[place], cut))
        return best
