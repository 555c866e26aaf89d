"""Several monitors at once: each sync has its changes from the one that it asks for (spec 6 "Beyond").

A monitor is made when the first sync asks for it, so that what nobody uses costs nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import MonitorError, OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.monitor.base import Log, Monitor, MonitorKind

DEFAULT = "inotify"

AUTO = "auto"
"""In place of a monitor's name: the first of `PREFERRED` that can watch the source."""

PREFERRED = ("fanotify", DEFAULT)


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

    def watch(self, name: str, root: bytes, progress: Callable[[int], None]) -> Monitor:
        """Has a source watched by the monitor of that name, and gives it. Raises MonitorError."""
        *better, last = PREFERRED if name == AUTO else (name,)
        for other in better:
            try:
                return self._watch(other, root, progress)
            except MonitorError as error:
                self._log("Warn", f"{error} Taking {last} instead.")
        return self._watch(last, root, progress)

    def of(self, name: str) -> Monitor | None:
        """The monitor that watches for a sync that asks for this name."""
        return next(
            (self._made[other] for other in (PREFERRED if name == AUTO else (name,)) if other in self._made), None
        )

    def close(self) -> None:
        for monitor in self:
            monitor.close()

    def _watch(self, name: str, root: bytes, progress: Callable[[int], None]) -> Monitor:
        monitor = self._made.get(name)
        if monitor is None:
            kind = self._kinds.get(name)
            if kind is None:
                raise MonitorError(f'event monitor "{name}" unknown.')
            with _named(name):
                monitor = kind.make(self._inotify_mode, self._wants, self._log)
            self._made[name] = monitor
        with _named(name):
            monitor.watch(root, progress)
        return monitor


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What a monitor of a plugin raises is that plugin's trouble, and not a bug of ours."""
    try:
        yield
    except Exception as error:
        if name == DEFAULT or isinstance(error, OrchestratorError):
            raise
        raise MonitorError(f'event monitor "{name}" failed: {type(error).__name__}: {error}') from error
