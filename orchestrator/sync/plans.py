"""Calls an action back in a while, as it has asked (`Inlet.after`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.host import Host
    from orchestrator.sync.life import Life


class Plans:
    """One sync's. A callback that is due while the sync is paused comes when that is over; none comes once a reload has
    replaced or dropped it."""

    def __init__(self, host: Host, life: Life) -> None:
        self._host = host
        self._life = life
        self._retries: dict[object, Callable[[], None]] = {}

    def add(self, seconds: float, callback: Callable[[], None], *, is_retry: bool) -> None:
        """Call back once, in so many seconds. `is_retry`: what failed is tried again then."""
        plan = object()

        def due() -> None:
            if not is_retry or self._retries.pop(plan, None) is not None:
                self._call(callback)

        if is_retry:
            self._retries[plan] = callback
        self._host.alarms.add(self._host.clock.now() + seconds, due)

    def try_now(self) -> None:
        """Call now for what failed, not in a while."""
        retries, self._retries = self._retries, {}
        for callback in retries.values():
            self._call(callback)

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._life.is_leaving:
            self._life.unless_paused(callback)
