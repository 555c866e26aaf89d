"""Makes poll monitors with the setting `pollInterval` that is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.api import Monitor


class PollKind:
    """The interval of the latest configuration."""

    def __init__(self) -> None:
        self._interval = 0.0

    def configure(self, settings: Mapping[str, object]) -> None:
        interval = settings["pollInterval"]
        assert isinstance(interval, (int, float))
        self._interval = interval

    def make(self, _mode: str, wants: Callable[[bytes], bool], log: Callable[..., None]) -> Monitor:
        """The inotify mode makes no difference: a changed file is seen when it has changed."""
        # imported here, so that those who use another monitor need not wait for it
        from orchestrator_poll.monitor import PollMonitor

        return PollMonitor(wants, log, self._interval)
