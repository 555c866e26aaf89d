"""What a function of the config leaves waiting is asked again at a pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.model import DictConfig
from orchestrator.log import Log
from orchestrator.logic.filters import Filters
from orchestrator.masterloop import Loop
from orchestrator.process.processes import Processes
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from orchestrator.sync.sync import Options, Sync
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.sync.event import Agent, Event


class Leaving:
    """Leaves everything waiting until `takes`."""

    def __init__(self) -> None:
        self.sync: Sync
        self.takes = False
        self.asked: list[tuple[str, float]] = []
        self.clock: FakeClock

    def has_init(self) -> bool:
        return True

    def init(self, event: Event) -> None:
        self.asked.append(("init", self.clock.now()))
        if self.takes:
            self.sync.inlet.discard(event)

    def full(self, event: Event) -> None: ...

    def action(self) -> None:
        self.asked.append(("action", self.clock.now()))
        event = self.sync.inlet.get_event()
        if self.takes and event is not None:
            self.sync.inlet.discard(event)

    def collect(self, agent: Agent, exit_code: int) -> str | None: ...

    def batch_start(self, agent: Agent) -> None: ...

    def batch_end(self, agent: Agent, exit_code: int, seconds: float, verdict: str) -> None: ...


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.loop = Loop()
        self.log = Log(self.clock)
        self.said: list[str] = []
        self.log._sinks = [lambda category, text: self.said.append(f"{category}: {text}")]
        self.processes = Processes(self.loop, self.log, self.clock)
        self.host = Host(self.clock, self.log, self.processes, Hooks(None, self.log))
        self.calls = Leaving()
        self.calls.clock = self.clock
        self.sync = Sync(self.host, 1, "s", b"/src/", DictConfig({}), self.calls, Filters(), Options())
        self.calls.sync = self.sync

    def run(self, seconds: float) -> list[float]:
        """The moments, counted from now, at which anything is asked in that time."""
        begin = self.clock.now()
        self.calls.asked = []
        for _ in range(10_000):
            now = self.clock.now()
            while (callback := self.host.alarms.pop_due(now)) is not None:
                callback()
            alarm = self.sync.next_alarm()
            if alarm is not None and alarm <= now:
                self.sync.invoke(now)
                continue
            times = [time for time in (self.host.alarms.next(), self.sync.next_alarm()) if time is not None]
            soonest = min(times, default=begin + seconds)
            if soonest >= begin + seconds:
                self.clock.advance(begin + seconds - now)
                return [moment - begin for _, moment in self.calls.asked]
            self.clock.advance(soonest - now)
        raise AssertionError("it never rests")


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.processes.close()
    world.log.close()
    world.loop.close()


def test_a_startup_left_waiting_is_asked_again_and_nothing_passes_it(world: World) -> None:
    world.sync.start()
    assert world.run(200) == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    world.sync.change("Create", world.clock.now(), b"/src/f", None)
    world.run(100)
    assert {what for what, _ in world.calls.asked} == {"init"}
    assert not world.sync.life.is_started_up
    world.calls.takes = True
    world.run(61)
    assert [what for what, _ in world.calls.asked] == ["init", "action"]
    assert world.sync.life.is_started_up
    assert len(world.said) == 1
    assert world.said[0].startswith("Warn: s: init left the startup waiting")


def test_so_is_a_change(world: World) -> None:
    world.calls.takes = True
    world.sync.start()
    world.run(1)
    for _ in range(2):
        world.calls.takes = False
        world.sync.change("Create", world.clock.now(), b"/src/f", None)
        assert world.run(10) == [0, 1, 3, 7], "from the beginning each time"
        world.calls.takes = True
        world.run(60)
        assert len(world.sync.queue) == 0
    assert [line.partition(" waiting")[0] for line in world.said] == ["Warn: s: action left Create /f"]
    assert world.host.alarms.next() is None, "nothing is left to ask for"
