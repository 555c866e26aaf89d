"""What observers hear of transfers: one object from start to end, also of jobs; full runs; retries."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import Action, Collected, EventList, JobResult, Outcome, RetryList, etypes, hookimpl
from orchestrator.process.child import Child
from orchestrator.sync.hooks import OF_TRANSFERS
from orchestrator.sync.spawn import Spawn
from orchestrator.sync.transfer import Transfer
from orchestrator.testing.inlet import FakeInlet

if TYPE_CHECKING:
    from orchestrator.api import Event, Inlet, ObservedTransfer


class Push(Action):
    """Runs a program, or a job where `runs_job`."""

    name = "push"
    runs_job = False

    def init(self, event: Event) -> None:
        event.inlet.spawn(event, ["everything"])

    def action(self, inlet: Inlet) -> None:
        events = inlet.get_events(lambda event: event.etype not in etypes.SPECIAL)
        if self.runs_job:
            inlet.run(events, lambda stop: JobResult(7, "the server said 503"))
        else:
            inlet.spawn(events, ["some"])

    def collect(self, outcome: Outcome) -> Collected:
        self.failed: list[bytes] | None
        return Collected("again" if outcome.exit_code else "ok", failed=getattr(self, "failed", None))


class Heard:
    """A plugin that notes what its hooks are told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.module = ModuleType("heard")
        for name in OF_TRANSFERS:
            setattr(self.module, name, self._noting(name))

    def _noting(self, name: str) -> Any:
        if name in OF_TRANSFERS[:2]:

            def note(transfer: ObservedTransfer) -> None:
                self.calls.append((name.removeprefix("orchestrator_transfer_"), transfer))

        elif name == "orchestrator_full_run_ended":

            def note(is_startup: bool, verdict: str) -> None:  # type: ignore[misc]
                self.calls.append(("full run", (is_startup, verdict)))

        else:

            def note(paths: list[bytes], is_done: bool) -> None:  # type: ignore[misc]
                self.calls.append(("retry", (list(paths), is_done)))

        note.__name__ = name
        return hookimpl(note)

    def named(self, name: str) -> list[Any]:
        return [value for called, value in self.calls if called == name]


@pytest.fixture
def heard() -> Heard:
    return Heard()


def inlet_of(heard: Heard, action: Action, **config: Any) -> FakeInlet:
    return FakeInlet(action, config, observers={"heard": heard.module})


def test_one_object_joins_start_and_end(heard: Heard) -> None:
    inlet = inlet_of(heard, Push())
    inlet.change("Create", b"/a")
    inlet.change("Move", b"/b", b"/c")
    inlet.turn()
    ((what, transfer),) = heard.calls
    assert (what, transfer.sync, transfer.kind, transfer.is_over) == ("started", "Sync1", "changes", False)
    assert transfer.since == inlet.clock.wall()
    assert b"/a" in transfer.paths
    assert (transfer.verdict, transfer.exit_code, transfer.files) == ("", None, None)
    inlet.advance(3)
    inlet.end(inlet.spawned[0], 0)
    assert heard.named("ended") == [transfer]
    assert (transfer.is_over, transfer.verdict, transfer.exit_code, transfer.cause) == (True, "ok", 0, "")
    assert transfer.duration == 3
    assert transfer.files == len(transfer.paths)


def test_each_transfer_has_a_number_of_its_own_which_the_status_has_too(heard: Heard) -> None:
    inlet = inlet_of(heard, Push(), maxProcesses=2)
    for path in (b"/a", b"/b"):
        inlet.change("Create", path)
        inlet.turn()
    first, second = heard.named("started")
    assert first.id != second.id
    assert [one["id"] for one in inlet.status()["transfers"]] == [first.id, second.id]
    inlet.end(inlet.spawned[1], 0)
    assert heard.named("ended") == [second]


def test_a_job_is_heard_of_with_the_cause_that_it_gives(heard: Heard) -> None:
    action = Push()
    action.runs_job = True
    inlet = inlet_of(heard, action)
    inlet.change("Create", b"/a")
    inlet.turn()
    (transfer,) = heard.named("started")
    assert transfer.pid is None
    inlet.execute(inlet.spawned[0])
    assert (transfer.verdict, transfer.exit_code, transfer.cause) == ("again", 7, "the server said 503")


def test_what_comes_before_a_transfer_is_a_part_of_it(heard: Heard) -> None:
    inlet = inlet_of(heard, Push())
    transfer = Transfer(EventList(inlet, []), Spawn([b"some"]), lambda: None, None, keeps_stderr=False)
    for pid in (7, 8):
        child = Child([b"before, then itself"], inlet.clock.now(), lambda child, code: None)
        child.pid = pid
        inlet.sync.figures.begins(transfer, child, "command")
        (started,) = heard.named("started")
        assert (started.id, started.pid) == (transfer.id, pid)


def test_one_that_never_began_has_an_end_only(heard: Heard) -> None:
    inlet = inlet_of(heard, Push())
    outcome = Outcome(EventList(inlet, []), 255, 1.0, 1.0, error="has no list of paths", id=7)
    inlet.sync.figures.ends(outcome, "again")
    ((what, transfer),) = heard.calls
    assert (what, transfer.id, transfer.verdict, transfer.cause) == ("ended", 7, "again", "has no list of paths")


def test_one_that_does_not_follow_after_what_came_before_it_has_an_end(heard: Heard) -> None:
    inlet = inlet_of(heard, Push())
    figures = inlet.sync.figures
    for has_begun in (False, True):
        transfer = Transfer(EventList(inlet, []), Spawn([b"some"]), lambda: None, None, keeps_stderr=False)
        if has_begun:
            figures.begins(transfer, Child([b"before"], inlet.clock.now(), lambda child, code: None), "command")
        figures.withdrawn(transfer)
    (started,) = heard.named("started")
    assert heard.named("ended") == [started]
    assert (started.verdict, started.cause) == ("again", "withdrawn")


