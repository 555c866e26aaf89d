"""Backoff, alarms and the index of sources: small rules that others build on."""

from __future__ import annotations

import pytest

from orchestrator.logic.alarms import Alarms
from orchestrator.logic.backoff import Backoff
from orchestrator.logic.cause import cause_of
from orchestrator.logic.roots import CACHED, RootIndex
from orchestrator.logic.text import to_bytes, to_text


def pauses(backoff: Backoff, count: int) -> list[float]:
    found = []
    for _ in range(count):
        backoff.fail()
        found.append(backoff.pause)
    return found


def test_a_pause_doubles_to_five_minutes_and_starts_over_after_success() -> None:
    backoff = Backoff(15)
    assert pauses(backoff, 6) == [15, 30, 60, 120, 240, 300]
    assert not backoff.would_grow()
    backoff.succeed()
    assert backoff.would_grow()
    assert pauses(backoff, 2) == [15, 30]


def test_no_pause_is_under_a_second_and_a_longer_delay_is_the_users_own() -> None:
    assert pauses(Backoff(0), 3) == [1, 2, 4]
    assert pauses(Backoff(1000), 3) == [1000, 1000, 1000]


def test_alarms_fire_in_time_order_and_as_they_came() -> None:
    fired: list[str] = []
    alarms = Alarms()
    for when, name in ((3.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "late")):
        alarms.add(when, lambda name=name: fired.append(name))
    assert alarms.next() == 1.0
    while (callback := alarms.pop_due(5.0)) is not None:
        callback()
    assert fired == ["a", "b", "c"]
    assert alarms.next() == 9.0


def test_a_path_belongs_to_every_source_that_holds_it() -> None:
    index = RootIndex([(b"/a/", 1), (b"/a/b/", 2), (b"/a/", 3), (b"/ab/", 4)])
    assert index.of(b"/a/x") == [1, 3]
    assert index.of(b"/a/b/") == [1, 3, 2]
    assert index.of(b"/a/b/c/d/") == [1, 3, 2]
    assert index.of(b"/a/bc") == [1, 3]
    assert index.of(b"/ab/x") == [4]
    assert index.of(b"/x") == []
    assert RootIndex([(b"/", 1)]).of(b"/x/y") == [1]


def test_the_index_of_sources_does_not_grow_for_ever() -> None:
    index = RootIndex([(b"/a/", 1)])
    for number in range(CACHED + 10):
        assert index.of(b"/a/%d/f" % number) == [1]
    assert len(index._cache) <= CACHED


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        (b"", b""),
        (b"\n \n", b""),
        (b"one\ntwo\n", b"two"),
        (b"ssh: refused\nrsync: connection unexpectedly closed (0)\nrsync error: (code 12)\n", b"ssh: refused"),
        (b"rsync error: (code 12)\n", b"rsync error: (code 12)"),
    ],
)
def test_the_line_that_says_why(stderr: bytes, cause: bytes) -> None:
    assert cause_of(stderr) == cause


def test_text_carries_every_byte() -> None:
    raw = bytes(range(256))
    assert to_bytes(to_text(raw)) == raw
    assert (to_bytes(raw), to_bytes("für")) == (raw, "für".encode())
    with pytest.raises(UnicodeEncodeError):
        to_bytes("\ud800")
