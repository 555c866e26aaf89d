"""What an administrator does with a sync while it runs: pause, go on, run, flush, try again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Action, RetryTimer
from orchestrator.sync.inlet import of_paths
from orchestrator.sync.outcome import Collected
from orchestrator.sync.steering import Steering, key_of
from orchestrator.sync.sync import Options
from tests.kit.inlet import FakeInlet
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.api import Inlet
    from orchestrator.sync.flushes import Flushed
    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.outcome import Outcome

DAY = 86400.0


class Copying(Calls):
    """Transfers lists; `codes`: the exit codes of the next transfers, after which all go well. `before`: what
    onBatchStart answers."""

    def __init__(self, *, has_startup: bool = False) -> None:
        super().__init__()
        self.codes: list[int] = []
        self.before: bytes | bool | None = None
        self.has_startup = has_startup
        self.done: list[list[bytes]] = []
        self.finished = 0

    def has_init(self) -> bool:
        return self.has_startup

    def init(self, event: Event) -> None:
        self.spawn(event)

    def full(self, event: Event) -> None:
        self.spawn(event)

    def action(self) -> None:
        self.ask()
        self.spawn(self.sync.inlet.get_events(of_paths))

    def spawn(self, agent: Agent) -> None:
        def over() -> None:
            self.finished += 1

        self.sync.inlet.spawn(agent, ["copy"], on_finished=over)

    def batch_start(self, agent: Agent) -> bytes | bool | None:
        return self.before

    def collect(self, outcome: Outcome) -> Collected:
        judgement = self.sync.judge.judge(outcome, exit_codes={0: "ok", 1: "again", 255: "again"})
        if judgement.verdict == "ok":
            self.done.append([delay.path for delay in outcome.agent.delays])
        return Collected(judgement.verdict, judgement=judgement)


class World(SyncWorld):
    def __init__(self, calls: Copying, options: Options) -> None:
        super().__init__(calls, options)
        self.calls = calls
        self.steering = Steering(self.host)
        self.exit_code_of = lambda started: self.calls.codes.pop(0) if self.calls.codes else 0
        self.answers: list[list[Flushed]] = []
        self.certain = 0
        self.sync.start()

    def pause(self) -> None:
        self.steering.pause([self.sync], self.count)

    def unpause(self) -> None:
        self.steering.unpause([self.sync], self.count)

    def count(self) -> None:
        self.certain += 1

    def flush(self, seconds: float | None, is_wanted: Callable[[], bool] = lambda: True) -> None:
        self.steering.flush([self.sync], seconds, self.answers.append, is_wanted)

    def run(self, seconds: float = 0.0) -> None:
        super().run(seconds)
        self.steering.settle()

    @property
    def answer(self) -> list[tuple[bool, int]]:
        return [(flushed.is_done, flushed.waiting) for (flushed,) in self.answers]


@pytest.fixture
def world() -> Iterator[World]:
    world = World(Copying(), Options(sets=True, delay=10.0))
    yield world
    world.close()


# ---- pause ------------------------------------------------------------------------------------


def test_a_paused_sync_starts_nothing_and_goes_on_with_what_has_come(world: World) -> None:
    world.pause()
    world.change(b"/a")
    world.run(100)
    world.change(b"/b")
    world.run(100)
    assert not world.processes.started
    assert world.sync.state.value == "paused"
    world.unpause()
    world.run()
    assert world.calls.done == [[b"/a", b"/b"]]
    assert world.said[:2] == ["Normal: s is paused by the control socket.", "Normal: s goes on."]


def test_pausing_twice_is_one_line_and_two_answers(world: World) -> None:
    world.pause()
    world.pause()
    world.unpause()
    world.unpause()
    assert world.said == ["Normal: s is paused by the control socket.", "Normal: s goes on."]
    assert world.certain == 4


def test_what_runs_comes_to_its_end(world: World) -> None:
    world.change(b"/a")
    world.clock.advance(10)
    world.sync.invoke(world.clock.now())
    world.pause()
    world.wait()
    assert world.calls.done == [[b"/a"]]
    assert not len(world.sync.queue)


def test_what_failed_meanwhile_is_tried_when_it_goes_on(world: World) -> None:
    world.calls.codes = [1]
    world.change(b"/a")
    world.clock.advance(10)
    world.sync.invoke(world.clock.now())
    world.pause()
    world.run(DAY)
    assert len(world.processes.started) == 1
    world.unpause()
    world.run()
    assert world.calls.done == [[b"/a"]]


def test_a_batch_whose_command_has_ended_is_not_begun(world: World) -> None:
    """It runs again before the batch when that follows."""
    world.calls.before = b"snapshot"
    world.change(b"/a")
    world.clock.advance(10)
    world.sync.invoke(world.clock.now())
    world.pause()
    world.run(100)
    assert [b"snapshot" in started.child.argv for started in world.processes.started] == [True]
    assert world.calls.finished == 1
    world.unpause()
    world.run()
    assert world.calls.done == [[b"/a"]]


def test_a_held_batch_is_not_begun(world: World) -> None:
    world.calls.before = False
    world.change(b"/a")
    world.run(11)
    world.pause()
    world.calls.before = None
    world.run(100)
    assert not world.processes.started
    world.unpause()
    world.run(1)
    assert world.calls.done == [[b"/a"]]


def test_a_paused_startup_waits_and_others_have_its_place() -> None:
    world = World(Copying(has_startup=True), Options(sets=True))
    world.pause()
    world.run(100)
    assert not world.processes.started
    assert world.host.startups.may_begin(object(), 1)  # type: ignore[arg-type]
    world.unpause()
    world.run()
    assert world.sync.state.value == "in sync"
    world.close()


def test_a_full_run_is_queued_once_and_waits(world: World) -> None:
    """Of a crontab, after an overflow, or asked for by hand."""
    world.pause()
    world.sync.request_full()
    assert world.steering.run([world.sync]) == [world.sync]
    world.run(DAY)
    assert not world.processes.started
    world.unpause()
    world.run()
    assert len(world.processes.started) == 1


class Retrying(Action):
    """Starts what it has left over by a timer, not for a change."""

    name = "retrying"

    def action(self, inlet: Inlet) -> None:
        pass

    def again(self, inlet: Inlet) -> None:
        inlet.spawn(inlet.get_events(), ["rest"])


def test_a_timer_of_the_action_is_made_up_for() -> None:
    action = Retrying()
    inlet = FakeInlet(action, {"delay": 1})
    RetryTimer(1.0).failed(inlet, lambda: action.again(inlet))
    inlet.sync.pause()
    inlet.advance(100)
    assert not inlet.spawned
    inlet.sync.unpause()
    assert [spawn.argv for spawn in inlet.spawned] == [[b"rest"]]


def test_what_serves_no_change_and_is_asked_for_meanwhile_follows_later(world: World) -> None:
    """Nobody would ask for it again."""
    world.pause()
    world.sync.inlet.spawn(world.sync.inlet.get_events(), ["rest"])
    assert not world.processes.started
    world.unpause()
    assert [started.child.argv for started in world.processes.started] == [[b"rest"]]


def test_a_change_that_is_asked_for_meanwhile_waits(world: World) -> None:
    world.change(b"/a")
    world.pause()
    world.calls.spawn(world.sync.inlet.get_events())
    world.run(100)
    assert not world.processes.started
    world.unpause()
    world.run()
    assert world.calls.done == [[b"/a"]]


def test_a_reload_forgets_what_was_to_follow(world: World) -> None:
    world.pause()
    world.sync.inlet.spawn(world.sync.inlet.get_events(), ["rest"])
    world.sync.leave()
    world.sync.unpause()
    assert not world.processes.started


def test_a_sync_is_known_again_by_its_name_or_by_where_it_goes() -> None:
    named, nameless, elsewhere = (
        SyncWorld(Calls(), name="web", target="/t"),
        SyncWorld(Calls(), target="/t"),
        SyncWorld(Calls(), target="/u"),
    )
    assert key_of(named.sync) == "web"
    assert key_of(nameless.sync) != key_of(elsewhere.sync)
    assert key_of(nameless.sync) == key_of(SyncWorld(Calls(), target="/t").sync)


class Disk:
    """Remembers late: what is to be written waits for `write`."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.waiting: list[Callable[[str], None]] = []

    def has(self, key: str) -> bool:
        return key in self.keys

    def add(self, key: str, done: Callable[[str], None]) -> None:
        self.keys.add(key)
        self.waiting.append(done)

    def remove(self, key: str, done: Callable[[str], None]) -> None:
        self.keys.discard(key)
        self.waiting.append(done)

    def write(self, problem: str = "") -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(problem)


