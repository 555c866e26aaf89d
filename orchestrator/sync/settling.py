"""Files that were written a moment ago and are to be quiet for a while before they travel (`settle`).

They wait here, outside the queue: what a program writes to bit by bit must hold up nothing else. A file is quiet when
no event has come in that time, and its size and time have stayed: a writer that keeps it open makes no event.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.logic.event import ATTRIB, CREATE, DELETE, MODIFY
from orchestrator.logic.oldest import Oldest

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.host import Host

_Stamp = tuple[int, int, int]


class _Entry(NamedTuple):
    """`due`: when it has been quiet for long enough; `since`: when the first change happened."""

    etype: str
    due: float
    look: _Stamp | None
    since: float


class Settling:
    """One sync's. `seconds`: how long a file must be quiet. `release(etype, path, since)`: it may travel; `since`: when
    the first of its changes happened, in seconds of the monotonic clock.

    All wait for the same time, so they stand in the order in which they are due.
    """

    def __init__(self, host: Host, source: bytes, seconds: float, release: Callable[[str, bytes, float], None]) -> None:
        self._host = host
        self.source = source
        self._seconds = seconds
        self._release = release
        self._waiting: dict[bytes, _Entry] = {}
        self._oldest: Oldest[bytes] = Oldest(self._since_of)
        self._has_timer = False

    def __len__(self) -> int:
        return len(self._waiting)

    def oldest(self) -> float | None:
        """When the oldest of the changes happened that wait here; None: none does."""
        return self._oldest.first()

    def takes(self, etype: str, path: bytes) -> bool:
        """A change came. Whether it is to wait here; a path has a leading slash."""
        if path.endswith(b"/"):
            return False
        if etype == DELETE:
            self._waiting.pop(path, None)
            return False
        if etype == ATTRIB:
            return path in self._waiting  # it goes with the file
        if etype not in (CREATE, MODIFY):
            return False
        before = self._waiting.pop(path, None)
        since = self._host.clock.now() if before is None else before.since
        kept = CREATE if before is not None and before.etype == CREATE else etype
        self._wait(kept, path, self._look(path), since)
        return True

    def moves(self, path: bytes, path2: bytes | None) -> None:
        """A file or directory was moved within the source, or (None) out of it: what waits there does so elsewhere."""
        moved = [path] if path in self._waiting else []
        if path.endswith(b"/"):
            moved = [waiting for waiting in self._waiting if waiting.startswith(path)]
        for waiting in moved:
            entry = self._waiting.pop(waiting)
            if path2 is not None:
                place = path2 + waiting[len(path) :]
                self._wait(entry.etype, place, self._look(place), entry.since)

    def has(self, path: bytes) -> bool:
        """Whether this file waits here."""
        return path in self._waiting

    def take_all(self) -> list[tuple[str, bytes, float]]:
        """Take out everything that waits, in its order: its type, its path, and since when."""
        waiting, self._waiting = self._waiting, {}
        return [(entry.etype, path, entry.since) for path, entry in waiting.items()]

    def _wait(self, etype: str, path: bytes, look: _Stamp | None, since: float) -> None:
        self._waiting[path] = _Entry(etype, self._host.clock.now() + self._seconds, look, since)
        self._oldest.add(since, path)
        if not self._has_timer:
            self._set_timer()

    def _set_timer(self) -> None:
        first = next(iter(self._waiting.values()), None)
        self._has_timer = first is not None
        if first is not None:
            self._host.alarms.add(first.due, self._fire)

    def _fire(self) -> None:
        now = self._host.clock.now()
        while (path := next(iter(self._waiting), None)) is not None and self._waiting[path].due <= now:
            etype, _, before, since = self._waiting.pop(path)
            look = self._look(path)
            if look is None:
                continue  # gone: its Delete is an event of its own, or that of a directory above it
            if look == before:
                self._release(etype, path, since)
            else:
                self._wait(etype, path, look, since)
        self._set_timer()

    def _since_of(self, path: bytes) -> float | None:
        entry = self._waiting.get(path)
        return None if entry is None else entry.since

    def _look(self, path: bytes) -> _Stamp | None:
        try:
            status = os.lstat(self.source + path[1:])
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
