"""The end of a transfer is one value: what the action gets of it, hooks, onBatchEnd, status and retries get too."""

from __future__ import annotations

import resource
from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.logic.maxdelete import DeletionCount, MaxDelete
from orchestrator.logic.verdict import JobResult
from orchestrator.sync.outcome import Collected, Outcome
from orchestrator.sync.spawn import Check, Spawn
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWithProcesses

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from orchestrator.sync.inlet import Agent


class Noting(Calls):
    """Runs one command of the shell; `outcomes`: what its collect was given, `ends`: what onBatchEnd was."""

    def __init__(self) -> None:
        super().__init__()
        self.command = b"true"
        self.answer = Collected("ok")
        self.outcomes: list[Outcome] = []
        self.ends: list[tuple[Outcome, str]] = []

    def action(self) -> None:
        self.sync.inlet.spawn(self.sync.inlet.get_events(), ["sh", "-c", self.command])

    def collect(self, outcome: Outcome) -> Collected:
        self.outcomes.append(outcome)
        return self.answer

    def batch_end(self, outcome: Outcome, verdict: str) -> None:
        self.ends.append((outcome, verdict))


class World(SyncWithProcesses):
    def __init__(self) -> None:
        self.calls = Noting()
        self.hooked: list[dict[str, Any]] = []
        super().__init__(self.calls, Options(sets=True), hooks=self)
        self.sync.start()

    def has(self, name: str) -> bool:
        """It plays the hooks as well."""
        return name == "orchestrator_after_collect"

    def tell(self, name: str, **arguments: Any) -> None:
        self.hooked.append(arguments)

    def transfer(self, command: bytes) -> Outcome:
        """Start it, let three seconds pass while it runs, and wait for its end."""
        self.calls.command = command
        self.change(b"/f")
        self.sync.invoke(self.clock.now())
        self.clock.advance(3.0)
        self.wait()
        return self.calls.outcomes[-1]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_all_are_given_the_same(world: World) -> None:
    world.calls.answer = Collected("again")
    outcome = world.transfer(b"echo no luck >&2; exit 7")
    assert (outcome.exit_code, outcome.stderr, outcome.duration, outcome.error) == (7, b"no luck\n", 3.0, "")
    assert [delay.path for delay in outcome.agent.delays] == [b"/f"]
    (hooked,) = world.hooked
    told = {key: hooked[key] for key in ("agent", "exit_code", "duration", "stderr", "verdict")}
    assert told == {
        "agent": outcome.agent,
        "exit_code": 7,
        "duration": 3.0,
        "stderr": b"no luck\n",
        "verdict": "again",
    }
    ((ended, verdict),) = world.calls.ends
    assert ended is outcome
    assert verdict == "again"
    error = world.sync.history.last_error
    assert error is not None
    assert (error["exit_code"], error["cause"]) == (7, "no luck")


def test_nobody_can_write_into_it(world: World) -> None:
    outcome = world.transfer(b"true")
    with pytest.raises(FrozenInstanceError):
        outcome.exit_code = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("command", "answer", "cause"),
    [
        (b"echo why >&2; exit 1", Collected("ok"), "why"),
        (b"echo why >&2; exit 1", Collected("ok", cause="the action knows better"), "the action knows better"),
        (b"exit 1", Collected("ok"), "exit code 1"),
        (b"kill -9 $$", Collected("ok"), "exit code 137"),
    ],
)
def test_the_cause_in_the_status(world: World, command: bytes, answer: Collected, cause: str) -> None:
    world.calls.answer = answer
    world.transfer(command)
    error = world.sync.history.last_error
    assert error is not None
    assert error["cause"] == cause


def test_the_cause_that_a_job_reports(world: World) -> None:
    inlet = world.sync.inlet
    world.calls.answer = Collected("again")
    for job in (lambda stop: JobResult(1, "the server said 503"), lambda stop: 2):
        world.calls.action = lambda job=job: inlet.run(inlet.get_events(), job)  # type: ignore[method-assign,misc]
        world.transfer(b"")
        world.clock.advance(300)
    assert [outcome.cause for outcome in world.calls.outcomes] == ["the server said 503", ""]
    assert [outcome.exit_code for outcome in world.calls.outcomes] == [1, 2]


def test_one_transfer_leaves_nothing_for_the_next(world: World) -> None:
    world.calls.answer = Collected("ok", failed=[], cause="some failed")
    world.transfer(b"echo first >&2; exit 23")
    world.calls.answer = Collected("ok")
    outcome = world.transfer(b"exit 0")
    assert outcome.stderr == b""
    assert [hooked["verdict"] for hooked in world.hooked] == ["partial", "ok"]
    assert [verdict for _, verdict in world.calls.ends] == ["partial", "ok"]
    assert world.sync.history.last_success is not None


def test_a_program_that_is_not_there_has_no_exit_code_of_its_own(world: World) -> None:
    world.calls.action = lambda: world.sync.inlet.spawn(  # type: ignore[method-assign]
        world.sync.inlet.get_events(), ["/no/such/program"]
    )
    outcome = world.transfer(b"")
    assert (outcome.exit_code, outcome.error, outcome.never_ran) == (255, "No such file or directory", False)


