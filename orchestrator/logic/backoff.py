"""How long to wait before trying again (spec 6 row 13): first pause, doubled while it fails, capped."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 300.0
"""Seconds."""


def next_pause(pause: float, delay: float) -> float:
    """The pause after `pause`, 0 where there was none. All in seconds.

    `delay` is the user's own: no pause is shorter, be it longer than the cap.
    """
    return max(1.0, delay, min(pause * 2, LONGEST))


class Backoff:
    """The pauses of one thing that may fail again and again. `delay`: see next_pause."""

    __slots__ = ("_delay", "failures", "pause")

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self.failures = 0
        self.pause = 0.0

    def would_grow(self) -> bool:
        """Whether one more failure makes the pause longer: worth a log line."""
        return next_pause(self.pause, self._delay) > self.pause

    def fail(self) -> None:
        """Set `pause` for one more failure."""
        self.pause = next_pause(self.pause, self._delay)
        self.failures += 1

    def succeed(self) -> None:
        """Back to the beginning."""
        self.failures = 0
        self.pause = 0.0
