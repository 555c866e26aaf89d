"""A clock that moves only when it is set."""

from __future__ import annotations


class FakeClock:
    """Satisfies orchestrator.clock.Clock; both readings advance together."""

    def __init__(self, now: float = 1000.0, wall: float = 1_470_062_304.0) -> None:
        self._now = now
        self._wall = wall

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._wall += seconds

    def set_wall(self, wall: float) -> None:
        """As when an administrator sets the system's clock: the monotonic reading stays."""
        self._wall = wall
