"""Transfers of which a part did not arrive: what is told, what waits apart, what goes on (spec 6 rows 13, 16b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Options, State
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from orchestrator.sync.outcome import Outcome


class Action(Calls):
    """Transfers all that is due together. `too_big`: what the target has no room for. `ends_with`: where one is."""

    def __init__(self) -> None:
        super().__init__()
        self.too_big: Callable[[bytes], bool] = lambda path: False
        self.ends_with = "ok"
        self.names_paths = True
        self.lists: list[list[bytes]] = []
        self.told: list[str] = []

    def action(self) -> None:
        events = self.sync.inlet.get_events()
        self.lists.append(sorted(events.paths()))
        self.sync.transfers.spawn(events, [b"true"])

    def collect(self, outcome: Outcome) -> Collected:
        assert outcome.agent.is_list
        failed = [delay.path for delay in outcome.agent.delays if self.too_big(delay.path)]
        if not failed:
            return Collected()
        if self.ends_with == "again":
            failed = failed[:1]  # as rsync, which stops there
        return Collected(self.ends_with, self.reported(failed))

    def reported(self, failed: Collection[bytes]) -> Collection[bytes]:
        return failed if self.names_paths else ()

    def batch_end(self, outcome: Outcome, verdict: str) -> None:
        self.told.append(verdict)


class World(SyncWorld):
    def __init__(self) -> None:
        self.action = Action()
        self.hooked: list[str] = []
        super().__init__(self.action, Options(sets=True), hooks=self)
        self.sync.start()

    def has(self, name: str) -> bool:
        """It plays the hooks as well."""
        return name == "orchestrator_after_collect"

    def tell(self, name: str, **arguments: Any) -> None:
        self.hooked.append(arguments["verdict"])

    def lists(self, seconds: float) -> list[list[bytes]]:
        """The lists that are transferred in that time."""
        self.action.lists = []
        self.run(seconds)
        return self.action.lists


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def is_big(path: bytes) -> bool:
    return b"big" in path


@pytest.mark.parametrize("names_paths", [True, False])
def test_what_is_told(world: World, names_paths: bool) -> None:
    world.action.names_paths = names_paths
    world.action.too_big = is_big
    world.change(b"/a", b"/big")
    world.run()
    assert world.action.told == world.hooked == ["partial"]
    world.action.too_big = lambda path: False
    world.change(b"/b")
    world.run(1)
    assert set(world.action.told[1:]) == set(world.hooked[1:]) == {"ok"}
    assert len(world.sync.queue) == 0


def test_only_what_failed_waits(world: World) -> None:
    world.action.too_big = is_big
    world.change(b"/a", b"/big", b"/c")
    assert world.lists(0.5) == [[b"/a", b"/big", b"/c"]]
    assert world.sync.state is State.RETRYING
    assert world.sync.status()["retrying"] == 1
    world.change(b"/d")
    assert world.lists(0.4) == [[b"/d"]]  # and nothing waits for it
    world.change(b"/e")
    assert sorted(world.lists(0.2)) == [[b"/big"], [b"/e"]]  # never in one list: one would spoil the other
    assert world.lists(1.8) == []
    assert world.lists(0.2) == [[b"/big"]]
    world.action.too_big = lambda path: False
    assert world.lists(5) == [[b"/big"]]
    assert world.sync.state is State.IN_SYNC


@pytest.mark.parametrize(
    ("failed", "waits"),
    [(b"/d/e/f", [b"/d/e/"]), (b"/d/g", [b"/d/"]), (b"/d/e", [b"/d/e/"]), (b"/h/i", []), (b"/d", [b"/d/"])],
)
def test_what_lies_below_a_directory_belongs_to_it(world: World, failed: bytes, waits: list[bytes]) -> None:
    world.action.too_big = lambda path: path == b"/x"
    world.action.reported = lambda paths: [failed]  # type: ignore[method-assign]
    for path in (b"/d/", b"/d/e/", b"/x"):
        world.sync.change("Attrib", 0.0, b"/src" + path, None)
    world.run()
    assert [delay.path for delay in world.sync.queue] == waits


def test_the_rest_of_a_run_that_stopped_goes_at_once(world: World) -> None:
    world.action.too_big = is_big
    world.action.ends_with = "again"
    world.change(b"/a", b"/big", b"/c")
    assert world.lists(0.5) == [[b"/a", b"/big", b"/c"], [b"/a", b"/c"]]
    assert world.action.told == ["again", "ok"]
    world.change(b"/d")
    assert world.lists(0.1) == [[b"/d"]]


def test_a_target_without_room_for_anything_is_not_tried_for_each_path(world: World) -> None:
    world.action.too_big = lambda path: True
    world.action.ends_with = "again"
    world.change(*(b"/%03d" % number for number in range(500)))
    assert len(world.lists(20)) < 60
    assert world.sync.state is State.RETRYING
    world.action.too_big = lambda path: False
    world.run(400)
    assert world.sync.state is State.IN_SYNC


def test_nor_for_each_path_that_comes(world: World) -> None:
    world.action.too_big = lambda path: True
    tries = 0
    for number in range(100):
        world.change(b"/%03d" % number)
        fresh = b"/%03d" % number
        tries += sum(fresh in paths for paths in world.lists(0.1))
    assert tries < 15
    world.action.too_big = lambda path: False
    world.run(700)
    assert len(world.sync.queue) == 0


def test_as_long_as_something_gets_through_nothing_pauses(world: World) -> None:
    world.action.too_big = is_big
    for number in range(20):
        world.change(b"/big%d" % number)
        assert [b"/big%d" % number] in world.lists(0.01)
        world.change(b"/small")
        assert [b"/small"] in world.lists(0.01)


def test_what_failed_and_what_is_new_go_apart_though_both_are_due(world: World) -> None:
    world.action.too_big = is_big
    world.change(b"/big")
    world.run()
    world.clock.advance(2)
    world.change(b"/e")
    assert sorted(world.lists(0)) == [[b"/big"], [b"/e"]]


def test_what_goes_meanwhile_is_not_tried_again(world: World) -> None:
    world.action.too_big = is_big
    world.change(b"/big")
    world.run()
    world.change(b"/big", etype="Delete")
    world.action.too_big = lambda path: False
    assert world.lists(2) == [[b"/big"]], "the Delete"
    assert len(world.sync.queue) == 0
