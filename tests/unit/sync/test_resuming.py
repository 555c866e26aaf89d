"""What a sync has recorded of its transfers, and how it begins with what changed (spec 6 "Beyond", Restart)."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import hookimpl
from orchestrator.logic.known import Brought, Comparison, Moment, Touched
from orchestrator.logic.maxdelete import MaxDelete
from orchestrator.plugins import Manager
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import RunOptions
from orchestrator.sync.knowledge import Resumable
from orchestrator.sync.life import State
from orchestrator.sync.outcome import Collected, Outcome
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.sync.inlet import Event

NOW = Moment(1, 1)
RESUMABLE = Resumable()


class Kept:
    """A state that notes what it is asked; `look` is what it answers, `go` what waits for it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.done: Callable[[Comparison], None] | None = None
        self.waiting: list[Callable[[], None]] = []
        self.is_ready = False

    def compare(self, done: Callable[[Comparison], None]) -> None:
        self.done = done

    def begin(self, touched: Sequence[Touched] | None, go: Callable[[], None]) -> None:
        self.asked.append(touched)
        if self.is_ready:
            go()
        else:
            self.waiting.append(go)

    def moment(self) -> Moment:
        return NOW

    def arrived(self, brought: Brought, since: Moment) -> None:
        self.asked.append(brought)

    def everything_arrived(self, pending: Sequence[bytes], since: Moment) -> None:
        self.asked.append(("everything but", sorted(pending)))

    def invalidate(self) -> None:
        self.asked.append("invalidate")

    def close(self, *, is_at_rest: bool) -> None:
        self.asked.append(("closed", is_at_rest))


class Mirroring(Calls):
    """An action on sets of paths; `collected` is what it says of each end."""

    collected = Collected("ok")

    def has_init(self) -> bool:
        return True

    def has_startup(self) -> bool:
        return True

    def init(self, event: Event) -> None:
        self.sync.inlet.spawn(event, ["startup"])

    def action(self) -> None:
        events = self.sync.inlet.get_events()
        if len(events):
            self.sync.inlet.spawn(events, ["batch"])

    def collect(self, outcome: Outcome) -> Collected:
        return self.collected

    def resumes(self, cut_off: Sequence[bytes], until: float | None) -> None:
        self.sync.inlet.log("Normal", f"runs until {until}")

    def started(self, outcome: Outcome) -> None:
        self.sync.inlet.log("Normal", "startup finished")


class Mirrored(SyncWorld):
    """A sync with a state, and its startup is due."""

    def __init__(
        self, options: Options | None = None, resumable: Resumable = RESUMABLE, hooks: Hooks | None = None
    ) -> None:
        super().__init__(Mirroring(), options or Options(sets=True, max_processes=2), hooks)
        self.kept = Kept()
        self.sync.keep(self.kept, resumable)
        self.sync.start()
        self.invoke()

    @property
    def action(self) -> Mirroring:
        assert isinstance(self.sync.calls, Mirroring)
        return self.sync.calls

    def invoke(self) -> None:
        self.sync.invoke(self.clock.now())

    def answer(self, look: Comparison) -> None:
        assert self.kept.done is not None
        self.kept.done(look)
        self.invoke()

    def go(self) -> None:
        waiting, self.kept.waiting = self.kept.waiting, []
        for go in waiting:
            go()

    def running(self) -> list[str]:
        return [started.child.argv[0].decode() for started in self.processes.running()]

    def end(self, exit_code: int = 0) -> None:
        self.processes.end(self.processes.running()[0], exit_code)

    def start_up(self) -> None:
        self.answer(Comparison("there is no state yet"))
        self.go()
        self.end()
        self.kept.asked.clear()

    def transfer(self, *changes: tuple[str, bytes]) -> None:
        """It has begun when this returns."""
        for etype, path in changes:
            self.change(path, etype=etype)
        self.invoke()
        self.go()
        self.kept.asked.clear()


def test_nothing_passes_the_look_and_a_full_run_says_why_it_is_one() -> None:
    world = Mirrored()
    world.change(b"/a")
    world.invoke()
    assert (world.running(), world.sync.state, world.sync.next_alarm()) == ([], State.STARTING, None)
    world.answer(Comparison("the filters are others"))
    assert world.said == ["Normal: not resuming /src/ -> : the filters are others"]
    assert world.kept.asked == [None]
    assert world.running() == []  # until nothing is claimed any more
    world.go()
    assert world.running() == ["startup"]
    world.end()
    assert world.kept.asked[1] == ("everything but", [b"/a"])


