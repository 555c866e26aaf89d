"""What every event monitor is to the rest: a source of changes in watched trees (spec 3.1, 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

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


@runtime_checkable
class Patient(Monitor, Protocol):
    """What a monitor may have beside: it reads in slices, and leaves alone what moves too fast to be followed."""

    def is_behind(self) -> bool:
        """Whether events wait in memory after `read()`."""

    def leave_alone(self, root: bytes) -> None:
        """Tells nothing of a source until `look_through`, and costs nothing for it."""

    def look_through(self, root: bytes) -> None:
        """Watches it again with all that is in it now, and tells nothing of that; if it is not there it is lost."""


Log = Callable[..., None]


class MonitorKind(NamedTuple):
    """A monitor by name: `make(inotify_mode, wants, log)` gives one, or raises MonitorError with the reason.

    `wants(directory)` tells whether any sync has a use for a directory; `log(category, *parts)`.
    """

    name: str
    make: Callable[[str, Callable[[bytes], bool], Log], Monitor]
