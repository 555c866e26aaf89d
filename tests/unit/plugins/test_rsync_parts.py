"""The parts of a startup as runs of the real rsync: what all together may delete, and parts that fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.division import REST, Division, Part, Size
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.parts import part_rules
from tests.kit.inlet import FakeInlet
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

DIVISION = Division(
    [
        Part(REST, (), (b"/a/", b"/b*/c/"), Size()),
        Part(1, (b"/a/",), (), Size()),
        Part(2, (b"/b*/c/",), (), Size()),
    ]
)


@pytest.fixture(name="pair")
def fixture_pair(tmp_path: Path) -> Pair:
    """A source of two parts and a rest; one name more in each of them on the target, `nl\\n` among them."""
    pair = Pair(tmp_path)
    for path in (b"a/f", b"b*/c/f", b"b*/f", b"f"):
        os.makedirs(os.path.dirname(pair.source + path), exist_ok=True)
        os.makedirs(os.path.dirname(pair.target + path), exist_ok=True)
        write(pair.source + path, b"new")
        write(pair.target + path + b" more\n", b"old")
    write(pair.target + b"a/b\\#012", b"old")
    return pair


def started(pair: Pair, **more: object) -> FakeInlet:
    inlet = FakeInlet(Rsync(), pair.config(startupProcesses=2, **more), source=pair.source)
    assert inlet.sync.startup is not None
    inlet.sync.startup.adopt(DIVISION)
    inlet.startup()
    return inlet


def allowed(inlet: FakeInlet) -> list[bytes]:
    """How much each run may delete."""
    return [word.partition(b"=")[2] for spawn in inlet.spawned for word in spawn.argv if b"--max-delete" in word]


def test_rules() -> None:
    rest, first, second = (part_rules(part) for part in DIVISION.parts)
    assert rest == [b"- /a/", b"- /b\\*/c/"]
    assert first == [b"+ /a/", b"- /*"]
    assert second == [b"+ /b\\*/", b"+ /b\\*/c/", b"- /*", b"- /b\\*/*"]


@pytest.mark.parametrize(
    ("limit", "each"), [(5, [b"2", b"2", b"1"]), (8, [b"3", b"3", b"2"]), (10, [b"3", b"3", b"2"])]
)
def test_all_together_delete_no_more_than_is_allowed(pair: Pair, limit: int, each: list[bytes]) -> None:
    inlet = started(pair, maxDelete=limit)
    inlet.settle()
    assert allowed(inlet) == each
    assert sum(map(int, allowed(inlet))) <= limit
    assert snapshot(pair.target) == snapshot(pair.source)
    assert inlet.sync.life.is_started_up


def test_too_much_in_all_of_them_is_refused_before_anything_is_done(pair: Pair) -> None:
    inlet = started(pair, maxDelete=4)
    before = snapshot(pair.target)
    inlet.execute(inlet.running[0])
    assert inlet.running == []
    assert snapshot(pair.target) == before
    assert "would delete 5 of " in inlet.lines("Error")[0]
    assert not inlet.sync.life.is_started_up


def test_more_to_delete_by_then_is_counted_anew_for_that_part_alone(pair: Pair) -> None:
    inlet = started(pair, maxDelete=5)
    inlet.execute(inlet.running[0])
    inlet.turn()
    for name in (b"x", b"y"):
        write(pair.target + b"b*/c/" + name, b"old")
    inlet.settle()
    assert not inlet.sync.life.is_started_up
    assert snapshot(pair.target) != snapshot(pair.source)
    inlet.advance(60)
    inlet.settle()
    assert len(inlet.spawned) == 4
    assert allowed(inlet)[-1] == b"5", "as a full run that is counted anew"
    assert snapshot(pair.target) == snapshot(pair.source)


def test_a_part_with_a_file_that_cannot_be_transferred(pair: Pair) -> None:
    inlet = started(pair)
    inlet.end(inlet.running[0], 0)
    inlet.turn()
    first = next(spawn for spawn in inlet.running if spawn.stdin is not None and b"+ /a/" in spawn.stdin)
    stderr = b'rsync: [sender] send_files failed to open "%sa/f": Permission denied (13)\n' % pair.source
    assert inlet.end(first, 23, stderr) == "ok"
    assert inlet.was_partial
    assert inlet.retrying == 1
    second = inlet.running[0]
    assert inlet.end(second, 23, b"rsync: [generator] something new\n") == "ok"
    assert inlet.retrying == 2, "where it is unclear what failed, all of the part is tried again, and nothing else"
    inlet.advance(60)
    inlet.turn()
    batch = inlet.running[0].stdin
    assert batch is not None
    assert {b"/a/f", b"/b\\*/c/***"} <= set(batch.split(b"\0"))
    assert b"/***" not in batch.split(b"\0")


def test_a_part_with_a_file_that_does_not_fit(pair: Pair) -> None:
    inlet = started(pair)
    inlet.end(inlet.running[0], 0)
    inlet.turn()
    first, second = inlet.running
    stderr = b'rsync: [receiver] write failed on "%sa/f": No space left on device (28)\n' % pair.target
    assert inlet.end(first, 11, stderr) == "again"
    inlet.end(second, 0)
    inlet.advance(60)
    inlet.turn()
    assert b"--max-size=2" in inlet.running[0].argv, "without what is as large"
    assert inlet.end(inlet.running[0], 0) == "ok"
    assert inlet.sync.life.is_started_up
    assert inlet.retrying == 1
