"""`python -m tests.kit.hurried RATE ARGUMENT…`: the daemon on a clock that goes RATE times as fast.

A minute of patience is over in a second, so are delays. Its processes take the time that they take.
"""

from __future__ import annotations

import sys
import time

from orchestrator.cli import main
from orchestrator.daemon.system import System
from orchestrator.masterloop import Loop


class FastClock:
    def __init__(self, rate: float) -> None:
        self._rate = rate

    def now(self) -> float:
        return time.monotonic() * self._rate

    def wall(self) -> float:
        return time.time()


class FastLoop(Loop):
    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def turn(self, timeout: float | None) -> bool:
        return super().turn(None if timeout is None else timeout / self._rate)


def hurried(rate: float) -> int:
    return main(make_system=lambda: System(FastClock(rate), lambda: FastLoop(rate)))


if __name__ == "__main__":
    sys.exit(hurried(float(sys.argv.pop(1))))
