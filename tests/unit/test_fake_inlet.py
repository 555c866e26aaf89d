"""The kit's inlet is that of a real sync: what its queue, limits, retries and verdicts do is what the daemon does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import Action, Check, DeletionCount, Event, Inlet, MaxDelete
from orchestrator.sync.sync import State
from orchestrator.testing import FakeInlet

if TYPE_CHECKING:
    import threading
    from pathlib import Path


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


# ---- what the queue makes of changes ------------------------------------------------------------


class Each(Copy):
    """One program for each change."""

    name = "each"
    sets = False

    def action(self, inlet: Inlet) -> None:
        event = inlet.get_event()
        assert event is not None
        inlet.spawn(event, ["copy", event.etype, event.raw_path])


@pytest.fixture
def tree(tmp_path: Path) -> bytes:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").touch()
    (tmp_path / "d" / "left out").touch()
    return bytes(tmp_path) + b"/"


@pytest.mark.parametrize("how", ["moved in", "asked for"])
@pytest.mark.parametrize("action", [Copy(), Each()], ids=["sets", "each"])
def test_a_directory_that_appears_brings_what_is_in_it(tree: bytes, action: Action, how: str) -> None:
    inlet = FakeInlet(action, {"exclude": ["left out"]}, source=tree)
    if how == "moved in":
        inlet.sync.change("Move", inlet.clock.now(), b"/outside/d/", tree + b"d/")
        assert inlet.lines("Normal") == ["Transformed Move to Create for Sync1"]
    else:
        inlet.create(b"/d/")
    below = [("Create", b"/d/"), ("Create", b"/d/e/"), ("Create", b"/d/e/f")]
    assert [item for item in inlet.waiting if item[0] == "Create"] == below
    assert (("Delete", b"/d/") in inlet.waiting) is (how == "asked for" and action.sets), "nobody knows what was there"


def test_a_directory_that_appears_while_something_runs_replaces_what_the_target_may_have(tree: bytes) -> None:
    inlet = FakeInlet(Copy(), source=tree)
    inlet.change("Create", b"/x")
    inlet.turn()
    inlet.change("Create", b"/d/")
    assert inlet.waiting[:2] == [("Delete", b"/d/"), ("Create", b"/d/")]


def test_what_is_gone_by_now_is_not_created(tree: bytes) -> None:
    inlet = FakeInlet(Each(), source=tree)
    inlet.create(b"/gone")
    assert inlet.waiting == []
    inlet.retry(b"/gone")
    assert inlet.waiting == [("Modify", b"/gone")], "whatever it is by now"


@pytest.mark.parametrize(
    ("argv", "error", "says"),
    [
        ("rsync -a", TypeError, "a list of words"),
        ([], ValueError, "its first word is the program"),
        ([1], TypeError, "a str or bytes, not 1"),
        ([b"a\0b"], ValueError, "a NUL can be handed to no program"),
    ],
)
def test_what_is_no_program_is_refused_in_words(argv: Any, error: type[Exception], says: str) -> None:
    inlet = FakeInlet(Copy())
    inlet.change("Modify", b"/f")
    with pytest.raises(error, match=says):
        inlet.spawn(inlet.get_events(), argv)
    assert inlet.waiting == [("Modify", b"/f")]


def test_what_runs_already_cannot_be_started_again() -> None:
    inlet = FakeInlet(Copy())
    inlet.change("Modify", b"/f")
    events = inlet.get_events()
    inlet.spawn(events, ["true"])
    with pytest.raises(ValueError, match="non-waiting event list"):
        inlet.spawn(events, ["true"])
    assert len(inlet.running) == 1
