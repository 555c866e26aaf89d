"""The contract between an event monitor and the rest: a source of changes in watched trees (spec 3.1, 6).

Errors, of every method: `MonitorError` ends the daemon with its text as the one line (at the start with `monitor =
"auto"`, the next monitor is tried instead). Any other exception of a plugin's monitor ends the daemon at the start,
naming the monitor, and later stops the syncs that this monitor serves, while the others go on; afterwards nothing but
`fileno` and `close` is called. An exception raised by `progress` is to be passed on: it ends the daemon.

Everything is called on the loop's thread, but for `drain`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from orchestrator.logic.change import Change

Progress = Callable[[int], None]
"""To be called now and then during long work, several times a second, with the directories done so far. May raise."""


class Monitor(ABC):
    """Reports what changes below sources: absolute paths with a slash at the end.

    A source is in place (its changes are reported), lost (it is gone, replaced or unmounted) or paused. Paths of
    directories have a slash at the end. A changed file is reported at least once after its last change.
    """

    overflowed: bool = False
    """Whether changes were lost, by an overflow of the kernel's queue for instance. Set by `read()`; the caller clears
    it, calls `rescan()`, and has every source transferred as a whole."""

    @abstractmethod
    def fileno(self) -> int:
        """A descriptor, always the same, that is readable as long as `read()` has something to do."""

    @abstractmethod
    def watch(self, root: bytes, progress: Progress | None = None) -> None:
        """Before: any state; called once for each sync of a source. After: changes below `root` are reported from now
        on, or `lost_roots()` has it, and it is watched as soon as it appears. Its present contents are not reported.

        MonitorError: it cannot be watched; nothing is left of the attempt.
        """

    @abstractmethod
    def unwatch(self, root: bytes) -> None:
        """Before: watched. After as many calls as there were of `watch`: nothing below `root` is reported, but for what
        lies within other sources as well.
        """

    @abstractmethod
    def read(self) -> list[Change]:
        """The changes since the last call, oldest first; must not wait, and returns after a fraction of a second.

        After: where there was more to do than that, `is_behind()` is true and `fileno()` readable. Lost and returned
        sources are up to date.
        """

    @abstractmethod
    def lost_roots(self) -> list[bytes]:
        """The sources lost since the last call, each once. Nothing is reported of them until they are back."""

    @abstractmethod
    def returned_roots(self) -> list[bytes]:
        """The lost sources that are in place again since the last call, each once, and watched.

        Their contents are not reported: the caller has them transferred as a whole.
        """

    @abstractmethod
    def watched(self) -> list[bytes]:
        """The watched directories, for the status; the sources at least."""

    def count_watched(self) -> int:
        """The number of watched directories, for who asks often. To be overridden where the list costs much."""
        return len(self.watched())

    @abstractmethod
    def close(self) -> None:
        """Frees descriptors and threads. Nothing is called afterwards."""

    def rescan(self, progress: Progress | None = None) -> None:  # noqa: B027 - optional
        """After lost changes, or when `wants` has come to give other answers: what is watched follows.

        After: `lost_roots()` and `returned_roots()` are up to date. Nothing found by that is reported.
        """

    def drain(self) -> None:  # noqa: B027 - optional
        """Takes events out of a queue that could overflow, into memory; quick. After: `fileno()` says so.

        Called by another thread while the loop is busy; never during `read()`.
        """

    def is_behind(self) -> bool:
        """Whether `read()` came to its end before all was reported. If that lasts, and because one source moves faster
        than its changes can be worked off, that source is paused.
        """
        return False

    def has_shortage(self) -> bool:
        """Whether something is still to be read because descriptors or memory were short. Nothing will report the end
        of that: `read()` is called again a second later.
        """
        return False

    def pause(self, root: bytes) -> None:  # noqa: B027 - optional
        """Before: in place or lost. After, until `resume`: the source costs as little as possible; nothing is reported
        of it, nor is it lost or returned. By default nothing is done: changes reported of a paused source are ignored.
        """

    def resume(self, root: bytes, progress: Progress | None = None) -> None:  # noqa: B027 - optional
        """Before: paused. After: in place, as after `watch`, or lost if it is not there any more.

        The caller has it transferred as a whole.
        """

    def polled(self) -> list[bytes]:
        """The directories that are polled because they could not be watched, for the status."""
        return []


Log = Callable[..., None]
"""`log(category, *parts)`: a line of the log."""


class MonitorKind(NamedTuple):
    """A monitor by name: `make(inotify_mode, wants, log)` gives one, or raises MonitorError with the reason.

    `wants(directory)` says whether any sync has a use for a directory. See `Log`.
    """

    name: str
    make: Callable[[str, Callable[[bytes], bool], Log], Monitor]