def test_the_answer_comes_when_a_restart_would_keep_to_it(world: World) -> None:
    disk = Disk()
    world.steering.remember(disk)
    world.pause()
    assert (world.certain, world.sync.state.value) == (0, "paused")
    disk.write()
    assert world.certain == 1
    restarted = World(Copying(), Options())
    restarted.steering.remember(disk)
    restarted.steering.begin(restarted.sync)
    assert restarted.sync.state.value == "paused"
    assert restarted.said == ["Normal: s is paused, as before."]
    restarted.unpause()
    disk.write("Read-only file system")
    assert restarted.certain == 1
    assert restarted.said[-1] == "Warn: what is paused is not remembered over a restart: Read-only file system."
    assert not disk.keys


def test_what_goes_on_does_so_after_a_reload_too(world: World) -> None:
    world.pause()
    reloaded = World(Copying(), Options())
    world.steering.begin(reloaded.sync)
    assert reloaded.sync.state.value == "paused"
    world.unpause()
    reloaded = World(Copying(), Options())
    world.steering.begin(reloaded.sync)
    assert reloaded.sync.state.value == "in sync"


def test_what_is_paused_is_remembered_in_another_place_too(world: World) -> None:
    world.pause()
    disk = Disk()
    world.steering.remember(disk)
    assert disk.keys == {key_of(world.sync)}


