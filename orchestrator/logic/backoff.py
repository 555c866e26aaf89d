"""How long to wait before trying again (spec 6 row 13): first pause, doubled while it fails, capped."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 300.0
"""Seconds."""


def next_pause(pause: float, delay: float, longest: float = LONGEST) -> float:
    """The pause after `pause`, 0 where there was none. All in seconds.

    `delay` is the user's own: no pause is shorter, be it longer than the cap.
    """
    return max(1.0, delay, min(pause * 2, longest))


class Backoff:
    """The growing pauses of one thing that may fail again and again. All in seconds.

    The first pause is `delay`, but at least 1; each further one is twice the last, up to `longest`. `pause` is the
    current one, 0 as long as nothing has failed; `failures` counts them since the last success.
    """

    __slots__ = ("_delay", "_longest", "failures", "pause")

    def __init__(self, delay: float, longest: float = LONGEST) -> None:
        self._delay = delay
        self._longest = longest
        self.failures = 0
        self.pause = 0.0

    def would_grow(self) -> bool:
        """Whether one more failure makes the pause longer: worth a log line."""
        return next_pause(self.pause, self._delay, self._longest) > self.pause

    def fail(self, at_least: float = 0.0) -> float:
        """Count one more failure. Returns the pause until the next try, which is no shorter than `at_least`."""
        self.pause = max(next_pause(self.pause, self._delay, self._longest), at_least)
        self.failures += 1
        return self.pause

    def succeed(self) -> None:
        """Start from the beginning: the next failure has the first pause."""
        self.failures = 0
        self.pause = 0.0