def test_a_start_with_what_has_changed() -> None:
    world = Mirrored()
    world.answer(Comparison(changes=[("Delete", b"/d/"), ("Create", b"/d/"), ("Modify", b"/a")], total=9, until=5.0))
    assert world.said == ["Normal: resuming /src/ -> : 2 of 9 paths changed", "Normal: runs until 5.0"]
    assert world.kept.asked == [
        [Touched(b"/d/", with_below=True), Touched(b"/d/", with_below=True), Touched(b"/a")],
    ]
    world.go()
    assert world.running() == ["batch"]
    assert world.sync.state is State.STARTING
    world.end()
    assert world.said[-1] == "Normal: startup finished"
    assert world.sync.state is State.IN_SYNC


def test_a_start_without_any_change() -> None:
    world = Mirrored()
    world.answer(Comparison(total=9))
    assert world.said == [
        "Normal: resuming /src/ -> : 0 of 9 paths changed", "Normal: runs until None", "Normal: startup finished",
    ]  # fmt: skip
    assert world.sync.state is State.IN_SYNC


def test_observers_hear_of_a_startup_that_was_resumed() -> None:
    heard: list[tuple[bool, str]] = []

    def orchestrator_full_run_ended(is_startup: bool, verdict: str) -> None:
        heard.append((is_startup, verdict))

    plugin = ModuleType("heard")
    vars(plugin)["orchestrator_full_run_ended"] = hookimpl(orchestrator_full_run_ended)
    manager = Manager(())
    manager.register(plugin, "heard")
    world = Mirrored(hooks=Hooks(manager.hook, print))
    world.answer(Comparison(changes=[("Modify", b"/a")], total=9))
    world.go()
    assert heard == []
    world.end()
    assert heard == [(True, "ok")]


def test_the_start_is_over_when_what_was_found_is_and_not_before() -> None:
    world = Mirrored(Options(sets=True))
    world.answer(Comparison(changes=[("Modify", b"/a"), ("Modify", b"/b")], total=9))
    world.go()
    world.change(b"/later")
    world.action.collected = Collected("ok", failed=[b"/b"])
    world.end()
    assert world.sync.state is not State.IN_SYNC
    assert "Normal: startup finished" not in world.said
    world.action.collected = Collected("ok")
    world.kept.is_ready = True
    world.run(600)
    assert world.said.count("Normal: startup finished") == 1


@pytest.mark.parametrize(
    ("deleted", "line"),
    [
        ([b"/a", b"/b"], "not resuming /src/ -> : 2 paths are gone, which maxDelete is to be asked about"),
        ([b"/d/"], "not resuming /src/ -> : 1 path is gone, which maxDelete is to be asked about"),
        ([b"/a"], "resuming /src/ -> : 1 of 9 paths changed"),
    ],
)
def test_what_is_gone_is_a_matter_of_max_delete(deleted: list[bytes], line: str) -> None:
    world = Mirrored()
    world.host.run.begin(RunOptions(max_delete=MaxDelete(1)))
    world.answer(Comparison(changes=[("Delete", path) for path in deleted], total=9))
    assert world.said[0] == f"Normal: {line}"


def test_all_that_was_transferred_is_recorded() -> None:
    world = Mirrored(resumable=Resumable(with_directories=True))
    world.start_up()
    world.transfer(("Create", b"/n"), ("Modify", b"/m"), ("Attrib", b"/d/"), ("Delete", b"/g"), ("Delete", b"/e/"))
    world.end()
    assert world.kept.asked == [Brought([b"/n", b"/m", b"/d/"], [b"/g", b"/e/"], [], with_directories=True)]


def test_what_a_transfer_may_change_is_void_before_it_begins() -> None:
    world = Mirrored()
    world.start_up()
    for etype, path in (("Create", b"/n"), ("Create", b"/d/"), ("Attrib", b"/a/"), ("Delete", b"/e/")):
        world.change(path, etype=etype)
    world.invoke()
    assert world.kept.asked == [
        [
            Touched(b"/n"),
            Touched(b"/d/", with_below=True),
            Touched(b"/a/", attributes_only=True),
            Touched(b"/e/", with_below=True),
        ]
    ]
    assert world.running() == []
    assert len(world.sync.transfers) == 1


@pytest.mark.parametrize(
    ("exit_code", "collected"),
    [
        (1, Collected("ok")),
        (0, Collected("again")),
        (0, Collected("ok", failed=[])),
        (0, Collected("ok", unsettled=[b"/"])),
    ],
)
def test_what_has_not_gone_well_is_not(exit_code: int, collected: Collected) -> None:
    world = Mirrored()
    world.start_up()
    world.transfer(("Modify", b"/a"))
    world.action.collected = collected
    world.end(exit_code)
    assert [asked for asked in world.kept.asked if isinstance(asked, Brought)] == []


