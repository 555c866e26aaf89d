"""Which moments a crontab names, and that they are met however the clocks go (spec 4.7)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError
from orchestrator.logic.alarms import Alarms
from orchestrator.sync.crontab import LOOK, Crontab
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    """Clocks go forward on 29 March 2026 at 2:00, back on 25 October 2026 at 3:00."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def moment(text: str) -> float:
    """Local time; in the hour that comes twice the first one."""
    return time.mktime((*time.strptime(text, "%Y-%m-%d %H:%M:%S")[:8], -1))


def shown(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(wall))


def following(rule: str, after: str, count: int = 3) -> list[str]:
    crontab, wall, found = Crontab("s", [rule]), moment(after), []
    for _ in range(count):
        found_next = crontab.next_after(wall)
        assert found_next is not None
        wall = found_next
        found.append(shown(wall))
    return found


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("1 0 3 * * *", "2026-01-15 03:00:01"),
        ("30 15 12 * * *", "2026-01-14 12:15:30"),
        ("*/20 * * * * *", "2026-01-14 12:00:20"),
        ("0 5-10,50 * * * *", "2026-01-14 12:05:00"),
        ("0 0 0 1 * *", "2026-02-01 00:00:00"),
        ("0 0 0 1 JUN *", "2026-06-01 00:00:00"),
        ("0 0 0 1 6 *", "2026-06-01 00:00:00"),
        ("0 0 4 * * SUN", "2026-01-18 04:00:00"),
        ("0 0 4 * * 0", "2026-01-18 04:00:00"),
        ("0 0 4 * * SAT,SUN", "2026-01-17 04:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
    ],
)
def test_the_moments_of_a_rule(rule: str, first: str) -> None:
    """12:00 on a Wednesday."""
    assert Crontab("s", [rule]).next_after(moment("2026-01-14 12:00:00")) == moment(first)


def test_a_moment_is_over_when_it_has_come() -> None:
    assert following("0 0 12 * * *", "2026-01-14 12:00:00", 1) == ["2026-01-15 12:00:00 +0100"]


def test_the_soonest_of_several_rules() -> None:
    crontab = Crontab("s", ["0 0 5 * * *", "0 0 4 * * *"])
    assert crontab.next_after(moment("2026-01-14 12:00:00")) == moment("2026-01-15 04:00:00")
    assert Crontab("s", []).next_after(0) is None


def test_in_the_hour_that_is_left_out() -> None:
    assert following("0 30 2 * * *", "2026-03-28 12:00:00") == [
        "2026-03-29 03:00:00 +0200",
        "2026-03-30 02:30:00 +0200",
        "2026-03-31 02:30:00 +0200",
    ]


def test_in_the_hour_that_comes_twice() -> None:
    assert following("0 30 2 * * *", "2026-10-24 12:00:00") == [
        "2026-10-25 02:30:00 +0200",
        "2026-10-26 02:30:00 +0100",
        "2026-10-27 02:30:00 +0100",
    ]
    assert following("0 30 * * * *", "2026-10-25 01:40:00") == [
        "2026-10-25 02:30:00 +0200",
        "2026-10-25 02:30:00 +0100",
        "2026-10-25 03:30:00 +0100",
    ]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("* * * * *", "it has 5 fields, not the 6 of second, minute, hour, day of month, month, day of week"),
        ("* * * * * * *", "it has 7 fields, not the 6 of second, minute, hour, day of month, month, day of week"),
        ("@daily", "it has 1 fields, not the 6 of second, minute, hour, day of month, month, day of week"),
        ("61 * * * * *", "it is not acceptable, out of range"),
        ("0 0 3 * FOO *", "it is not acceptable"),
        ("0 0 0 30 2 *", "there is no such day"),
        (5, "it is not a string"),
    ],
)
def test_a_bad_rule(rule: object, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Crontab("docs", ["0 0 3 * * *", rule])
    assert str(caught.value) == f"Sync: docs - crontab rule 2 is not valid: {reason}. Rule: {rule}"
    assert caught.value.exit_code == 255


@pytest.mark.parametrize(("rule", "at"), [("0 3 * * 0", "03:00:00"), ("7 0 3 * * 0", "03:00:07")])
def test_the_rules_of_another_key_may_leave_the_seconds_out(rule: str, at: str) -> None:
    first = Crontab("docs", [rule], "verify").next_after(moment("2026-06-03 00:00:00"))
    assert first is not None
    assert shown(first).startswith(f"2026-06-07 {at}")


def test_a_bad_rule_of_another_key() -> None:
    with pytest.raises(ConfigError, match=r"^Sync: docs - verify rule 1 is not valid: .* Rule: 0 3 \* \* 8$"):
        Crontab("docs", ["0 3 * * 8"], "verify")


# -- waking up


class Wall:
    """A schedule in a time that only moves when told to; `fired`: when it did."""

    def __init__(self, rule: str, start: str) -> None:
        self.clock = FakeClock(wall=moment(start))
        self.alarms = Alarms()
        self.fired: list[str] = []
        Crontab("s", [rule]).schedule(self.clock, self.alarms, lambda: self.fired.append(shown(self.clock.wall())[:19]))

    def sleep_until_next(self) -> float:
        """As the loop does. Returns for how long."""
        alarm = self.alarms.next()
        assert alarm is not None
        pause = alarm - self.clock.now()
        self.clock.advance(max(0.0, pause))
        while (callback := self.alarms.pop_due(self.clock.now())) is not None:
            callback()
        return pause

    def run(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.sleep_until_next()


def test_it_fires_at_its_moments_and_looks_at_the_wall_each_minute() -> None:
    wall = Wall("0 10,20 * * * *", "2026-01-14 12:05:30")
    pauses = [wall.sleep_until_next() for _ in range(5)]
    assert pauses == [LOOK] * 4 + [30]
    assert wall.fired == ["2026-01-14 12:10:00"]
    wall.run(600)
    assert wall.fired == ["2026-01-14 12:10:00", "2026-01-14 12:20:00"]


def test_set_forward_over_a_moment_it_fires_once() -> None:
    wall = Wall("0 */10 * * * *", "2026-01-14 12:05:00")
    wall.clock.set_wall(moment("2026-01-14 15:33:00"))
    wall.run(120)
    assert wall.fired == ["2026-01-14 15:34:00"]
    wall.run(360)
    assert wall.fired[1:] == ["2026-01-14 15:40:00"]


def test_set_far_back_the_moments_come_again() -> None:
    wall = Wall("0 0 13 * * *", "2026-01-14 12:59:00")
    wall.run(120)
    wall.clock.set_wall(moment("2026-01-13 12:59:00"))
    wall.run(180)
    assert wall.fired == ["2026-01-14 13:00:00", "2026-01-13 13:00:00"]


def test_set_back_a_little_a_moment_does_not_come_twice() -> None:
    wall = Wall("0 0 13 * * *", "2026-01-14 12:59:00")
    wall.run(60)
    assert len(wall.fired) == 1
    wall.clock.set_wall(moment("2026-01-14 12:59:30"))
    wall.run(300)
    assert len(wall.fired) == 1


def test_set_back_before_a_moment_it_waits_for_the_new_one() -> None:
    wall = Wall("0 0 * * * *", "2026-01-14 12:30:00")
    wall.clock.set_wall(moment("2026-01-14 11:30:00"))
    wall.run(1860)
    assert wall.fired == ["2026-01-14 12:00:00"]


def test_without_a_rule_nothing_is_woken() -> None:
    alarms = Alarms()
    Crontab("s", []).schedule(FakeClock(), alarms, lambda: None)
    assert alarms.next() is None
