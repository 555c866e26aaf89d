"""What the live view makes of a daemon's status and its events."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.control.answer import NotOurs
from orchestrator.control.top.picture import BARS, PLAIN_BARS, SLOT, SLOTS, Activity, Picture, sparkline

START = 1_700_000_000.0


def sync(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "state": "in sync", "waiting": 0, "counts": {"bytes": 0}, **values}


def status(*syncs: dict[str, Any], time: float = START) -> dict[str, Any]:
    return {"daemon": {"pid": 7, "time": time}, "syncs": list(syncs)}


def states(picture: Picture) -> dict[str, str]:
    assert picture.status is not None
    return {sync.name: sync.state for sync in picture.status.syncs}


def test_events_go_into_the_status() -> None:
    picture = Picture()
    picture.take_status(status(sync("a"), sync("b")))
    picture.take_event({"event": "state", "time": START, "sync": "a", "state": "retrying", "stuck": "a host is down"})
    picture.take_event({"event": "queue", "time": START, "sync": "b", "waiting": 5, "retrying": 1, "oldest": START - 9})
    picture.take_event({"event": "state", "time": START, "sync": "unknown", "state": "syncing"})
    assert picture.status is not None
    a, b = picture.status.syncs
    assert (a.state, a.stuck, a.waiting) == ("retrying", "a host is down", 0)
    assert (b.state, b.waiting, b.retrying, b.oldest) == ("in sync", 5, 1, START - 9)


def test_a_status_of_some_leaves_the_others_and_their_order() -> None:
    picture = Picture()
    picture.take_status(status(sync("a"), sync("b"), sync("c")))
    picture.take_status(status(sync("b", state="syncing"), sync("strange")), is_part=True)
    assert states(picture) == {"a": "in sync", "b": "syncing", "c": "in sync"}
    picture.take_status(status(sync("c"), sync("d")))
    assert states(picture) == {"c": "in sync", "d": "in sync"}


@pytest.mark.parametrize(
    "event",
    [
        {"event": "state", "sync": "a", "state": 7},
        {"event": "queue", "sync": "a", "waiting": "many"},
        {"event": "queue", "sync": "a", "waiting": 1, "oldest": "long ago"},
        {"event": "state", "sync": "a"},
    ],
)
def test_an_event_that_no_daemon_sends_changes_nothing(event: dict[str, Any]) -> None:
    picture = Picture()
    picture.take_status(status(sync("a")))
    before = picture.status
    with pytest.raises(NotOurs):
        picture.take_event(event)
    picture.take_event({"event": "queue", "time": START, "sync": "a", "waiting": 0})
    assert picture.status == before


@pytest.mark.parametrize("answer", [{}, {"daemon": {}, "syncs": []}, {"daemon": {"pid": 1, "time": 1}, "syncs": [{}]}])
def test_a_status_that_no_daemon_gives_changes_nothing(answer: dict[str, Any]) -> None:
    picture = Picture()
    picture.take_status(status(sync("a")))
    with pytest.raises(NotOurs):
        picture.take_status(answer)
    assert states(picture) == {"a": "in sync"}


def test_bytes_since_the_daemons_start_become_a_rate() -> None:
    picture = Picture()
    picture.take_status(status(sync("a", counts={"bytes": 10**9})))
    activity = picture.activity["a"]
    assert activity.rate(START) == 0  # nobody has seen it moving
    for second in range(1, 16):
        picture.take_event(
            {"event": "queue", "time": START + second, "sync": "a", "waiting": 0, "bytes": 10**9 + 1000 * second}
        )
    assert activity.values(START + 15, 3) == [0, 9000, 6000]
    assert activity.rate(START + 15) == 1000
    assert activity.values(START + 15 + SLOT, 3) == [9000, 6000, 0]
    assert activity.rate(START + 15 + 2 * SLOT) == 0


def test_a_daemon_that_begins_anew_counts_anew() -> None:
    activity = Activity()
    activity.note(START, 500)
    activity.note(START + 1, 40)
    activity.note(START + 2, 100)
    assert activity.values(START + 2, 1) == [60]


def test_no_more_is_kept_than_is_shown() -> None:
    activity = Activity()
    for slot in range(3 * SLOTS):
        activity.note(START + slot * SLOT, slot)
    now = START + (3 * SLOTS - 1) * SLOT
    assert activity.values(now, 2 * SLOTS) == [0] * SLOTS + [1] * SLOTS


@pytest.mark.parametrize(
    ("values", "bars", "line"),
    [
        ([], BARS, ""),
        ([0, 0], BARS, "  "),
        ([0, 1, 4, 8], BARS, " ▁▄█"),
        ([5], PLAIN_BARS, "#"),
        ([10**15, 1], BARS, "█▁"),
    ],
)
def test_a_sparkline(values: list[int], bars: str, line: str) -> None:
    assert sparkline(values, bars) == line
