"""The pieces by which an action tries again what could not be transferred, and keeps what it knows of a sync."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Action, Backoff, PerSync, RetryList, RetryTimer
from tests.kit.inlet import FakeInlet

if TYPE_CHECKING:
    from orchestrator.api import Inlet


class Nothing(Action):
    name = "nothing"

    def action(self, inlet: Inlet) -> None:
        pass


@pytest.fixture
def inlet() -> FakeInlet:
    return FakeInlet(Nothing(), {"delay": 1})


def test_pauses_double_up_to_the_longest_and_start_anew_after_a_success() -> None:
    backoff = Backoff(1.0, longest=5.0)
    assert [backoff.fail() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert (backoff.failures, backoff.would_grow()) == (5, False)
    backoff.succeed()
    assert (backoff.pause, backoff.failures, backoff.would_grow()) == (0, 0, True)


def test_no_pause_is_shorter_than_the_delay_or_than_asked_for() -> None:
    assert Backoff(0.0).fail() == 1
    assert [Backoff(400.0).fail(), Backoff(400.0).fail(500.0)] == [400, 500]
    backoff = Backoff(1.0)
    assert [backoff.fail(30.0), backoff.fail(30.0)] == [30, 60]


def test_a_thing_that_fails_is_tried_again_after_growing_pauses(inlet: FakeInlet) -> None:
    timer, attempts = RetryTimer(1.0), []
    for pause in (1, 2, 4):
        assert timer.failed(inlet, lambda: attempts.append(inlet.clock.now())) == pause
        assert timer.is_planned
        inlet.advance(pause - 0.1)
        assert len(attempts) < pause
        inlet.advance(0.1)
        assert not timer.is_planned
    assert len(attempts) == 3


def test_an_attempt_that_is_planned_stays_the_only_one(inlet: FakeInlet) -> None:
    timer, attempts = RetryTimer(1.0), []
    timer.failed(inlet, lambda: attempts.append("first"))
    assert timer.failed(inlet, lambda: attempts.append("second")) is None
    inlet.advance(100)
    assert attempts == ["first"]
    timer.plan(inlet, 5, lambda: attempts.append("third"))
    timer.plan(inlet, 9, lambda: attempts.append("fourth"))
    inlet.advance(8)
    assert attempts == ["first"]
    inlet.advance(100)
    assert attempts == ["first", "fourth"]
    assert timer.failed(inlet, list) == 2, "a plan is no failure"


def test_a_success_makes_the_attempt_needless_and_the_pause_short_again(inlet: FakeInlet) -> None:
    timer, attempts = RetryTimer(1.0), []
    for _ in range(3):
        timer.failed(inlet, lambda: attempts.append(1))
        timer.cancel()
    assert not timer.is_planned
    timer.failed(inlet, lambda: attempts.append(1))
    timer.succeeded()
    inlet.advance(1000)
    assert attempts == []
    assert timer.failed(inlet, list) == 1


def test_a_pause_that_has_not_grown_is_no_news(inlet: FakeInlet) -> None:
    timer, pauses = RetryTimer(1.0), []
    for _ in range(4):
        pauses.append(timer.failed(inlet, list, 300.0))
        inlet.advance(300)
    assert pauses == [300, None, None, None]


def test_paths_come_back_together_until_they_have_arrived(inlet: FakeInlet) -> None:
    paths: RetryList[str] = RetryList(inlet.delay)
    assert paths.update(inlet, [b"/a", b"/b", b"/c"], {b"/b": "x", b"/a": "y"}) == 1
    assert list(paths.notes.items()) == [(b"/b", "x"), (b"/a", "y")]
    assert paths.update(inlet, [b"/d"], {b"/d": "z"}) is None, "they all wait for the pause that has begun"
    inlet.advance(1)
    assert inlet.waiting == [("Modify", b"/b"), ("Modify", b"/a"), ("Modify", b"/d")]
    assert paths.update(inlet, [b"/a", b"/b", b"/d"], {b"/b": "x"}) == 2
    inlet.advance(100)
    assert len(paths) == 1
    assert paths.update(inlet, None, {}) is None
    assert len(paths) == 0
    assert paths.update(inlet, [b"/b"], {b"/b": "x"}) == 1, "the first pause again"


def test_the_action_may_say_itself_how_a_path_comes_back(inlet: FakeInlet) -> None:
    paths: RetryList[None] = RetryList(inlet.delay)
    retried: list[bytes] = []
    paths.update(inlet, None, {b"/d": None}, retried.append)
    inlet.advance(1)
    assert (retried, inlet.waiting) == ([b"/d"], [])


def test_each_sync_has_an_object_of_its_own_that_goes_with_it(inlet: FakeInlet) -> None:
    kept: PerSync[RetryTimer] = PerSync(lambda inlet: RetryTimer(inlet.delay))
    other = FakeInlet(Nothing(), {"delay": 1})
    assert kept.of(inlet) is kept.of(inlet)
    assert kept.of(inlet) is not kept.of(other)
    timer = kept.of(other)
    timer.failed(other, list)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
