"""Changes reach the syncs a slice at a time, and a source that keeps that from ending is left alone (spec 6 row 33)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.model import DictConfig
from orchestrator.logic.change import Change
from orchestrator.logic.filters import Filters
from orchestrator.logic.roots import RootIndex
from orchestrator.sync.inflow import PATIENCE, Inflow
from orchestrator.sync.sync import Definition, Options, State, Sync
from orchestrator.sync.toodeep import TooDeep
from tests.kit.clock import FakeClock
from tests.kit.syncs import Machine

if TYPE_CHECKING:
    from orchestrator.sync.inlet import Event


class SlowClock(FakeClock):
    """Each reading takes a while, as what happens between two readings does."""

    pace = 0.001

    def now(self) -> float:
        self.advance(self.pace)
        return super().now()


class Calls:
    """Of a config that does nothing."""

    is_startup = True

    def has_init(self) -> bool:
        return self.is_startup

    def init(self, event: Event) -> None: ...

    def full(self, event: Event) -> None: ...

    def action(self) -> None: ...


class World(Machine):
    def __init__(self) -> None:
        super().__init__(SlowClock())
        self.calls = Calls()
        self.syncs = [
            Sync(
                self.host,
                Definition(number, name, b"/%s/" % name.encode(), DictConfig({}), Filters(), Options()),
                self.calls,  # type: ignore[arg-type]
            )
            for number, name in enumerate(("src", "other"))
        ]
        self.inflow = Inflow(self.host, RootIndex((sync.source, sync) for sync in self.syncs), TooDeep(self.log))

    def queued(self, sync: int = 0) -> list[tuple[str, bytes]]:
        return [(delay.etype, delay.path) for delay in self.syncs[sync].queue]


@pytest.fixture
def world() -> World:
    return World()


STORM = [Change("Move", b"/src/a", b"/src/b"), Change("Create", b"/src/a")] * 500


def test_a_slice_at_a_time_and_all_of_it_in_order(world: World) -> None:
    world.inflow.take([Change("Create", b"/src/%d" % number) for number in range(20_000)])
    slices = 0
    while len(world.inflow):
        world.inflow.work()
        slices += 1
    assert slices > 2
    assert world.queued() == [("Create", b"/%d" % number) for number in range(20_000)]


def test_who_is_restless_is_known_when_a_backlog_lasts(world: World) -> None:
    world.inflow.take([*STORM, Change("Create", b"/other/f")])
    world.inflow.work()
    assert len(world.inflow)
    assert world.inflow.restless(is_behind=False) == []
    world.clock.advance(PATIENCE)
    assert world.inflow.restless(is_behind=False) == [b"/src/"]
    while len(world.inflow):
        world.inflow.work()
    assert world.queued(1) == [("Create", b"/f")]
    assert world.inflow.restless(is_behind=True) == [b"/src/"]
    assert world.inflow.restless(is_behind=False) == []
    world.clock.advance(PATIENCE)
    assert world.inflow.restless(is_behind=True) == []


def test_what_waits_is_dropped_where_a_full_run_does_it_too(world: World) -> None:
    sync = world.syncs[0]
    sync.start()
    world.inflow.take(STORM)
    world.inflow.work()
    sync.leave_alone(2.0)
    assert sync.state is State.LEFT_ALONE
    assert world.queued() == [("Init", b"")]
    while len(world.inflow):
        world.inflow.work()
    assert world.queued() == [("Init", b"")]
    sync.queue.remove(next(iter(sync.queue)))
    sync.look_through()
    assert world.queued() == [("Full", b"")]
    assert sync.state is not State.LEFT_ALONE


def test_it_is_kept_where_there_is_no_startup(world: World) -> None:
    world.calls.is_startup = False
    world.inflow.take([Change("Create", b"/src/f")])
    world.inflow.work()
    world.syncs[0].leave_alone(2.0)
    assert world.queued() == [("Create", b"/f")]
