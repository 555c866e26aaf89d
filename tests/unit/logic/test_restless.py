"""Which sources move faster than anybody can follow (spec 6 row 33)."""

from __future__ import annotations

import pytest

from orchestrator.logic.change import Change
from orchestrator.logic.restless import AGAIN, Restless

SRC = b"/src/"


def told(*changes: Change, times: int = 1) -> Restless:
    restless = Restless()
    for _ in range(times):
        for change in changes:
            restless.note(SRC, change)
    return restless


@pytest.mark.parametrize(
    "changes",
    [
        [Change("Move", b"/src/a/", b"/src/b/"), Change("Create", b"/src/a/")],
        [Change("Move", b"/src/a", b"/src/b"), Change("Create", b"/src/a")],
        [Change("Create", b"/src/d/"), Change("Delete", b"/src/d/")],
    ],
)
def test_what_moves_or_appears_again_and_again(changes: list[Change]) -> None:
    assert told(*changes, times=AGAIN // 3).sources() == []
    assert told(*changes, times=AGAIN + 1).sources() == [SRC]


def test_one_thing_renamed_in_a_chain() -> None:
    chain = [Change("Move", b"/src/%d/" % number, b"/src/%d/" % (number + 1)) for number in range(AGAIN + 1)]
    assert told(*chain).sources() == [SRC]


def test_much_that_moves_or_appears_once_is_just_work() -> None:
    moves = [Change("Move", b"/src/a%d/" % number, b"/src/b%d/" % number) for number in range(5000)]
    creates = [Change("Create", b"/src/c%d/" % number) for number in range(5000)]
    assert told(*moves, *creates).sources() == []


def test_a_file_that_is_written_or_comes_and_goes_is_just_work() -> None:
    changes = [Change(etype, b"/src/f") for etype in ("Create", "Modify", "Attrib", "Delete")]
    assert told(*changes, times=5000).sources() == []


def test_each_source_for_itself_and_from_the_beginning() -> None:
    restless = told(Change("Create", b"/src/d/"), times=AGAIN)
    restless.note(b"/other/", Change("Create", b"/src/d/"))
    assert restless.sources() == []
    restless.note(SRC, Change("Create", b"/src/d/"))
    assert restless.sources() == [SRC]
    restless.clear()
    assert restless.sources() == []
