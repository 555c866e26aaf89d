"""How long to wait before trying again (spec 6 row 13): first pause, doubled while it fails, capped."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 300.0
"""Seconds."""


def following(pause: float, first: float) -> float:
    """The pause after `pause`, 0 where there was none. A first pause longer than the cap is the user's own `delay`."""
    return max(first, min(pause * 2, LONGEST))


class Backoff:
    """The pauses of one thing that may fail again and again. `first` is in seconds, at least 1."""

    __slots__ = ("_first", "failures", "pause")

    def __init__(self, first: float) -> None:
        self._first = max(1.0, first)
        self.failures = 0
        self.pause = 0.0

    def would_grow(self) -> bool:
        """Whether one more failure makes the pause longer: worth a log line."""
        return following(self.pause, self._first) > self.pause

    def fail(self) -> None:
        """Set `pause` for one more failure."""
        self.pause = following(self.pause, self._first)
        self.failures += 1

    def succeed(self) -> None:
        """Back to the beginning."""
        self.failures = 0
        self.pause = 0.0