# ---- run --------------------------------------------------------------------------------------


def test_a_full_run_waits_for_no_delay_and_no_pause(world: World) -> None:
    world.calls.codes = [1]
    world.change(b"/a")
    world.run(10)
    world.change(b"/b")
    assert world.steering.run([world.sync]) == [world.sync]
    world.run()
    assert world.calls.done == [[b"/a", b"/b"], [b""]]
    assert "Normal: full run of s, asked for by the control socket." in world.said


def test_a_stopped_sync_has_none(world: World) -> None:
    world.sync.life.stop("by a test")
    assert world.steering.run([world.sync]) == []
    assert not len(world.sync.queue)


# ---- flush ------------------------------------------------------------------------------------


def test_what_waits_goes_at_once(world: World) -> None:
    world.change(b"/a")
    world.flush(None)
    world.run()
    assert world.calls.done == [[b"/a"]]
    assert world.answer == [(False, 1)]


def test_the_answer_waits_for_what_waited_then_and_not_for_more(world: World) -> None:
    world.change(b"/a")
    world.change(b"/b")
    world.flush(60.0)
    world.sync.invoke(world.clock.now())
    world.clock.advance(0.001)
    world.change(b"/c")
    world.change(b"/a")
    assert not world.answers
    world.wait()
    world.steering.settle()
    assert world.answer == [(True, 2)]


class Failing(Copying):
    """One that tries paths again by itself, outside of the queue."""

    def collect(self, outcome: Outcome) -> Collected:
        return Collected("ok", failed=[])


def test_a_path_that_the_action_tries_again_by_itself_has_not_arrived() -> None:
    world = World(Failing(), Options(sets=True))
    world.change(b"/a")
    world.flush(60.0)
    world.sync.inlet.report_retrying(1)
    world.run()
    world.wait()
    world.steering.settle()
    assert not world.answers, "it has left the queue, but not arrived"
    world.sync.inlet.report_retrying(0)
    world.steering.settle()
    assert world.answer == [(True, 0)]
    world.close()


def test_nothing_waits_so_nothing_is_waited_for(world: World) -> None:
    world.flush(60.0)
    assert world.answer == [(True, 0)]


def test_the_time_limit_is_answered_once(world: World) -> None:
    world.calls.codes = [1] * 100
    world.change(b"/a")
    world.flush(20.0)
    world.flush(30.0)
    SyncWorld.run(world, 20)  # no turn of the daemon is needed: there is an alarm
    assert world.answer == [(False, 1)]
    SyncWorld.run(world, 10)
    assert world.answer == [(False, 1)] * 2
    world.run(1000)
    assert len(world.answers) == 2


def test_a_pause_after_failures_is_ended_too(world: World) -> None:
    world.calls.codes = [1] * 8
    world.change(b"/a")
    world.run(500)
    tries = len(world.processes.started)
    world.calls.codes = []
    world.flush(60.0)
    world.run()
    assert len(world.processes.started) == tries + 1
    assert world.answer == [(True, 0)]


