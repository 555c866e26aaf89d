"""Keeps an eye on a config's functions: the daemon does nothing else while one runs (spec 2.9).

What Lua computes is looked at now and then; what it waits for (`os.execute`) when it is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.errors import Interrupted
from orchestrator.logic.text import to_text

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from orchestrator.clock import Clock
    from orchestrator.log import Log

PATIENCE: Final = 10.0
"""Seconds after which it is logged that a function runs."""


class Watchdog:
    """`waiting_end`: a signal that asks for the end and was not handled yet; a function that runs is cut short then."""

    def __init__(self, clock: Clock, log: Log, waiting_end: Callable[[], signal.Signals | None]) -> None:
        self._clock = clock
        self._log = log
        self._waiting_end = waiting_end
        self._depth = 0
        self._started = 0.0
        self._is_reported = False

    def begins(self) -> None:
        """A function or a file begins to run, perhaps called by another one."""
        self._depth += 1
        if self._depth == 1:
            self._started = self._clock.now()
            self._is_reported = False

    def ends(self) -> None:
        """It has come to its end."""
        self._depth -= 1
        if not self._depth and not self._is_reported and self._has_run_long():
            self._warn(f"a function of the config has run for {self._seconds():.0f} s")

    def look(self, place: bytes) -> None:
        """It is running, at `place`. Raises Interrupted where the daemon is to end."""
        if not self._depth:
            return
        signum = self._waiting_end()
        if signum is not None:
            where = to_text(place)
            raise Interrupted(f"{where}: the config is cut short by {signum.name}.", 128 + signum)
        if not self._is_reported and self._has_run_long():
            self._is_reported = True
            self._warn(f"{to_text(place)}: the config has been running for {PATIENCE:.0f} s")

    def _has_run_long(self) -> bool:
        return self._seconds() >= PATIENCE

    def _seconds(self) -> float:
        return self._clock.now() - self._started

    def _warn(self, what: str) -> None:
        self._log("Warn", f"{what}; nothing else is done meanwhile.")