def test_what_never_ran_is_judged_by_nobody(world: World) -> None:
    world.change(b"/f")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no more descriptors for anybody
    try:
        world.sync.invoke(world.clock.now())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    world.wait()
    assert world.calls.outcomes == []
    ((ended, verdict),) = world.calls.ends
    assert (ended.never_ran, verdict) == (True, "again")
    world.run(5)
    assert len(world.calls.outcomes) == 1
    assert not len(world.sync.queue)


def test_the_common_rule_is_asked_by_a_value(world: World) -> None:
    """Two outcomes of one agent are judged apart: the rule remembers none of them."""
    outcome = world.transfer(b"exit 3")
    judge, codes = world.sync.judge, {0: "ok", 3: "again", 5: "die"}
    verdicts = [judge.judge(replace(outcome, exit_code=code), exit_codes=codes).verdict for code in (3, 5, 0, 3)]  # type: ignore[arg-type]
    assert verdicts == ["again", "die", "ok", "again"]


def test_a_job_that_was_stopped_by_the_end_has_not_failed(world: World) -> None:
    agent: Agent = world.sync.inlet.get_events()
    stopped = Outcome(agent, 1, was_stopped=True)
    judge, codes = world.sync.judge, {0: "ok", 1: "die"}
    assert judge.judge(stopped, exit_codes=codes).verdict == "die"  # type: ignore[arg-type]
    logged = len(world.said)
    world.host.run.fade()
    assert judge.judge(stopped, exit_codes=codes).verdict == "again"  # type: ignore[arg-type]
    assert len(world.said) == logged


def test_nobody_can_write_into_the_host(world: World) -> None:
    """It has the services of the daemon; what happens to the run of a configuration is the run's."""
    with pytest.raises(FrozenInstanceError):
        world.host.alarms = world.host.deadlines  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        world.host.run.options.insist = True  # type: ignore[misc]


def test_a_full_run_that_was_cut_is_judged_by_nobody_and_counted_again(world: World) -> None:
    counted: list[Spawn | None] = []

    def count(stop: threading.Event, spawn: Spawn | None) -> DeletionCount:
        counted.append(spawn)
        return DeletionCount(1, 10)

    check = Check(MaxDelete(5), count, was_cut=lambda exit_code, stderr: exit_code == 25)
    world.calls.full = lambda event: world.sync.inlet.spawn(event, ["sh", "-c", "exit 25"], check=check)  # type: ignore[method-assign]
    world.sync.request_full()
    world.run(0.5)
    assert world.calls.outcomes == []
    ((ended, verdict),) = world.calls.ends
    assert (ended.was_cut, ended.exit_code, verdict) == (True, 25, "again")
    world.run(2)
    assert len(counted) > 1


def test_while_fading_what_nobody_stopped_has_failed(world: World) -> None:
    agent = world.sync.inlet.get_events()
    world.host.run.fade()
    assert world.sync.judge.judge(Outcome(agent, 1), exit_codes={0: "ok", 1: "die"}).verdict == "die"


@pytest.mark.parametrize(("argv", "unreachable"), [(["sh", "-c", "exit 255"], "host"), (["/no/such/program"], None)])
def test_a_program_that_is_not_there_says_nothing_about_the_host(
    world: World, argv: list[str], unreachable: str | None
) -> None:
    """Both end with 255, as ssh does that finds no way."""
    world.sync.go_to(world.host.endpoint("host"))
    world.calls.answer = Collected("again")
    world.calls.action = lambda: world.sync.inlet.spawn(world.sync.inlet.get_events(), argv)  # type: ignore[method-assign]
    for _ in range(2):
        world.change(b"/f")
        world.run(3)
    assert world.sync.retries.unreachable() == unreachable


@pytest.mark.parametrize(
    ("counted", "code", "cause"),
    [
        (DeletionCount(0, 0, 12, b"rsync error: some\nno such host\n"), 12, "no such host"),
        (DeletionCount(0, 0, 255, error="Permission denied"), 255, "Permission denied"),
        (DeletionCount(9, 10), 25, "a full run of s would delete 9 of 10 files on ; maxDelete allows 5 (5)."),
    ],
)
def test_a_count_that_fails_or_refuses_is_the_outcome_of_the_run(
    world: World, counted: DeletionCount, code: int, cause: str
) -> None:
    check = Check(MaxDelete(5), lambda stop, spawn: counted)
    world.calls.answer = Collected("again")
    world.calls.full = lambda event: world.sync.inlet.spawn(event, ["false"], check=check)  # type: ignore[method-assign]
    world.sync.request_full()
    world.run(0.5)
    error = world.sync.history.last_error
    assert error is not None
    assert (error["exit_code"], error["cause"]) == (code, cause)
    assert [(outcome.exit_code, verdict) for outcome, verdict in world.calls.ends] == [(code, "again")]
    assert [outcome.exit_code for outcome in world.calls.outcomes] == ([] if code == 25 else [code])