def test_one_who_has_gone_is_told_nothing(world: World) -> None:
    world.change(b"/a")
    world.flush(60.0, lambda: False)
    world.run(100)
    assert world.calls.done == [[b"/a"]]
    assert not world.answers


@pytest.mark.parametrize("how", ["pause", "stop", "leave"])
def test_nobody_waits_for_what_nobody_will_do(world: World, how: str) -> None:
    world.change(b"/a")
    world.flush(DAY)
    {"pause": world.pause, "stop": lambda: world.sync.life.stop("by a test"), "leave": world.sync.leave}[how]()
    world.steering.settle()
    assert world.answer == [(False, 1)]


def test_files_that_are_to_be_quiet_first_go_too() -> None:
    world = World(Copying(), Options(sets=True, delay=1.0, settle=30.0))
    source = world.sync.source
    assert source == b"/src/"
    world.change(b"/a")  # gone already: there is no such file
    assert world.sync.status()["settling"] == 1
    world.flush(None)
    world.run()
    assert not world.processes.started
    assert world.sync.status()["settling"] == 0
    world.close()


# ---- retry ------------------------------------------------------------------------------------


def test_what_failed_is_tried_now(world: World) -> None:
    world.calls.codes = [1] * 8
    world.change(b"/a")
    world.run(500)
    tries = len(world.processes.started)
    world.steering.try_now([world.sync])
    world.run()
    assert len(world.processes.started) == tries + 1


def test_the_next_pause_is_as_long_as_ever(world: World) -> None:
    world.calls.codes = [1] * 8
    world.change(b"/a")
    world.run(10 + 10)  # two failures: the next pause is of 20 seconds
    world.steering.try_now([world.sync])
    world.run()
    tries = len(world.processes.started)
    world.run(39)
    assert len(world.processes.started) == tries
    world.run(1)
    assert len(world.processes.started) == tries + 1


def test_the_host_is_tried_again(world: World) -> None:
    world.sync.go_to(world.host.endpoint("far"))
    world.calls.codes = [255] * 8
    world.change(b"/a")
    world.run(500)
    tries = len(world.processes.started)
    assert world.sync.retries.unreachable() == "far"
    world.calls.codes = []
    world.steering.try_now([world.sync])
    world.run()
    assert len(world.processes.started) == tries + 1
    assert world.sync.state.value == "in sync"


def test_single_changes_that_failed_are_tried_now() -> None:
    world = World(Copying(), Options(delay=10.0))
    world.calls.action = lambda: world.calls.spawn(event) if (event := world.sync.inlet.get_event()) else None  # type: ignore[method-assign]
    world.calls.codes = [1] * 8
    world.change(b"/a")
    world.run(500)
    tries = len(world.processes.started)
    world.calls.codes = []
    world.steering.try_now([world.sync])
    world.run()
    assert len(world.processes.started) == tries + 1
    assert world.calls.done == [[b"/a"]]
    world.close()


def test_a_retry_that_is_done_is_not_done_again_when_it_would_have_been_due() -> None:
    inlet = FakeInlet(Retrying(), {"delay": 1})
    tried: list[str] = []
    inlet.after(100, lambda: tried.append("now"), is_retry=True)
    inlet.sync.try_now()
    inlet.advance(200)
    assert tried == ["now"]
    inlet.after(100, lambda: tried.append("never"), is_retry=True)
    inlet.sync.leave()
    inlet.sync.try_now()
    inlet.advance(200)
    assert tried == ["now"]


def test_what_an_action_tries_by_itself_is_tried_now_and_not_once_more() -> None:
    inlet = FakeInlet(Retrying(), {"delay": 1})
    tried: list[float] = []
    RetryTimer(100.0).failed(inlet, lambda: tried.append(inlet.clock.now()))
    inlet.after(200, lambda: tried.append(-1.0))
    began = inlet.clock.now()
    inlet.advance(10)
    inlet.sync.try_now()
    inlet.advance(150)
    assert tried == [began + 10]
    inlet.advance(100)
    assert tried == [began + 10, -1.0]


def test_what_a_function_left_waiting_is_asked_about_again(world: World) -> None:
    world.calls.spawn = lambda agent: None  # type: ignore[method-assign]
    world.change(b"/a")
    world.run(10)
    asked = len(world.calls.asked)
    world.steering.try_now([world.sync])
    world.run()
    assert len(world.calls.asked) == asked + 1
