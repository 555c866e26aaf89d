"""The kit's inlet is that of a real sync: what its queue, limits, retries and verdicts do is what the daemon does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Action, Check, DeletionCount, Event, Inlet, MaxDelete
from orchestrator.sync.sync import State
from orchestrator.testing import FakeInlet

if TYPE_CHECKING:
    import threading


class Copy(Action):
    """One program for all that is due; a startup may delete ten of a hundred files."""

    name = "copy"
    defaults = {"exitcodes": {0: "ok", 1: "again", 2: "die"}}  # noqa: RUF012

    def __init__(self, deletes: int = 0) -> None:
        self.deletes = deletes

    def init(self, event: Event) -> None:
        check = Check(MaxDelete(10), self.count, limited=lambda argv, allowed: [*argv, b"%d" % allowed])
        event.inlet.spawn(event, ["echo", "all"], check=check)

    def count(self, stop: threading.Event, spawn: object) -> DeletionCount:
        return DeletionCount(self.deletes, 100)

    def action(self, inlet: Inlet) -> None:
        inlet.spawn(inlet.get_events(), ["echo"])


def test_it_says_how_the_sync_is_doing() -> None:
    inlet = FakeInlet(Copy())
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert inlet.sync.state is State.STARTING
    inlet.end(inlet.running[0], 0)
    inlet.startup()
    assert inlet.end(inlet.running[0], 0) == "ok"
    assert inlet.sync.state is State.IN_SYNC


def test_what_fails_waits_for_growing_pauses() -> None:
    inlet = FakeInlet(Copy())
    inlet.change("Modify", b"/f")
    inlet.turn()
    for pause in (1, 2, 4):
        assert inlet.end(inlet.running[0], 1) == "again"
        inlet.advance(pause - 0.1)
        inlet.turn()
        assert inlet.running == []
        inlet.advance(0.1)
        inlet.turn()
        assert inlet.running[0].paths == [b"/f"]


def test_an_exit_code_that_ends_it() -> None:
    inlet = FakeInlet(Copy())
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert inlet.end(inlet.running[0], 2) == "die"
    assert inlet.sync.state is State.STOPPED
    assert inlet.lines("Error")[-1] == "Sync1 is stopped: exit code 2"
    inlet.change("Modify", b"/g")
    inlet.turn()
    assert inlet.running == []


def test_a_startup_that_would_delete_too_much_is_refused() -> None:
    inlet = FakeInlet(Copy(deletes=11))
    inlet.startup()
    spawn = inlet.running[0]
    assert inlet.count_deletions(spawn) == DeletionCount(11, 100)
    assert inlet.running == []
    assert "Nothing is deleted." in inlet.lines("Error")[0]
    inlet.change("Modify", b"/f")
    inlet.advance(1)
    inlet.turn()
    assert [spawn.agent.delays[0].etype for spawn in inlet.running] == ["Init"], "nothing goes before it"


def test_a_refusal_is_over_when_it_deletes_little_enough() -> None:
    action = Copy()
    inlet = FakeInlet(action)
    for number in range(1, 3):
        action.deletes = 11
        inlet.startup()
        inlet.count_deletions(inlet.running[0])
        assert len(inlet.lines("Error")) == number, "each refusal has its line"
        inlet.advance(300)
        inlet.turn()
        inlet.count_deletions(inlet.running[0])
        assert len(inlet.lines("Error")) == number, "but not each count"
        action.deletes = 10
        inlet.advance(300)
        inlet.turn()
        inlet.count_deletions(inlet.running[0])
        assert inlet.end(inlet.running[0], 0) == "ok"
        inlet.change("Modify", b"/f")
        inlet.turn()
        assert inlet.running[0].paths == [b"/f"], "what waited goes on"
        inlet.end(inlet.running[0], 0)


@pytest.mark.parametrize("counts", [True, False])
def test_one_that_may_be_is_kept_to_that(counts: bool) -> None:
    inlet = FakeInlet(Copy(deletes=10))
    inlet.startup()
    spawn = inlet.running[0]
    if counts:
        inlet.count_deletions(spawn)
        assert spawn.argv == [b"echo", b"all", b"10"]
    assert inlet.end(spawn, 0) == "ok"
    assert inlet.running == []
    assert inlet.waiting == []


def test_the_limit_of_processes_is_the_configs() -> None:
    inlet = FakeInlet(Copy(), {"maxProcesses": 2})
    for path in (b"/a", b"/b", b"/c"):
        inlet.change("Modify", path)
        inlet.turn()
    assert [spawn.paths for spawn in inlet.running] == [[b"/a"], [b"/b"]]
    assert inlet.waiting == [("Modify", b"/c")]


def test_delay_counts_where_the_user_has_one() -> None:
    inlet = FakeInlet(Copy(), {"delay": 5})
    inlet.retry(b"/f")
    inlet.turn()
    assert inlet.running == []
    inlet.advance(5)
    inlet.turn()
    assert inlet.running[0].paths == [b"/f"]
