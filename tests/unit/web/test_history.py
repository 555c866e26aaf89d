"""The last hour of a sync, in slices; the test is the clock."""

from __future__ import annotations

from orchestrator.control.web import history
from orchestrator.control.web.history import SLICE, SLICES, Histories, History


def test_a_slice_has_the_most_that_waited_and_all_that_was_moved() -> None:
    one = History(1000 * SLICE)
    for waiting, total in ((3, 100), (9, 150), (2, 400)):
        one.add(1000 * SLICE, waiting, total)
    shown = one.shown(1000 * SLICE)
    # what had been moved before we came belongs to no slice
    assert (shown["waiting"][-1], shown["bytes"][-1]) == (9, 300)
    assert (len(shown["waiting"]), len(shown["bytes"])) == (SLICES, SLICES)
    assert sum(shown["waiting"]) == 9


def test_what_waits_goes_on_to_wait_while_nobody_says_otherwise() -> None:
    one = History(0)
    one.add(0, 9, 0)
    one.add(1, 2, 0)
    shown = one.shown(3 * SLICE)
    assert shown["waiting"][-4:] == [9, 2, 2, 2]
    one.add(4 * SLICE, 0, 10)
    shown = one.shown(4 * SLICE)
    assert shown["waiting"][-5:] == [9, 2, 2, 2, 2]
    assert shown["bytes"][-2:] == [0, 10]


def test_an_hour_is_kept() -> None:
    one = History(0)
    one.add(0, 5, 0)
    one.add(0, 0, 7)
    assert one.shown((SLICES - 1) * SLICE)["waiting"][0] == 5
    shown = one.shown(SLICES * SLICE)
    assert (sum(shown["waiting"]), sum(shown["bytes"])) == (0, 0)
    assert len(one.shown(10**9 * SLICE)["waiting"]) == SLICES


def test_a_daemon_that_was_started_again_counts_from_zero() -> None:
    one = History(0)
    one.add(0, 0, 1000)
    one.add(0, 0, 40)
    assert one.shown(0)["bytes"][-1] == 40


def test_all_together_and_one_of_them() -> None:
    some = Histories()
    for sync, waiting in (("a", 1), ("b", 2)):
        some.add(("daemon", sync), 0, waiting, 0)
        some.add(("daemon", sync), 0, waiting, 10)
    assert some.shown(0)["waiting"][-1] == 3
    assert some.shown(0)["bytes"][-1] == 20
    assert some.shown(0, ("daemon", "b"))["waiting"][-1] == 2
    assert sum(some.shown(0, ("other", "b"))["waiting"]) == 0
    some.forget("daemon", frozenset({"a"}))
    assert some.shown(0)["waiting"][-1] == 1
    some.forget("daemon")
    assert sum(some.shown(0)["waiting"]) == 0


def test_it_grows_to_a_bound() -> None:
    some = Histories()
    for number in range(history.MOST + 1):
        some.add(("daemon", str(number)), 0, 1, 0)
    assert some.shown(0)["waiting"][-1] == history.MOST
