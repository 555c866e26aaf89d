"""Syncs that go to one host wait together while it cannot be reached (spec 6 row 13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.backoff import LONGEST
from orchestrator.logic.endpoint import LONGEST_UNTRIED, Endpoint, Member, endpoint_of


@pytest.mark.parametrize(
    ("target", "shell", "endpoint"),
    [
        ("/trg/", "", None),
        ("trg:/", "", "trg"),
        ("./trg:x/", "", None),
        ("user@Host:/trg/", "", "host"),
        ("host:", "ssh -i k -p 22", "host"),
        ("host:/trg/", "ssh -p 2222 -i k", "host:2222"),
        ("host:/trg/", "ssh -o Port=2222", "host:2222"),
        ("host:/trg/", "sshpass -p22222 ssh", "host:22222"),
        ("[::1]:/trg/", "", "[::1]"),
        ("u@[fe80::1]:/trg/", "", "[fe80::1]"),
        ("host::module/x/", "ssh -p 2222", "rsync://host"),
        ("rsync://host/module/", "", "rsync://host"),
        ("rsync://u@host:873/module/", "", "rsync://host"),
        ("rsync://u:p@host:8730/module/", "", "rsync://host:8730"),
        ("rsync://[::1]:8730/module/", "", "rsync://[::1]:8730"),
        ("rsync://localhost:^localport/m/", "", "rsync://localhost:^localport"),
        ("", "", None),
        (":x", "", None),
    ],
)
def test_which_host_a_target_is_on(target: str, shell: str, endpoint: str | None) -> None:
    assert endpoint_of(target, shell) == endpoint


class World:
    """Some syncs of one host, each of which always has something to transfer."""

    def __init__(self, count: int, first_pause: float = 1.0) -> None:
        self.now = 100.0
        self.endpoint = Endpoint("host")
        self.woken: list[int] = []
        self.idle: set[int] = set()
        self.members = [self._join(number, first_pause) for number in range(count)]

    def _join(self, number: int, first_pause: float) -> Member:
        return self.endpoint.join(first_pause, lambda now: number not in self.idle, lambda: self.woken.append(number))

    def may_try(self) -> list[int]:
        return [
            number
            for number, member in enumerate(self.members)
            if number not in self.idle and self.endpoint.next_try(member, self.now) <= self.now
        ]

    def begin(self, number: int) -> float:
        self.endpoint.begins(self.members[number], self.now)
        return self.now

    def fail(self, number: int, began: float | None = None) -> float:
        return self.endpoint.failed(self.members[number], self.now if began is None else began, self.now) - self.now


def test_others_wait_for_what_one_finds_out() -> None:
    world = World(3)
    assert world.may_try() == [0, 1, 2]
    assert world.fail(0) == 1
    assert world.may_try() == []
    world.now += 1
    assert world.may_try() == [1, 2], "the one that has just failed goes last"
    world.begin(1)
    assert world.may_try() == []
    assert world.fail(1) == 2
    world.now += 2
    assert world.may_try() == [2]


def test_failures_that_began_before_the_first_was_known_are_one() -> None:
    world = World(3)
    began = world.now
    world.now += 5
    assert world.endpoint.would_grow(world.members[0], began)
    assert world.fail(0, began) == 1
    assert not world.endpoint.would_grow(world.members[1], began)
    world.now += 0.5
    assert world.fail(1, began) == 0.5
    assert world.endpoint.pause == 1


def test_one_success_lets_all_go() -> None:
    world = World(3)
    world.fail(0)
    world.now += 1
    world.fail(1, world.begin(1))
    world.now += 2
    world.begin(2)
    assert world.endpoint.reached(world.members[2])
    assert world.may_try() == [0, 1, 2]
    assert world.woken == [0, 1]
    assert world.endpoint.pause == 0
    assert not world.endpoint.reached(world.members[0])


def test_one_with_trouble_of_its_own_holds_up_nobody() -> None:
    world = World(2)
    world.fail(0)
    world.now += 1
    assert world.may_try() == [1]
    world.begin(1)
    world.endpoint.reached(world.members[1])
    pauses = [world.fail(0) for _ in range(4)]
    assert pauses == [2, 4, 8, 16]
    assert world.may_try() == [0, 1]
    assert not world.endpoint.holds(world.members[0])
    world.endpoint.reached(world.members[0])
    assert world.fail(0) == 1
    assert world.may_try() == []


def test_a_long_transfer_that_may_go_well_does_not_hold_up_the_others_for_ever() -> None:
    world = World(2)
    world.fail(0)
    world.now += 1
    world.begin(1)
    world.now += 0.9
    assert world.may_try() == []
    world.now += 0.2
    assert 0 in world.may_try()


def test_who_has_not_failed_himself_soon_tries_once() -> None:
    """However long the others wait by now: their trouble may be their own."""
    world = World(3)
    world.idle |= {1, 2}
    for _ in range(9):
        world.now += world.fail(0, world.begin(0))
    assert world.fail(0) == LONGEST
    world.now += LONGEST_UNTRIED - 1
    world.idle.clear()
    assert world.may_try() == []
    world.now += 1
    assert world.may_try() == [1, 2]
    began = world.begin(1)
    assert world.may_try() == []
    assert not world.endpoint.would_grow(world.members[1], began)
    assert world.fail(1, began) == LONGEST - LONGEST_UNTRIED
    assert world.may_try() == [2]
    world.begin(2)
    world.endpoint.reached(world.members[2])
    assert world.may_try() == [0, 1, 2]


def test_an_end_that_tells_nothing_lets_the_next_one_try() -> None:
    world = World(2)
    world.fail(0)
    world.now += 1
    world.begin(1)
    world.endpoint.ended(world.members[1])
    assert world.may_try() == [1]


def test_who_has_nothing_to_transfer_keeps_nobody_waiting() -> None:
    world = World(2)
    world.idle.add(1)
    for _ in range(3):
        world.now += world.fail(0, world.begin(0))
        assert world.may_try() == [0]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["fail", "reach", "nothing", "wait"])), max_size=60))
def test_nobody_waits_longer_than_the_longest_pause_and_a_try(steps: list[tuple[int, str]]) -> None:
    world = World(3)
    for number, what in steps:
        if what == "wait":
            world.now += 10 * number + 1
        elif number in world.may_try():
            began = world.begin(number)
            world.now += 1
            if what == "fail":
                assert 0 <= world.fail(number, began) <= LONGEST
            elif what == "reach":
                world.endpoint.reached(world.members[number])
                assert world.endpoint.pause == 0
            else:
                world.endpoint.ended(world.members[number])
        for member in world.members:
            assert world.endpoint.next_try(member, world.now) <= world.now + LONGEST + 1
    world.now += LONGEST + 1
    assert world.may_try()


def test_no_pause_is_shorter_than_a_long_delay_and_nobody_else_waits_for_that() -> None:
    world = World(2)
    world.members[0].first = 3600.0
    assert world.fail(0) == 3600
    assert world.endpoint.pause == LONGEST
    world.now += LONGEST_UNTRIED
    assert world.may_try() == [1]
    world.fail(1)
    world.now = 100.0 + LONGEST
    assert world.may_try() == [1]
    world.now = 100.0 + 3600
    assert world.may_try() == [0], "the one that has waited longest"


def test_who_is_asked_to_tries_at_once_and_the_next_pause_is_longer_all_the_same() -> None:
    world = World(2)
    world.fail(0)
    world.now += 30
    world.fail(1)
    world.now += 30
    world.fail(0)
    assert world.may_try() == []
    pause = world.endpoint.pause
    world.endpoint.try_now(world.members[0])
    assert world.may_try() == [0], "not the one that has waited longest"
    world.fail(0)
    assert world.endpoint.pause > pause
    assert world.may_try() == []
