"""Changes behind a startup in parts: none is offered before the parts that it concerns are done, and none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.division import Division, Part, Size
from orchestrator.logic.event import ACTIVE, ATTRIB, CREATE, DELETE, INIT, MODIFY, MOVE, PART
from orchestrator.logic.queue import Queue

if TYPE_CHECKING:
    from orchestrator.logic.delay import Delay

SUBTREES = (b"/a/b/", b"/a/c/", b"/d/")
DIVISION = Division(
    [
        Part(0, (), SUBTREES, Size()),
        *(Part(number, (subtree,), (), Size()) for number, subtree in enumerate(SUBTREES, 1)),
    ]
)
NUMBERS = range(1, 1 + len(SUBTREES))
PATHS = (b"/", b"/a/", b"/a/b/", b"/a/b/x", b"/a/b/y/", b"/a/c/", b"/a/c/x", b"/d/", b"/d/x", b"/e", b"/e/", b"/a/f")

CHANGES = st.one_of(
    st.tuples(st.sampled_from([ATTRIB, CREATE, MODIFY, DELETE]), st.sampled_from(PATHS), st.none()),
    st.tuples(st.just(MOVE), st.sampled_from(PATHS[1:]), st.sampled_from(PATHS[1:])),
)
STEPS = st.lists(st.one_of(CHANGES, st.sampled_from([*NUMBERS, "take", "fail"])), max_size=40)


class World:
    def __init__(self, *, chains_moves: bool) -> None:
        self.queue = Queue(sets=True, on_move=chains_moves, chains_moves=chains_moves)
        self.init = self.queue.append(INIT, 0.0, b"", stacked=False)
        self.queue.activate([self.init])
        self.parts: dict[int, Delay] = {}

    def divide(self) -> None:
        self.parts = self.queue.divide(0.0, NUMBERS, DIVISION.concerned, 0.0)
        self.queue.remove(self.init)

    def taken(self) -> list[Delay]:
        """All that can be transferred now. It concerns no part that is not done."""
        due = self.queue.first_due(1.0, 1000)
        selected = self.queue.select(None)
        for delay in [*selected, *([due] if due is not None else [])]:
            assert delay.etype != PART
            for path in (delay.path, delay.path2):
                if path is not None:
                    assert not set(DIVISION.concerned(delay.etype, path)) & set(self.parts), (delay, self.parts)
        return selected


@given(st.lists(CHANGES, max_size=20), STEPS, st.booleans())
def test_none_is_early_and_none_is_lost(before: list[tuple[object]], after: list[object], chains_moves: bool) -> None:
    world = World(chains_moves=chains_moves)
    queue = world.queue

    def do(step: object) -> None:
        if isinstance(step, tuple):
            etype, path, path2 = step
            if path != path2:
                queue.add(etype, 0.0, path, path2)
        elif isinstance(step, int):
            if step in world.parts:
                queue.activate([world.parts[step]])
                queue.remove(world.parts.pop(step))
        else:
            selected = world.taken()
            queue.activate(selected)
            for delay in selected:
                if step == "take":
                    queue.remove(delay)
                else:
                    queue.retry(delay, 0.0)

    for change in before:
        do(change)
    assert world.taken() == []
    world.divide()
    for step in after:
        do(step)
    for number in NUMBERS:
        do(number)
    while world.taken():
        do("take")
    assert list(queue) == []
    assert queue.places_held() == 0


def test_a_part_that_is_tried_again_holds_its_changes_still() -> None:
    world = World(chains_moves=False)
    queue = world.queue
    queue.add(MODIFY, 0.0, b"/d/x")
    queue.add(MODIFY, 0.0, b"/e")
    world.divide()
    part = world.parts[3]
    queue.activate([part])
    assert part.status == ACTIVE
    assert [delay.path for delay in queue.select(None)] == [b"/e"]
    queue.retry(part, 5.0)
    assert [delay.path for delay in queue.select(None)] == [b"/e"]
    assert queue.first_due(10.0, 0) is queue.select(None)[0], "a part is offered by its startup alone"
    queue.remove(part)
    assert [delay.path for delay in queue.select(None)] == [b"/d/x", b"/e"]
