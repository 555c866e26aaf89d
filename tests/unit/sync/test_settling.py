"""`settle`: a file travels once it has been quiet for so long; nothing else waits for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Options, State
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.sync.outcome import Outcome


class Noting(Calls):
    """Takes all that is due, and notes when."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[float, str, bytes]] = []

    def action(self) -> None:
        self.sync.inlet.spawn(self.sync.inlet.get_events(), ["true"])

    def collect(self, outcome: Outcome) -> Collected:
        now = self.sync.host.clock.now() - 1000
        self.done += [(round(now, 3), delay.etype, delay.path) for delay in outcome.agent.delays]
        return Collected()


class World(SyncWorld):
    def __init__(self, directory: Path, *, on_move: bool = False) -> None:
        self.directory = directory
        self.calls = Noting()
        options = Options(sets=True, settle=10.0, on_move=on_move)
        super().__init__(self.calls, options, source=os.fsencode(directory) + b"/")
        self.sync.start()

    def write(self, name: str, text: str = "x", etype: str = "Modify") -> None:
        self.append(name, text)
        self.change(b"/" + os.fsencode(name), etype=etype)

    def append(self, name: str, text: str) -> None:
        """As a writer does that keeps the file open."""
        with (self.directory / name).open("a") as file:
            file.write(text)

    def move(self, name: str, name2: str) -> None:
        (self.directory / name).rename(self.directory / name2)
        source = self.sync.source
        self.sync.change("Move", self.clock.now(), source + os.fsencode(name), source + os.fsencode(name2))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_each_change_puts_it_off_and_nothing_else(world: World) -> None:
    world.write("slow", etype="Create")
    world.run(6)
    world.write("slow")
    world.change(b"/d/", etype="Create")
    world.write("quick")
    world.run(3)
    assert world.calls.done == [(6, "Create", b"/d/")]
    assert world.sync.state is State.SYNCING
    assert world.sync.status()["settling"] == 2
    world.write("slow")
    world.run(20)
    assert world.calls.done[1:] == [(16, "Modify", b"/quick"), (19, "Create", b"/slow")]
    assert world.sync.state is State.IN_SYNC
    assert world.host.alarms.next() is None


def test_a_writer_that_makes_no_events_is_seen(world: World) -> None:
    world.write("open", etype="Create")
    for _ in range(3):
        world.run(9)
        world.append("open", "more")
        world.run(1)
    assert world.calls.done == []
    world.run(11)
    assert world.calls.done == [(40, "Create", b"/open")]


def test_what_is_deleted_does_not_wait(world: World) -> None:
    world.write("f")
    world.write("g")
    (world.directory / "f").unlink()
    world.change(b"/f", etype="Delete")
    (world.directory / "g").unlink()  # with a directory above it, say
    world.run(30)
    assert world.calls.done == [(0, "Delete", b"/f")]


def test_attributes_go_with_the_file(world: World) -> None:
    world.write("f")
    world.change(b"/f", etype="Attrib")
    world.run(9)
    assert world.calls.done == []
    world.change(b"/old", etype="Attrib")
    world.run(20)
    assert world.calls.done == [(9, "Attrib", b"/old"), (10, "Modify", b"/f")]


@pytest.mark.parametrize("on_move", [True, False])
def test_what_waits_in_a_directory_that_is_moved_waits_there(tmp_path: Path, on_move: bool) -> None:
    world = World(tmp_path, on_move=on_move)
    (tmp_path / "d").mkdir()
    world.write("d/f")
    world.run(5)
    world.move("d/", "e/")
    world.run(5)
    assert (10.0, "Modify", b"/e/f") not in world.calls.done
    world.run(20)
    assert (15.0, "Modify", b"/e/f") in world.calls.done
    assert not [path for _, _, path in world.calls.done if path == b"/d/f"]
    world.close()


def test_a_file_that_is_moved(world: World) -> None:
    world.write("f.part", etype="Create")
    world.move("f.part", "f")
    world.run(20)
    assert b"/f" in [path for _, _, path in world.calls.done]
    assert [item for item in world.calls.done if item[2] == b"/f.part"] == [(0, "Delete", b"/f.part")]
