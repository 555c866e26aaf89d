"""batchSizeLimit: large files travel by themselves (spec 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator_rsync.action import Rsync
from tests.kit.inlet import FakeInlet
from tests.kit.trees import Pair, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    pair = Pair(tmp_path)
    for name in (b"big1", b"big2", b"big3"):
        write(pair.source + name, b"x" * 101)
    for name in (b"small1", b"small2", b"exact"):
        write(pair.source + name, b"x" * 100)
    return pair


def inlet_of(pair: Pair, processes: int) -> FakeInlet:
    config = pair.config(batchSizeLimit=100, maxProcesses=processes)
    return FakeInlet(Rsync(), config, source=pair.source)


def test_small_ones_go_together_and_large_ones_alone(pair: Pair) -> None:
    inlet = inlet_of(pair, 4)
    for name in (b"small1", b"big1", b"small2", b"big2", b"exact"):
        inlet.change("Modify", b"/" + name)
    inlet.change("Delete", b"/gone")
    inlet.turn()
    assert [spawn.paths for spawn in inlet.spawned] == [
        [b"/small1", b"/small2", b"/exact", b"/gone"],
        [b"/big1"],
        [b"/big2"],
    ]
    assert inlet.spawned[1].stdin == b"/big1\0/"


def test_what_finds_no_process_waits_and_says_so(pair: Pair) -> None:
    inlet = inlet_of(pair, 2)
    for name in (b"big1", b"big2", b"big3"):
        inlet.change("Modify", b"/" + name)
    inlet.turn()
    assert [spawn.paths for spawn in inlet.spawned] == [[b"/big1"], [b"/big2"]]
    name = (pair.source + b"/big3").decode()
    assert inlet.lines("Normal")[-1] == (
        f"Maximum processes for sync reached. Delaying large transfer for sync: {name}"
    )
    inlet.end(inlet.spawned[0], 0)
    inlet.turn()
    assert inlet.spawned[2].paths == [b"/big3"]


def test_with_one_process_neither_kind_starves(pair: Pair) -> None:
    inlet = inlet_of(pair, 1)
    order = []
    inlet.change("Modify", b"/small1")
    inlet.change("Modify", b"/big1")
    for _ in range(4):
        inlet.turn()
        spawn = inlet.running[0]
        order.append(spawn.paths)
        inlet.change("Modify", b"/small2")
        inlet.change("Modify", b"/big2")
        inlet.end(spawn, 0)
    assert order == [[b"/small1"], [b"/big1"], [b"/small2"], [b"/big2"]]


def test_everything_arrives(pair: Pair) -> None:
    inlet = inlet_of(pair, 1)
    for name in (b"small1", b"big1", b"small2", b"big2", b"exact", b"big3"):
        inlet.change("Create", b"/" + name)
    inlet.settle()
    assert inlet.waiting == []
    assert all((tmp := (pair.target + name)) and _size(tmp) >= 100 for name in (b"small1", b"big1", b"big3", b"exact"))


def _size(path: bytes) -> int:
    with open(path, "rb") as file:
        return len(file.read())