def test_what_the_action_left_alone_is_not() -> None:
    world = Mirrored()
    world.start_up()
    world.transfer(("Modify", b"/a"), ("Modify", b"/d/x"), ("Delete", b"/d/y"), ("Modify", b"/dx"))
    world.action.collected = Collected("ok", failed=[], unsettled=[b"/d/"])
    world.end()
    assert world.kept.asked == [Brought([b"/a", b"/dx"], [], [])]


def test_what_changes_again_below_a_directory_is_remembered() -> None:
    world = Mirrored(Options(sets=True))
    world.start_up()
    world.transfer(("Create", b"/d/"), ("Delete", b"/g"))
    world.change(b"/d/x", etype="Delete")
    world.change(b"/elsewhere")
    world.change(b"/g", etype="Create")
    world.end()
    assert world.kept.asked[0] == Brought([b"/d/"], [], [b"/d/x", b"/g"])


def test_after_a_rename_on_the_target_its_destination_is_not_known() -> None:
    world = Mirrored(Options(sets=True, on_move=True, chains_moves=True))
    world.start_up()
    world.sync.change("Move", world.clock.now(), b"/src/a", b"/src/b")
    world.invoke()
    world.go()
    world.kept.asked.clear()
    world.end()
    assert world.kept.asked == [Brought([], [b"/a"], [])]


def test_a_transfer_that_waits_for_its_state_does_not_begin_in_the_end() -> None:
    world = Mirrored()
    world.start_up()
    world.change(b"/a")
    world.invoke()
    assert world.host.run.announced == 1
    world.sync.close()
    assert world.host.run.announced == 0
    world.go()
    assert world.running() == []
    assert world.kept.asked[-1] == ("closed", True)


def test_one_that_waits_counts_for_the_global_limit() -> None:
    world = Mirrored()
    world.start_up()
    world.host.run.begin(RunOptions(max_processes=1))
    world.change(b"/a")
    world.invoke()
    assert world.host.is_at_limit()


def test_filters_that_change_make_the_state_void() -> None:
    world = Mirrored()
    world.start_up()
    world.sync.inlet.add_exclude(b"x")
    assert world.kept.asked == ["invalidate"]


def test_a_full_run_that_has_left_something_out() -> None:
    world = Mirrored()
    world.answer(Comparison("there is no state yet"))
    world.go()
    world.action.collected = Collected("ok", failed=[], unsettled=[b"/left"])
    world.end()
    assert world.kept.asked[1:] == [("everything but", [b"/left"])]


def test_one_of_which_nobody_knows_what_it_has_left_out() -> None:
    world = Mirrored()
    world.answer(Comparison("there is no state yet"))
    world.go()
    world.action.collected = Collected("ok", failed=[])
    world.end()
    assert world.kept.asked[1:] == []


def test_a_startup_in_parts_has_arrived_with_the_last_one() -> None:
    world = Mirrored()
    world.answer(Comparison("there is no state yet"))
    startup = world.sync.transfers.recorder
    assert startup is not None
    outcomes = [Outcome(world.sync.inlet.full_event(), 0) for _ in range(3)]
    for outcome in outcomes:
        startup.begin(outcome.agent, lambda: None)
    world.go()
    world.kept.asked.clear()
    startup.ended(outcomes[0], Collected("ok", failed=[], unsettled=[b"/left"]), is_part=True)
    assert world.kept.asked == []
    startup.ended(outcomes[1], Collected("ok"))
    assert world.kept.asked == [("everything but", [b"/left"])]
    startup.ended(outcomes[2], Collected("ok", failed=[]), is_part=True)
    startup.begin(outcomes[0].agent, lambda: None)
    world.go()
    startup.ended(outcomes[0], Collected("ok"))
    assert len([asked for asked in world.kept.asked if asked is not None]) == 1


def test_a_pause_while_the_source_is_compared() -> None:
    """Hearing of the result, an action may begin to tidy up the target."""
    world = Mirrored()
    world.sync.pause()
    world.answer(Comparison(changes=[("Modify", b"/a")], total=9, until=5.0))
    assert (world.said, world.running()) == ([], [])
    world.sync.unpause()
    world.invoke()
    world.go()
    assert world.said[-1] == "Normal: runs until 5.0"
    assert world.running() == ["batch"]


def test_a_pause_while_what_a_transfer_may_change_is_noted() -> None:
    world = Mirrored()
    world.start_up()
    world.change(b"/a")
    world.invoke()
    world.sync.pause()
    world.go()
    assert world.running() == []
    world.sync.unpause()
    world.invoke()
    world.go()
    assert world.running() == ["batch"]