def test_a_startup_and_a_later_full_run(heard: Heard) -> None:
    inlet = inlet_of(heard, Push())
    inlet.startup()
    inlet.end(inlet.spawned[0], 5)
    assert heard.named("full run") == []  # it is tried again
    inlet.advance(300)
    inlet.turn()
    inlet.end(inlet.spawned[1], 0)
    inlet.sync.request_full()
    inlet.turn()
    inlet.end(inlet.spawned[2], 0)
    assert heard.named("full run") == [(True, "ok"), (False, "ok")]
    assert [transfer.kind for transfer in heard.named("ended")] == ["startup", "startup", "full"]
    assert {tuple(transfer.paths) for transfer in heard.named("started")} == {()}


def test_a_full_run_that_leaves_some_paths(heard: Heard) -> None:
    action = Push()
    action.failed = []
    inlet = inlet_of(heard, action)
    inlet.startup()
    inlet.end(inlet.spawned[0], 0)
    assert heard.named("full run") == [(True, "partial")]
    assert heard.named("ended")[0].verdict == "partial"


def failing(heard: Heard, *paths: bytes) -> tuple[Push, FakeInlet]:
    """Of /a, /b and /c these have failed by themselves."""
    action = Push()
    inlet = inlet_of(heard, action)
    for path in (b"/a", b"/b", b"/c"):
        inlet.change("Create", path)
    inlet.turn()
    action.failed = list(paths)
    inlet.end(inlet.spawned[0], 0)
    action.failed = None
    return action, inlet


def test_a_retry_that_succeeds(heard: Heard) -> None:
    _, inlet = failing(heard, b"/b")
    assert heard.named("ended")[0].verdict == "partial"
    assert heard.named("retry") == []
    inlet.advance(5)
    inlet.turn()
    inlet.end(inlet.spawned[1], 0)
    assert heard.named("retry") == [([b"/b"], True)]


def test_a_retry_that_is_given_up_as_the_path_is_gone(heard: Heard) -> None:
    _, inlet = failing(heard, b"/b", b"/c")
    inlet.change("Delete", b"/b")
    assert heard.named("retry") == [([b"/b"], False)]
    inlet.advance(5)
    inlet.turn()
    while inlet.running:
        inlet.end(inlet.running[0], 0)
    assert heard.named("retry") == [([b"/b"], False), ([b"/c"], True)]


def test_a_retry_that_is_given_up_as_its_path_goes_while_it_is_tried(heard: Heard) -> None:
    action, inlet = failing(heard, b"/b")
    inlet.advance(5)
    inlet.turn()
    inlet.change("Delete", b"/b")
    assert heard.named("retry") == []
    action.failed = [b"/b"]
    inlet.end(inlet.spawned[1], 0)
    assert heard.named("retry") == [([b"/b"], False)]


def test_a_retry_that_its_action_drops(heard: Heard) -> None:
    _, inlet = failing(heard, b"/b")
    (waiting,) = inlet.sync.queue
    inlet.discard(inlet.event(waiting))
    assert heard.named("retry") == [([b"/b"], False)]


def test_retries_of_which_a_full_run_takes_the_place(heard: Heard) -> None:
    """The queue was emptied; it is noticed at the next failure."""
    action, inlet = failing(heard, b"/a", b"/b")
    for waiting in list(inlet.sync.queue):
        inlet.sync.queue.remove(waiting)
    inlet.change("Create", b"/x")
    inlet.turn()
    action.failed = [b"/x"]
    inlet.end(inlet.spawned[1], 0)
    ((paths, is_done),) = heard.named("retry")
    assert (sorted(paths), is_done) == ([b"/a", b"/b"], False)


def test_a_retry_that_fails_once_more_is_no_end(heard: Heard) -> None:
    action, inlet = failing(heard, b"/b")
    inlet.advance(5)
    inlet.turn()
    action.failed = [b"/b"]
    inlet.end(inlet.spawned[1], 0)
    assert heard.named("retry") == []


def test_retries_of_an_action_s_own_list(heard: Heard) -> None:
    inlet = inlet_of(heard, Push())
    paths: RetryList[None] = RetryList(1)
    paths.update(inlet, [b"/a", b"/b"], {b"/a": None, b"/b": None})
    assert heard.named("retry") == []
    paths.update(inlet, [b"/a", b"/b", b"/new"], {b"/b": None})
    paths.update(inlet, None, {})
    assert heard.named("retry") == [([b"/a"], True), ([b"/b"], True)]


def test_nothing_is_kept_where_nobody_listens() -> None:
    inlet = FakeInlet(Push())
    assert inlet.sync.figures.observers is None
    assert inlet.sync.collector.observers is None
    assert inlet.sync.retries.on_end is None


def test_the_kit_tells_the_states_and_gives_settings(heard: Heard) -> None:
    told: list[Any] = []
    module = ModuleType("told")

    def orchestrator_configured(settings: Any, inlets: Any) -> None:
        told.append((settings["plugins"]["told"], inlets))

    def orchestrator_sync_state(state: str) -> None:
        told.append(state)

    def orchestrator_settings() -> dict[str, Any]:
        return {}

    for hook in (orchestrator_configured, orchestrator_sync_state, orchestrator_settings):
        setattr(module, hook.__name__, hookimpl(hook))
    inlet = FakeInlet(Push(), observers={"told": module})
    inlet.configure()
    assert told == [({}, [inlet])]
    inlet.startup()
    inlet.end(inlet.spawned[0], 0)
    assert told[1:] == ["starting", "in sync"]
