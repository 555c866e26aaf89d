"""The one door to time. A test hands in a clock of its own (tests/kit/clock.py)."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings, both in seconds."""

    def now(self) -> float:
        """Monotonic: for delays, alarms, durations. Setting the system's clock does not move it."""

    def wall(self) -> float:
        """Since 1970: for log lines, the status file and crontabs, for nothing else."""


class MonotonicClock:
    """The system's clocks."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
