"""What a function of the config leaves waiting is asked again at a pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.sync.inlet import EventList
from orchestrator.sync.outcome import Collected
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.sync.inlet import Event
    from orchestrator.sync.outcome import Outcome


class Leaving(Calls):
    """Leaves everything waiting until `takes`."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = False
        self.what: list[str] = []

    def has_init(self) -> bool:
        return True

    def init(self, event: Event) -> None:
        self.ask()
        self.what.append("init")
        if self.takes:
            self.sync.inlet.discard(event)

    def action(self) -> None:
        self.ask()
        self.what.append("action")
        event = self.sync.inlet.get_event()
        if self.takes and event is not None:
            self.sync.inlet.discard(event)


class World(SyncWorld):
    def __init__(self) -> None:
        self.calls = Leaving()
        super().__init__(self.calls)

    def asked_within(self, seconds: float) -> list[float]:
        """The moments, counted from now, at which anything is asked in that time."""
        begin = self.clock.now()
        self.calls.asked, self.calls.what = [], []
        self.run(seconds)
        return [moment - begin for moment in self.calls.asked]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_a_startup_left_waiting_is_asked_again_and_nothing_passes_it(world: World) -> None:
    world.sync.start()
    assert world.asked_within(200) == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    world.change(b"/f", etype="Create")
    world.asked_within(100)
    assert set(world.calls.what) == {"init"}
    assert not world.sync.life.is_started_up
    world.calls.takes = True
    world.asked_within(61)
    assert world.calls.what == ["init", "action"]
    assert world.sync.life.is_started_up
    assert len(world.said) == 1
    assert world.said[0].startswith("Warn: s: init left the startup waiting")


def test_so_is_a_change(world: World) -> None:
    world.calls.takes = True
    world.sync.start()
    world.run(1)
    for _ in range(2):
        world.calls.takes = False
        world.change(b"/f", etype="Create")
        assert world.asked_within(10) == [0, 1, 3, 7], "from the beginning each time"
        world.calls.takes = True
        world.run(60)
        assert len(world.sync.queue) == 0
    assert [line.partition(" waiting")[0] for line in world.said] == ["Warn: s: action left Create /f"]
    assert world.host.alarms.next() is None, "nothing is left to ask for"


def test_what_waits_for_something_that_was_started_in_its_place_is_nothing_to_warn_of() -> None:
    class Preparing(Leaving):
        """Starts something that serves no change first, and asks to be offered the change when that has ended."""

        def action(self) -> None:
            self.ask()
            if not self.takes:
                self.sync.inlet.spawn(EventList(self.sync.inlet, []), ["true"])
            elif (event := self.sync.inlet.get_event()) is not None:
                self.sync.inlet.discard(event)

        def collect(self, outcome: Outcome) -> Collected:
            self.takes = True
            self.sync.inlet.wake()
            return Collected("ok")

    calls = Preparing()
    world = SyncWorld(calls)
    world.change(b"/f", etype="Create")
    world.run(0.5)
    assert len(calls.asked) == 2
    assert len(world.sync.queue) == 0
    assert world.said == []
    world.close()
