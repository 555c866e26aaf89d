"""What a function of the config was asked about, and has left waiting: it is asked again at a pace.

lsyncd 2.2.3 asks again at once, without a pause, for as long as that lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.logic.backoff import Backoff
from orchestrator.logic.event import INIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.logic.delay import Delay
    from orchestrator.sync.host import Host

FIRST: Final = 1.0
LONGEST: Final = 60.0
"""Seconds between two times, at first and at most."""


class Unanswered:
    """Of one sync. `ask_again` has all that waits offered once more. There is a timer only while something was left."""

    def __init__(self, host: Host, name: str, ask_again: Callable[[], None]) -> None:
        self._host = host
        self._log = host.log_of(name)
        self._name = name
        self._ask_again = ask_again
        self._backoff = Backoff(FIRST, LONGEST)
        self._has_timer = False
        self._said: set[bool] = set()

    def left(self, delay: Delay) -> None:
        """A function has returned, and its event waits as before."""
        is_init = delay.etype == INIT
        if is_init not in self._said:
            self._said.add(is_init)
            what = ("init left the startup",) if is_init else (f"action left {delay.etype} ", delay.path)
            again = " waiting: it is asked again, first after a second, then each minute at least."
            self._log("Warn", f"{self._name}: ", *what, again)
        if not self._has_timer:
            self._has_timer = True
            self._host.alarms.add(self._host.clock.now() + self._backoff.fail(), self._fire)

    def taken(self) -> None:
        """A function has taken what it was asked about."""
        self._backoff.succeed()

    def _fire(self) -> None:
        self._has_timer = False
        self._ask_again()
