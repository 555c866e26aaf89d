"""Batches that onBatchStart or a plugin lets not begin: asked again each second, and told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Options, State
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.outcome import Outcome
    from orchestrator.sync.spawn import Spawn


class Held(Calls):
    """Transfers lists or, without `sets`, single changes; onBatchStart answers for each path in `no` with false."""

    def __init__(self, *, lists: bool) -> None:
        super().__init__()
        self.lists = lists
        self.has_startup = False
        self.no = {b""}
        self.actions = 0
        self.over = 0
        self.began: list[list[bytes]] = []

    def has_init(self) -> bool:
        return self.has_startup

    def init(self, event: Event) -> None:
        self.spawn(event)

    def action(self) -> None:
        inlet = self.sync.inlet
        event = inlet.get_event()
        assert event is not None
        self.spawn(inlet.get_events() if self.lists else event)

    def spawn(self, agent: Agent) -> None:
        self.actions += 1

        def on_finished() -> None:
            self.over += 1

        self.sync.inlet.spawn(agent, ["true"], on_finished=on_finished)

    def batch_start(self, agent: Agent) -> bool | None:
        self.ask()
        return None if self.no.isdisjoint(self.paths(agent)) else False

    def collect(self, outcome: Outcome) -> Collected:
        self.began.append(self.paths(outcome.agent))
        return Collected()

    def paths(self, agent: Agent) -> list[bytes]:
        return sorted(delay.path for delay in agent.delays)


class Veto:
    """A plugin's hook, that puts a word before each command."""

    def __init__(self) -> None:
        self.forbids = False
        self.spoils = False
        self.argv: list[list[bytes]] = []

    def has(self, name: str) -> bool:
        return name == "orchestrator_before_spawn"

    def ask(self, name: str, spawn: Spawn, **more: Any) -> tuple[bool | None, str]:
        spawn.argv.insert(0, b"env")
        self.argv.append(list(spawn.argv))
        if self.spoils:
            spawn.argv = []
        return (False, "guard") if self.forbids else (None, "")

    def tell(self, name: str, **more: Any) -> None: ...


class World(SyncWorld):
    def __init__(self, *, lists: bool = True, has_startup: bool = False) -> None:
        self.calls = Held(lists=lists)
        self.veto = Veto()
        super().__init__(self.calls, Options(sets=lists), hooks=self.veto)
        self.calls.has_startup = has_startup
        self.sync.start()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_a_held_list_is_made_once_and_keeps_its_age(world: World) -> None:
    world.calls.no = {b"/a"}
    world.change(b"/a", b"/b")
    world.run(600)
    world.change(b"/c")
    world.run(300)
    assert world.calls.actions == 1
    assert len(world.calls.asked) == 901
    assert world.said == ["Normal: s is held by onBatchStart, which is asked again each second."]
    assert world.sync.state is State.HELD
    status = world.sync.status()
    age = world.clock.wall() - status["oldest"]
    assert (status["state"], status["held_by"], age) == ("held", "onBatchStart", pytest.approx(900.0))
    world.calls.no = set()
    world.run(2)
    assert world.calls.began == [[b"/a", b"/b"], [b"/c"]]
    assert world.said[1:] == ["Normal: s is no longer held by onBatchStart, after 901 s."]
    assert world.sync.state is State.IN_SYNC
    assert world.sync.status()["held_by"] == ""
    assert world.host.alarms.next() is None


def test_a_plugins_veto_is_told_with_its_name(world: World) -> None:
    world.calls.no = set()
    world.veto.forbids = True
    world.change(b"/a")
    world.run(3)
    assert world.said == ['Normal: s is held by plugin "guard", which is asked again each second.']
    world.calls.no = {b"/a"}
    world.veto.forbids = False
    world.run(3)
    assert world.sync.status()["held_by"] == "onBatchStart"
    world.calls.no = set()
    world.run(1)
    assert world.calls.began == [[b"/a"]]
    assert {tuple(argv) for argv in world.veto.argv} == {(b"env", b"true")}, "each time anew"
    assert len(world.said) == 3


def test_what_a_hook_spoils_is_told_once(world: World) -> None:
    world.calls.no = set()
    world.veto.spoils = True
    world.change(b"/a")
    world.run(5)
    assert len([line for line in world.said if line.startswith("Error")]) == 1
    world.veto.spoils = False
    world.run(1)
    assert world.calls.began == [[b"/a"]]


def test_of_single_changes_the_others_go_on() -> None:
    world = World(lists=False)
    world.calls.no = {b"/a"}
    world.change(b"/a", b"/b", b"/c")
    world.run(5)
    assert world.calls.began == [[b"/b"], [b"/c"]]
    world.change(b"/d")
    world.run(0.1)
    assert world.calls.began[2:] == [[b"/d"]]
    assert len(world.said) == 1
    world.calls.no = set()
    world.run(2)
    assert world.calls.began[3:] == [[b"/a"]]
    world.close()


def test_a_startup_that_is_held_is_not_done() -> None:
    world = World(has_startup=True)
    world.change(b"/a")
    world.run(3)
    assert world.sync.state is State.HELD
    assert not world.sync.life.is_started_up
    world.calls.no = set()
    world.run(2)
    assert world.calls.began == [[b""], [b"/a"]]
    world.close()


@pytest.mark.parametrize("stops", ["suspended", "closed"])
def test_what_will_never_begin_is_put_away(world: World, stops: str) -> None:
    world.calls.no = {b"/a"}
    world.change(b"/a")
    world.run(2)
    assert world.calls.over == 0
    if stops == "suspended":
        world.sync.suspend()
    else:
        world.sync.transfers.holds.close()
    world.run(1)
    assert world.calls.over == 1
    assert len(world.sync.transfers.holds) == 0
    oldest = world.sync.oldest()
    assert oldest is not None
    assert world.clock.now() - oldest >= 2, "it has waited all the time"
