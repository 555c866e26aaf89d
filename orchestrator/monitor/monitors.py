"""Several monitors at once: each sync gets its changes from the one that it asks for (spec 6 "Beyond").

A monitor is made when the first sync asks for it, so that what nobody uses costs nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from orchestrator.errors import MonitorError, OrchestratorError
from orchestrator.monitor.base import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.logic.change import Change
    from orchestrator.monitor.base import Log, MonitorKind, Progress

DEFAULT = "inotify"

AUTO = "auto"
"""In place of a monitor's name: the first of `PREFERRED` that can watch the source."""

PREFERRED = ("fanotify", DEFAULT)

P = ParamSpec("P")
T = TypeVar("T")


class MonitorFailed(MonitorError):
    """A plugin's monitor raised something that no monitor may raise. `reason`: what that was."""

    def __init__(self, name: str, error: Exception) -> None:
        self.reason = f"{type(error).__name__}: {error}"
        super().__init__(f'event monitor "{name}" failed: {self.reason}')


class Monitors:
    """The monitors in use, by name."""

    def __init__(
        self,
        kinds: Mapping[str, MonitorKind],
        inotify_mode: str,
        wants: Callable[[bytes], bool],
        log: Log,
    ) -> None:
        """`wants(directory)`: whether any sync has a use for it."""
        self._kinds = kinds
        self._inotify_mode = inotify_mode
        self._wants = wants
        self._log = log
        self._made: dict[str, Monitor] = {}

    def __iter__(self) -> Iterator[Monitor]:
        return iter(self._made.values())

    def watch(self, name: str, root: bytes, progress: Progress) -> Monitor:
        """Has a source watched by the monitor of that name, and gives that monitor. Raises MonitorError."""
        *better, last = PREFERRED if name == AUTO else (name,)
        for other in better:
            try:
                return self._watch(other, root, progress)
            except MonitorError as error:
                self._log("Warn", f"{error} Taking {last} instead.")
        return self._watch(last, root, progress)

    def drop(self, monitor: Monitor) -> None:
        """Close one, whether it is of these or not. The next sync that asks for it gets another one."""
        self._made = {name: made for name, made in self._made.items() if made is not monitor}
        monitor.close()

    def close(self) -> None:
        for monitor in self:
            monitor.close()

    def _watch(self, name: str, root: bytes, progress: Progress) -> Monitor:
        monitor = self._made.get(name)
        if monitor is None:
            monitor = self._made[name] = self._make(name)
        monitor.watch(root, progress)
        return monitor

    def _make(self, name: str) -> Monitor:
        kind = self._kinds.get(name)
        if kind is None:
            raise MonitorError(f'event monitor "{name}" unknown.')
        if name == DEFAULT:
            return kind.make(self._inotify_mode, self._wants, self._log)
        with _naming(name):
            monitor = kind.make(self._inotify_mode, self._wants, self._log)
            if not isinstance(monitor, Monitor):
                raise TypeError(f"{monitor!r} is no orchestrator.api.Monitor")
        return _Named(name, monitor)


class _Named(Monitor):
    """A plugin's monitor: an unexpected exception of it is that plugin's trouble, not a bug of ours.

    Every such exception comes out as MonitorFailed, but what `progress` raises, which comes out as it is.
    """

    def __init__(self, name: str, monitor: Monitor) -> None:
        self._name = name
        self._monitor = monitor

    @property
    def overflowed(self) -> bool:
        return self._monitor.overflowed

    @overflowed.setter
    def overflowed(self, value: bool) -> None:
        self._monitor.overflowed = value

    def fileno(self) -> int:
        return self._call(self._monitor.fileno)

    def watch(self, root: bytes, progress: Progress | None = None) -> None:
        self._call(self._monitor.watch, root, progress)

    def unwatch(self, root: bytes) -> None:
        self._call(self._monitor.unwatch, root)

    def read(self) -> list[Change]:
        return self._call(self._monitor.read)

    def lost_roots(self) -> list[bytes]:
        return self._call(self._monitor.lost_roots)

    def returned_roots(self) -> list[bytes]:
        return self._call(self._monitor.returned_roots)

    def watched(self) -> list[bytes]:
        return self._call(self._monitor.watched)

    def close(self) -> None:
        self._call(self._monitor.close)

    def rescan(self, progress: Progress | None = None) -> None:
        self._call(self._monitor.rescan, progress)

    def drain(self) -> None:
        self._call(self._monitor.drain)

    def is_behind(self) -> bool:
        return self._call(self._monitor.is_behind)

    def has_shortage(self) -> bool:
        return self._call(self._monitor.has_shortage)

    def pause(self, root: bytes) -> None:
        self._call(self._monitor.pause, root)

    def resume(self, root: bytes, progress: Progress | None = None) -> None:
        self._call(self._monitor.resume, root, progress)

    def count_watched(self) -> int:
        return self._call(self._monitor.count_watched)

    def polled(self) -> list[bytes]:
        return self._call(self._monitor.polled)

    def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _naming(self._name):
            return method(*args, **kwargs)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except OrchestratorError:
        raise
    except Exception as error:
        raise MonitorFailed(name, error) from error
