"""Ten syncs of one host that cannot be reached for an hour, with a clock that a test turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.model import DictConfig
from orchestrator.logic.endpoint import LONGEST_UNTRIED
from orchestrator.logic.filters import Filters
from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Definition, Options, Sync
from tests.kit.syncs import Calls, Machine

if TYPE_CHECKING:
    from orchestrator.sync.outcome import Outcome

COUNT = 10
HOUR = 3600


class Transferring(Calls):
    """An action that transfers all that is due, with the exit code of the day."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.tries = 0

    def action(self) -> None:
        self.tries += 1
        self.sync.transfers.spawn(self.sync.inlet.get_events(), [b"copy", self.sync.name.encode()])

    def collect(self, outcome: Outcome) -> Collected:
        judgement = self.sync.judge.judge(outcome, exit_codes={0: "ok", 5: "again", 255: "again"})
        return Collected(judgement.verdict, judgement=judgement)


class World(Machine):
    def __init__(self, endpoints: list[str | None]) -> None:
        super().__init__()
        self.down = True
        self.broken: set[str] = set()
        self.syncs: list[Sync] = []
        self.calls: list[Transferring] = []
        self.exit_code_of = lambda started: self.code_of(started.child.argv[-1].decode())
        for number, endpoint in enumerate(endpoints):
            calls = Transferring(self)
            sync = Sync(
                self.host,
                Definition(number, f"s{number}", b"/src/", DictConfig({}), Filters(), Options(delay=1.0)),
                calls,
            )
            calls.sync = sync
            sync.start()
            if endpoint is not None:
                sync.go_to(self.host.endpoint(endpoint))
            self.syncs.append(sync)
            self.calls.append(calls)

    def code_of(self, name: str) -> int:
        return 255 if self.down else 5 if name in self.broken else 0

    def change(self, name: bytes = b"f") -> None:
        for sync in self.syncs:
            sync.change("Modify", self.clock.now(), b"/src/" + name, None)

    def run(self, seconds: float) -> None:
        """Let it work for some time, as the runner does."""
        end = self.clock.now() + seconds
        first = 0
        while True:
            now = self.clock.now()
            for place in range(len(self.syncs)):
                sync = self.syncs[(first + place) % len(self.syncs)]
                alarm = sync.next_alarm()
                if alarm is not None and alarm <= now:
                    sync.invoke(now)
            first += 1
            if len(self.processes):
                self.clock.advance(0.01)
                self.wait()
                continue
            alarms = [alarm for sync in self.syncs if (alarm := sync.next_alarm()) is not None]
            soonest = min(alarms, default=end)
            if soonest >= end:
                self.clock.advance(max(0.0, end - self.clock.now()))
                return
            self.clock.advance(max(0.001, soonest - self.clock.now()))


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


@pytest.mark.parametrize("world", [["host"] * COUNT], indirect=True)
def test_an_hour_of_a_host_that_is_down(world: World) -> None:
    world.change()
    world.run(HOUR)
    tries = [calls.tries for calls in world.calls]
    # after 1, 2, 4 … 256 seconds, then every 300: one at a time
    assert COUNT + 15 <= sum(tries) <= COUNT + 25
    assert max(tries) - min(tries) <= 1, "each has its turn"
    retries = [line for line in world.said if "Retrying" in line]
    assert len(retries) == 10, "one line for each longer pause, for all"
    assert [line for line in world.said if "reached" in line] == [
        "Warn: host cannot be reached; all syncs that go there wait together."
    ]
    assert {sync.state.value for sync in world.syncs} == {"retrying"}
    world.down = False
    world.run(301)
    assert {sync.state.value for sync in world.syncs} == {"in sync"}
    assert [calls.tries for calls in world.calls] == [before + 1 for before in tries], "none tries in vain"
    assert world.said.count("Normal: host can be reached again.") == 1


@pytest.mark.parametrize("world", [["host"] * 2], indirect=True)
def test_one_that_can_never_succeed_holds_up_the_other_once_and_not_for_long(world: World) -> None:
    world.down = False
    world.broken = {"s0"}
    world.change()
    world.run(HOUR)
    world.change(b"late")
    world.run(LONGEST_UNTRIED + 2)
    assert world.syncs[1].state.value == "in sync"
    for number in range(20):
        world.change(b"%d" % number)
        world.run(2)
        assert world.syncs[1].state.value == "in sync", number
    assert world.syncs[0].state.value == "retrying"
    world.broken = set()
    world.run(301)
    assert {sync.state.value for sync in world.syncs} == {"in sync"}


@pytest.mark.parametrize("world", [["here", "there", None]], indirect=True)
def test_other_hosts_are_other_matters(world: World) -> None:
    world.change()
    world.run(HOUR)
    assert len({calls.tries for calls in world.calls}) == 1, "each for itself"
    assert [line for line in world.said if "reached" in line] == []
