"""Full runs by the clock on the wall (spec 4.7): which moments a crontab names, and waking up for the next one.

`Crontab` knows moments only; `Schedule` turns them into alarms of the monotonic clock. The two clocks part when
somebody sets the system's clock, or the machine was asleep: so while a crontab is configured, and only then, the
loop wakes at least every minute to look at the wall.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import croniter
from dateutil.tz import tzlocal

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.clock import Clock
    from orchestrator.logic.alarms import Alarms

FIELDS = ("second", "minute", "hour", "day of month", "month", "day of week")
HOUR = 2

LOOK = 60.0
"""Seconds, at most, between two looks at the wall's clock."""

SET_BACK = 3 * 3600.0
"""Seconds. A clock set back by less does not let a moment come twice: it waits till the time is made up for."""


class Crontab:
    """The rules of one sync. Raises ConfigError for one that can't be read, or that no moment fulfils."""

    def __init__(self, sync: str, rules: Iterable[Any], key: str = "crontab") -> None:
        """`key`: of the config, which they stand under. Of other keys than `crontab`, a rule may have crontab(5)'s five
        fields, without the seconds."""
        self._rules = []
        for number, rule in enumerate(rules, 1):
            is_short = key != "crontab" and isinstance(rule, str) and len(rule.split()) == len(FIELDS) - 1
            whole = f"0 {rule}" if is_short else rule
            problem = _problem(whole)
            if problem is not None:
                raise ConfigError(f"Sync: {sync} - {key} rule {number} is not valid: {problem}. Rule: {rule}")
            self._rules.append(whole)

    def next_after(self, wall: float) -> float | None:
        """The first moment after `wall` that a rule names, both in seconds since 1970; None where there are no rules.

        When clocks go forward, a moment in the hour that is left out comes at its end. When they go back, a
        moment in the hour that comes twice is its first one only, unless the rule runs over the hours (`*`).
        """
        return min((_next(rule, wall) for rule in self._rules), default=None)

    def schedule(self, clock: Clock, alarms: Alarms, fire: Callable[[], None]) -> Schedule:
        """Call `fire` at each moment from now on, until the schedule is ended."""
        schedule = Schedule(self, clock, alarms, fire)
        schedule.start()
        return schedule


def _problem(rule: Any) -> str | None:
    if not isinstance(rule, str):
        return "it is not a string"
    fields = rule.split()
    if len(fields) != len(FIELDS):
        return f"it has {len(fields)} fields, not the {len(FIELDS)} of {', '.join(FIELDS)}"
    try:
        _next(rule, 0.0)
    except croniter.CroniterBadDateError:
        return "there is no such day"
    except (croniter.CroniterError, ValueError, KeyError) as error:
        # it quotes the rule with its second moved to the end; the user's own is quoted anyway
        return re.sub(r"^\[.*?\] ", "it ", str(error)).rstrip(".")
    return None


def _next(rule: str, wall: float) -> float:
    moments = croniter.croniter(rule, datetime.fromtimestamp(wall, tzlocal()), datetime, second_at_beginning=True)
    runs_over_hours = rule.split()[HOUR].startswith("*")
    while True:
        moment: datetime = moments.get_next()
        if runs_over_hours or not moment.fold:
            return moment.timestamp()


class Schedule:
    """Calls `fire` at each moment of a crontab. Moments that nobody was awake for are made up for by one call."""

    def __init__(self, crontab: Crontab, clock: Clock, alarms: Alarms, fire: Callable[[], None]) -> None:
        self._crontab = crontab
        self._clock = clock
        self._alarms = alarms
        self._fire = fire
        self._due: float | None = None
        self._fired = 0.0
        self._looked = 0.0
        self._offset = 0.0
        self._has_ended = False

    def start(self) -> None:
        """Wait for the first moment from now on."""
        wall = self._clock.wall()
        self._due = self._crontab.next_after(wall)
        self._wait(wall)

    def end(self) -> None:
        """Call `fire` no more."""
        self._has_ended = True

    def _look(self) -> None:
        if self._has_ended:
            return
        wall, now = self._clock.wall(), self._clock.now()
        if wall - now < self._offset - 1.0:  # set back since the last look
            since = wall - (now - self._looked)
            if self._fired - wall < SET_BACK:
                since = max(since, self._fired)
            self._due = self._crontab.next_after(since)
        if self._due is not None and wall >= self._due:
            self._fired = wall
            self._due = self._crontab.next_after(wall)
            self._fire()
        self._wait(wall)

    def _wait(self, wall: float) -> None:
        self._looked = self._clock.now()
        self._offset = wall - self._looked
        if self._due is not None:
            self._alarms.add(self._looked + min(self._due - wall, LOOK), self._look)
