"""The end of a transfer is one value: what the action gets of it, hooks, onBatchEnd, status and retries get too."""

from __future__ import annotations

import resource
from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.sync.outcome import Collected, Outcome
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
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


class World(SyncWorld):
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
