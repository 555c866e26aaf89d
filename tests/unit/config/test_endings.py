"""A config's own `collect(agent, exitcode)` around a built-in one: no part of the outcome is lost (spec 3.7)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import pytest

from orchestrator.api import Action, Collected, Inlet, Option, Outcome
from tests.unit.config.lua_config import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config.lua.loader import LuaConfig


class Push(Action):
    """Every second path fails. `outcomes`: what its collect was given."""

    name = "push"
    options: ClassVar[dict[str, Option]] = {"target": Option((str,))}

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def action(self, inlet: Inlet) -> None:
        events = inlet.get_events()
        inlet.spawn(events, ["sh", "-c", "echo half of it >&2; exit 23"])

    def collect(self, outcome: Outcome) -> Collected:
        self.outcomes.append(outcome)
        return Collected("ok", failed=[path for path in outcome.agent.paths() if path[-1:] in b"24"], cause="a half")


@pytest.fixture
def push() -> Push:
    return Push()


@pytest.fixture
def world(tmp_path: Path, push: Push) -> Iterator[World]:
    world = World(tmp_path, [push])
    yield world
    world.close()


def run(world: World, config: LuaConfig, *names: bytes) -> None:
    """Changes of these files, transferred once."""
    config.finish()
    config.lock()
    sync = config.syncs[0]
    sync.start()
    for name in names:
        sync.change("Create", 0.0, sync.source + name, None)
    sync.invoke(world.clock.now())
    deadline = time.monotonic() + 20
    while len(world.host.processes):
        assert time.monotonic() < deadline
        world.loop.turn(0.1)


OWN = {
    "none of its own": "",
    "one around it": "collect = function(agent, code) return default.push.collect(agent, code) end,",
    "one that calls it twice": """collect = function(agent, code)
        default.push.collect(agent, code) return default.push.collect(agent, code) end,""",
    "one that judges by the common rule as well": """collect = function(agent, code)
        local verdict = default.push.collect(agent, code) default.collect(agent, 0) return verdict end,""",
}


@pytest.mark.parametrize("own", OWN)
def test_failed_paths_and_cause_come_through(world: World, push: Push, own: str) -> None:
    config = world.load(f'sync{{default.push, source = "SRC", target = "TRG", delay = 0, {OWN[own]}}}')
    run(world, config, b"1", b"2", b"3", b"4")
    outcome = push.outcomes[0]
    assert (outcome.exit_code, outcome.stderr) == (23, b"half of it\n")
    (sync,) = config.syncs
    assert [delay.path for delay in sync.queue] == [b"/2", b"/4"]
    error = sync.history.last_error
    assert error is not None
    assert (error["exit_code"], error["cause"]) == (23, "a half")


def test_another_exit_code_changes_what_the_built_in_one_sees_and_nothing_else(world: World, push: Push) -> None:
    config = world.load(
        """sync{default.push, source = "SRC", target = "TRG", delay = 0,
        collect = function(agent, code) return default.push.collect(agent, code + 1) end}"""
    )
    run(world, config, b"1")
    (outcome,) = push.outcomes
    assert (outcome.exit_code, outcome.stderr) == (24, b"half of it\n")
    error = config.syncs[0].history.last_error
    assert error is not None
    assert error["exit_code"] == 23


def test_a_call_at_any_other_time_judges_the_exit_code_alone(world: World, push: Push) -> None:
    config = world.load(
        """sync{default.push, source = "SRC", target = "TRG", delay = 0,
        action = function(inlet)
          default.push.collect(inlet.getEvents(), 3)
          spawn(inlet.getEvents(), "true")
        end,
        collect = function(agent, code) return "ok" end}"""
    )
    run(world, config, b"2")
    (outcome,) = push.outcomes
    assert (outcome.exit_code, outcome.stderr) == (3, b"")
    (sync,) = config.syncs
    assert not len(sync.queue), "what it said of failed paths was of no transfer"
    assert sync.history.last_error is None
