"""No transfer starts from another directory than the one that the monitor knows (spec 6 row 7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.mounts import Mounts
from orchestrator.sync import sourceguard
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.sync.event import Event


class Action(Calls):
    """Transfers all that is due; `runs`: from which directory, by its mark."""

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source
        self.runs: list[str] = []

    def action(self) -> None:
        self._transfer(self.sync.inlet.get_events(lambda event: event.etype != "Full"))

    def full(self, event: Event) -> None:
        self._transfer(event)

    def moved(self, source: bytes) -> None:
        """Lua's tables follow; there are none."""

    def _transfer(self, agent: object) -> None:
        inlet, processes = self.sync.inlet, len(self.sync.host.processes)
        inlet.spawn(agent, ["true"])  # type: ignore[arg-type]
        if len(self.sync.host.processes) > processes:
            self.runs.append(os.readlink(self.source / "mark"))


class World(SyncWorld):
    def __init__(self, box: Path) -> None:
        self.source = box / "src"
        self.other = box / "other"
        for directory in (self.source, self.other):
            directory.mkdir()
            (directory / "mark").symlink_to(directory.name)
        self.action = Action(self.source)
        super().__init__(self.action, Options(sets=True), source=os.fsencode(self.source) + b"/")
        self.sync.guard_source()
        self.change(b"/f")
        self.run()

    def replace(self) -> None:
        """As the owner of the directory above can do at any moment."""
        self.source.rename(self.source.with_name("away"))
        self.other.rename(self.source)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_nothing_is_transferred_from_another_directory_until_the_monitor_has_seen_it(world: World) -> None:
    world.replace()
    world.change(b"/g")
    world.run(3)
    assert world.action.runs == ["src"]
    world.sync.suspend()
    world.run(60)
    assert world.action.runs == ["src"]
    world.sync.resume()
    world.run(1)
    assert world.action.runs[1:3] == ["other", "other"], "what waited, and a full run"


@pytest.mark.parametrize("reported", ["move_to", "look_through"])
def test_each_way_in_which_the_monitor_reports_it_lets_transfers_go_on(world: World, reported: str) -> None:
    world.replace()
    world.change(b"/g")
    world.run(0.5)
    if reported == "move_to":
        world.sync.move_to(world.sync.source)
    else:
        world.sync.look_through()
    world.run(1)
    assert set(world.action.runs[1:]) == {"other"}


def test_the_same_directory_put_back_is_no_other(world: World) -> None:
    world.replace()
    world.change(b"/g")
    world.run(2)
    world.source.rename(world.other)
    world.source.with_name("away").rename(world.source)
    world.run(2)
    assert world.action.runs == ["src", "src"]
    assert not [line for line in world.said if line.startswith("Error")]


def test_what_nobody_reports_is_taken_for_a_new_source_in_the_end(world: World) -> None:
    world.replace()
    world.change(b"/g")
    world.run(10)
    assert world.action.runs == ["src", "other", "other"]
    errors = [line for line in world.said if line.startswith("Error")]
    path = f"{world.source}/"
    assert errors == [f"Error: source {path} of s is another directory than before; everything is transferred anew."]


def test_a_source_that_is_gone_starts_nothing(world: World) -> None:
    world.source.rename(world.source.with_name("away"))
    world.change(b"/g")
    world.run(3)
    assert world.action.runs == ["src"]


def test_where_inode_numbers_change_by_themselves_another_one_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = Mounts(b"1 1 0:1 / / rw - overlay overlay rw\n")
    monkeypatch.setattr(sourceguard, "read_mounts", lambda: overlay)
    world.replace()
    world.change(b"/g")
    world.run()
    assert world.action.runs == ["src", "other"]
