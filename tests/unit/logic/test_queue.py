"""What the queue gives out and when (spec 2.4, 3.5), and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.filters import Filters
from orchestrator.logic.queue import Queue
from orchestrator.logic.roots import RootIndex

if TYPE_CHECKING:
    from orchestrator.logic.delay import Delay


def queue_of(*changes: tuple[str, float, bytes], sets: bool = True) -> Queue:
    queue = Queue(sets=sets, on_move=True)
    for etype, alarm, path in changes:
        queue.add(etype, alarm, path)
    return queue


def paths(delays: list[Delay]) -> list[bytes]:
    return [delay.path for delay in delays]


def statuses(queue: Queue) -> list[str]:
    return [delay.status for delay in queue]


# -- due


def test_nothing_is_due_in_an_empty_queue() -> None:
    queue = queue_of()
    assert queue.first_due(1e9, 1000) is None
    assert queue.next_alarm(1000) is None
    assert queue.first_waiting() is None


def test_a_delay_is_due_at_its_alarm() -> None:
    queue = queue_of(("Create", 15.0, b"/a"))
    assert queue.first_due(14.9, 1000) is None
    assert queue.next_alarm(1000) == 15.0
    first = queue.first_due(15.0, 1000)
    assert first is not None
    assert first.path == b"/a"


def test_one_that_is_not_due_holds_up_what_is_behind_it() -> None:
    queue = queue_of(("Create", 15.0, b"/a"), ("Create", 10.0, b"/b"))
    assert queue.first_due(12.0, 1000) is None


def test_alarms_do_not_count_in_a_full_queue() -> None:
    queue = queue_of(("Create", 15.0, b"/a"), ("Create", 15.0, b"/b"))
    assert queue.next_alarm(2) == 0.0
    assert queue.first_due(0.0, 2) is not None
    assert queue.first_due(0.0, 3) is None


@pytest.mark.parametrize("max_delays", [0, -1, 0.5])
def test_with_no_room_for_a_delay_each_is_due_at_once(max_delays: float) -> None:
    queue = Queue(sets=False, on_move=False)
    assert queue.next_alarm(max_delays) is None
    queue.add("Create", 60.0, b"/a")
    assert queue.next_alarm(max_delays) == 0.0
    assert queue.first_due(0.0, max_delays) is not None


def test_a_declined_delay_is_offered_again_after_a_change_that_is_absorbed() -> None:
    queue = Queue(sets=False, on_move=False)
    queue.add("Create", 0.0, b"/f")
    delay = queue.first_due(1.0, 1000)
    assert delay is not None
    queue.decline(delay)
    assert queue.next_alarm(1000) is None
    queue.add("Modify", 0.0, b"/f")
    assert queue.first_due(1.0, 1000) is delay


def test_a_declined_delay_is_offered_again_when_something_changes() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"))
    first = queue.first_due(1.0, 1000)
    assert first is not None
    queue.decline(first)
    second = queue.first_due(1.0, 1000)
    assert second is not None
    assert second.path == b"/b"
    queue.decline(second)
    assert queue.first_due(1.0, 1000) is None
    assert queue.next_alarm(1000) is None
    assert queue.first_waiting() is first
    assert paths(queue.select(None)) == [b"/a", b"/b"]
    queue.add("Create", 0.0, b"/c")
    assert queue.first_due(1.0, 1000) is first


def test_what_is_asked_for_beside_the_queue_can_be_offered_again() -> None:
    queue = queue_of(("Create", 0.0, b"/a"))
    first = queue.first_due(1.0, 1000)
    assert first is not None
    queue.decline(first)
    queue.offer_again()
    assert queue.first_due(1.0, 1000) is first


# -- taken together


def test_select_takes_what_is_blocked_by_the_selected_alone() -> None:
    queue = queue_of(
        ("Create", 0.0, b"/d/"), ("Create", 0.0, b"/a"), ("Create", 0.0, b"/d/e/"), ("Create", 0.0, b"/d/e/f")
    )
    assert paths(queue.select(None)) == [b"/d/", b"/a", b"/d/e/", b"/d/e/f"]


def test_select_skips_what_fails_the_test_and_all_that_it_blocks() -> None:
    queue = queue_of(
        ("Create", 0.0, b"/d/"), ("Create", 0.0, b"/a"), ("Create", 0.0, b"/d/e/"), ("Create", 0.0, b"/d/e/f")
    )
    assert paths(queue.select(lambda delay: delay.path != b"/d/e/")) == [b"/d/", b"/a"]
    assert paths(queue.select(lambda delay: None if delay.path == b"/d/" else True)) == [b"/a"]


def test_select_stops_at_break() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Delete", 0.0, b"/b"), ("Create", 0.0, b"/c"))
    asked = []

    def test(delay: Delay) -> bool | str:
        asked.append(delay.path)
        return "break" if delay.etype == "Delete" else True

    assert paths(queue.select(test)) == [b"/a"]
    assert asked == [b"/a", b"/b"]


def test_select_leaves_out_what_is_active_and_what_that_blocks() -> None:
    queue = queue_of(("Create", 0.0, b"/a"))
    queue.activate(queue.select(None))
    queue.add("Modify", 0.0, b"/a")
    queue.add("Modify", 0.0, b"/b")
    assert paths(queue.select(None)) == [b"/b"]


def test_selecting_changes_nothing() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"))
    assert queue.select(None) == queue.select(None) == list(queue)
    assert statuses(queue) == ["wait", "wait"]


def test_a_test_may_drop_delays_while_it_is_asked() -> None:
    """Foreign code: a Lua function may discard an event in the middle of getEvents."""
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"), ("Create", 0.0, b"/c"))

    def test(delay: Delay) -> bool:
        if delay.path == b"/a":
            queue.remove(list(queue)[1])
            queue.add("Create", 0.0, b"/d")
        return True

    assert paths(queue.select(test)) == [b"/a", b"/c"]


# -- active, done, again


def test_a_done_delay_frees_what_it_blocks() -> None:
    queue = queue_of(("Create", 0.0, b"/d/"), ("Create", 0.0, b"/d/f"))
    directory = next(iter(queue))
    queue.activate([directory])
    assert statuses(queue) == ["active", "block"]
    queue.remove(directory)
    assert statuses(queue) == ["wait"]
    assert directory not in queue


def test_what_is_taken_together_is_active_together() -> None:
    queue = queue_of(("Create", 0.0, b"/d/"), ("Create", 0.0, b"/d/f"))
    taken = queue.select(None)
    queue.activate(taken)
    assert statuses(queue) == ["active", "active"]
    for delay in taken:
        queue.remove(delay)
    assert not list(queue)


def test_a_delay_that_failed_stands_aside_until_it_is_due() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"))
    failed = queue.first_due(1.0, 1000)
    assert failed is not None
    queue.activate([failed])
    queue.retry(failed, 60.0)
    assert failed.status == "wait"
    assert next(iter(queue)) is failed
    second = queue.first_due(2.0, 1000)
    assert second is not None
    assert second.path == b"/b"
    assert paths(queue.select(None)) == [b"/b"]
    queue.activate([second])
    queue.remove(second)
    assert queue.first_due(3.0, 1000) is None
    assert queue.next_alarm(1000) == 60.0
    assert queue.first_due(60.0, 1000) is failed
    assert queue.select(None) == [failed]


def test_a_delay_tried_again_is_taken_once() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"))
    failed = queue.select(lambda delay: delay.path == b"/b")
    queue.activate(failed)
    queue.retry(failed[0], 1.0)
    assert queue.first_due(1.0, 1000) is next(iter(queue))
    assert paths(queue.select(None)) == [b"/a", b"/b"]


def test_a_full_queue_does_not_hurry_what_failed() -> None:
    queue = queue_of(("Create", 0.0, b"/a"))
    failed = list(queue)
    queue.activate(failed)
    queue.retry(failed[0], 60.0)
    assert queue.first_due(1.0, 1) is None
    assert queue.next_alarm(1) == 60.0


def test_changes_of_a_failed_path_are_combined_with_it() -> None:
    queue = queue_of(("Modify", 0.0, b"/a"))
    failed = list(queue)
    queue.activate(failed)
    queue.retry(failed[0], 60.0)
    queue.add("Modify", 1.0, b"/a")
    assert list(queue) == failed


# -- Init, Blanket, Full


@pytest.mark.parametrize("etype", ["Init", "Blanket"])
def test_what_comes_later_waits_for_the_startup(etype: str) -> None:
    queue = queue_of()
    startup = queue.append(etype, 0.0, b"", stacked=False)
    queue.add("Create", 0.0, b"/a")
    queue.add("Move", 0.0, b"/b", b"/c")
    assert statuses(queue) == ["wait", "block", "block"]
    queue.activate([startup])
    queue.remove(startup)
    assert statuses(queue) == ["wait", "wait"]


def test_a_startup_put_in_front_goes_before_what_waits() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"))
    running = next(iter(queue))
    queue.activate([running])
    startup = queue.prepend("Init", 5.0, b"")
    queue.add("Create", 0.0, b"/c")
    assert [delay.path for delay in queue] == [b"", b"/a", b"/b", b"/c"]
    assert statuses(queue) == ["wait", "active", "block", "block"]
    assert queue.first_due(5.0, 1000) is startup
    queue.retry(running, 6.0)
    assert statuses(queue) == ["wait", "block", "block", "block"]
    queue.remove(startup)
    assert statuses(queue) == ["wait", "wait", "wait"]


def test_stacked_waits_for_the_last_one_only() -> None:
    queue = queue_of(("Create", 0.0, b"/a"), ("Create", 0.0, b"/b"))
    first, last = queue
    full = queue.append("Full", 0.0, b"", stacked=True)
    assert full.status == "block"
    queue.remove(first)
    assert full.status == "block"
    queue.remove(last)
    assert full.status == "wait"
    assert queue.append("Full", 0.0, b"", stacked=True).blocker is full


def test_a_full_blocks_nothing() -> None:
    queue = queue_of()
    queue.append("Full", 0.0, b"", stacked=False)
    queue.add("Create", 0.0, b"/a")
    assert statuses(queue) == ["wait", "wait"]


def test_a_blanket_takes_over_what_an_init_blocks() -> None:
    queue = queue_of()
    startup = queue.append("Init", 0.0, b"", stacked=False)
    queue.add("Create", 0.0, b"/a")
    blanket = queue.append("Blanket", 0.0, b"", stacked=False)
    queue.activate([blanket])
    queue.hand_over(startup, blanket)
    queue.remove(startup)
    assert statuses(queue) == ["block", "active"]
    queue.remove(blanket)
    assert statuses(queue) == ["wait"]


# -- size


def test_an_empty_queue_keeps_nothing() -> None:
    queue = queue_of()
    for turn in range(3):
        for number in range(500):
            queue.add("Create", 0.0, b"/d%d/e/f%d" % (number % 7, number))
        queue.add("Delete", 0.0, b"/d%d/" % turn)
        taken = queue.select(None)
        queue.activate(taken)
        for delay in taken:
            queue.remove(delay)
        assert len(queue) == 0
        assert queue.places_held() == 0


def test_what_an_event_costs_does_not_grow_with_the_queue() -> None:
    """Counts the delays that are looked at, not the time it takes."""

    class Counted(bytes):
        looked_at = 0

        def startswith(self, *arguments: object) -> bool:
            Counted.looked_at += 1
            return bytes.startswith(self, *arguments)  # type: ignore[arg-type]

    costs = []
    for size in (100, 10_000):
        queue = queue_of()
        for number in range(size):
            queue.add("Create", 0.0, Counted(b"/d/e/%d" % number))
        Counted.looked_at = 0
        for number in range(50):
            queue.add("Create", 0.0, b"/d/new%d" % number)
            queue.add("Modify", 0.0, b"/d/e/%d" % number)
            queue.add("Attrib", 0.0, b"/d/")
            queue.add("Delete", 0.0, b"/d/e/")
        costs.append(Counted.looked_at)
    assert costs[1] <= costs[0]


# -- depth


def test_a_path_may_be_as_deep_as_it_likes() -> None:
    """Whoever may write in a source decides that; nothing here recurses, and no name is kept once for each level."""
    depth = 100_000
    deep = b"/d" * depth
    queue = queue_of(("Create", 0.0, deep + b"/f"), ("Create", 0.0, b"/d/"), ("Modify", 0.0, deep + b"/f"))
    assert paths(list(queue)) == [deep + b"/f", b"/d/", deep + b"/f"]
    assert statuses(queue) == ["wait", "block", "block"]
    for delay in list(queue):
        queue.remove(delay)
    assert len(queue) == 0
    filters = Filters()
    filters.add_exclude(b"**/x")
    assert not filters.excludes_path(deep + b"/f")
    assert filters.excludes_path(deep + b"/x")
    assert RootIndex([(b"/d/d/", "a sync")]).of(deep) == ["a sync"]


def test_what_waits_and_what_failed_is_hurried_along() -> None:
    queue = queue_of(("Modify", 50.0, b"/a"), ("Modify", 60.0, b"/b"), ("Modify", 70.0, b"/c"))
    first, second, third = queue
    queue.activate([first, third])
    queue.retry(first, 500.0)
    queue.hurry(5.0)
    assert queue.next_alarm(1000) == 5.0
    assert queue.first_due(4.0, 1000) is None
    assert queue.first_due(5.0, 1000) is first
    assert queue.select(None) == [first, second]
    assert third.alarm == 70.0, "it runs already"
