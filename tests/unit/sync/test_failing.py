"""Changes that fail: tried again, unless what waits for them says that it is in vain (spec 6 row 13)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import Died
from orchestrator.sync.host import RunOptions
from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from orchestrator.sync.outcome import Outcome


class Failing(Calls):
    """An action whose every transfer fails and is to be tried again."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bytes] = []
        self.verdict = "again"

    def action(self) -> None:
        event = self.sync.inlet.get_event()
        assert event is not None
        self.taken.append(event.raw_path)
        self.sync.transfers.spawn(event, [b"false"])

    def collect(self, outcome: Outcome) -> Collected:
        return Collected(self.verdict)


class World(SyncWorld):
    def __init__(self, options: Options | None = None) -> None:
        self.calls = Failing()
        super().__init__(self.calls, options)
        self.exit_code_of = lambda started: 1

    def change(self, etype: str, path: bytes) -> None:  # type: ignore[override]
        self.sync.change(etype, self.clock.now(), b"/src" + path, None)

    def queued(self) -> list[tuple[str, bytes]]:
        return [(delay.etype, delay.path) for delay in self.sync.queue]

    def begin(self) -> None:
        self.sync.invoke(self.clock.now())

    def end(self) -> None:
        self.wait()


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("deleted", "path"), [(b"/d/f", b"/d/f"), (b"/d/", b"/d/f"), (b"/d/", b"/d/e/"), (b"/", b"/d/f")]
)
def test_what_goes_while_it_fails_is_not_tried_again(world: World, deleted: bytes, path: bytes) -> None:
    world.change("Create", path)
    world.begin()
    world.change("Delete", deleted)
    world.end()
    assert world.queued() == [("Delete", deleted)]


@pytest.mark.parametrize("comes", ["while it runs", "after"])
def test_a_rename_that_fails_is_tried_again_whatever_becomes_of_its_old_name(comes: str) -> None:
    """What it is to bring to its new name is not gone with a later file of the old one."""
    world = World(Options(on_move=True))
    world.sync.change("Move", world.clock.now(), b"/src/a", b"/src/b")
    world.begin()
    if comes == "after":
        world.end()
    world.change("Delete", b"/a")
    world.end()
    assert world.queued() == [("Move", b"/a"), ("Delete", b"/a")]


def test_also_behind_something_else_that_waits_for_it(world: World) -> None:
    world.change("Create", b"/d/e/")
    world.begin()
    world.change("Create", b"/d/e/f")
    world.change("Delete", b"/d/")
    world.end()
    assert world.queued() == [("Create", b"/d/e/f"), ("Delete", b"/d/")]


def test_what_else_goes_does_not_matter(world: World) -> None:
    world.change("Create", b"/d/ef")
    world.begin()
    world.change("Delete", b"/d/e")
    world.end()
    assert ("Create", b"/d/ef") in world.queued()
    assert world.calls.taken == [b"/d/ef"]


def test_the_time_of_a_transfer_that_has_ended_wakes_nobody(world: World) -> None:
    """One timer for all of a sync, however many there were."""
    world.sync.host.run.begin(RunOptions(transfer_timeout=1000))
    for number in range(5):
        world.change("Create", b"/%d" % number)
    for _ in range(5):
        world.begin()
        world.end()
    deadlines = world.sync.host.deadlines
    assert deadlines.pop_due(float("inf")) is not None
    assert deadlines.next() is None


@pytest.mark.parametrize("how", ["fading", "told", "neither"])
def test_what_dies_as_the_daemon_is_told_to_end_stops_nothing(world: World, how: str) -> None:
    """TERM gives 143 whatever becomes of the transfers on the way; after a HUP in vain they are tried again."""
    world.calls.verdict = "die"
    world.change("Create", b"/f")
    world.begin()
    world.is_stop_requested = how == "told"
    if how == "fading":
        world.host.run.fade()
    with nullcontext() if how != "neither" else pytest.raises(Died):
        world.end()
    assert not world.sync.life.is_stopped
    assert (world.sync.next_alarm() is None) is (how == "neither")
