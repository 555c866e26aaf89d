"""What every event monitor is to the rest: a source of changes in watched trees (spec 3.1, 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from orchestrator.logic.change import Change


class Monitor(Protocol):
    """Reports what changes below the sources it watches. See InotifyMonitor for each method's contract."""

    overflowed: bool

    def fileno(self) -> int: ...

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None: ...

    def unwatch(self, root: bytes) -> None: ...

    def rescan(self) -> None: ...

    def read(self) -> list[Change]: ...

    def drain(self) -> None: ...

    def lost_roots(self) -> list[bytes]: ...

    def returned_roots(self) -> list[bytes]: ...

    def watched(self) -> list[bytes]: ...

    def close(self) -> None: ...


Log = Callable[..., None]


class MonitorKind(NamedTuple):
    """A monitor by name: `make(inotify_mode, wants, log)` gives one, or raises MonitorError with the reason.

    `wants(directory)` tells whether any sync has a use for a directory; `log(category, *parts)`.
    """

    name: str
    make: Callable[[str, Callable[[bytes], bool], Log], Monitor]
