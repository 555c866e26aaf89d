"""Callbacks and their times: user alarms, plugins' timers, crontabs. In time order, first come first served."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Final

Callback = Callable[[], None]

INFINITY: Final = float("inf")


class Alarms:
    """Callbacks with a time of the monotonic clock. `soonest`: when the next one is due; infinity: there is none."""

    def __init__(self) -> None:
        self.soonest = INFINITY
        self._heap: list[tuple[float, int, Callback]] = []
        self._number = itertools.count()

    def add(self, when: float, callback: Callback) -> None:
        heapq.heappush(self._heap, (when, next(self._number), callback))
        self.soonest = self._heap[0][0]

    def next(self) -> float | None:
        """When the soonest is due."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Callback | None:
        """Take out the soonest if it is due."""
        if self.soonest > now:
            return None
        callback = heapq.heappop(self._heap)[2]
        self.soonest = self._heap[0][0] if self._heap else INFINITY
        return callback
