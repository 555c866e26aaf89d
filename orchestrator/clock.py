"""The only access to time. Tests pass a clock of their own (tests/kit/clock.py)."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Both readings are in seconds."""

    def now(self) -> float:
        """Monotonic time, for delays, alarms and durations. Setting the system's clock does not change it."""

    def wall(self) -> float:
        """Time since 1970, for log lines, the status file and crontabs only."""


class MonotonicClock:
    """The system's clocks."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
