"""A plugin's functions are called straight, but where the user has put one of his own into their place, at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from orchestrator.api import Action, Event, Inlet, Outcome, Verdict
from tests.unit.config.lua_config import World
from tests.unit.config.test_marks import change, run, seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config.lua.loader import LuaConfig


class Told(Action):
    """Notes what it is called for."""

    name = "told"
    calls: ClassVar[list[str]] = []

    def init(self, event: Event) -> None:
        self.calls.append("init")
        event.inlet.spawn(event, ["true"])

    def full(self, event: Event) -> None:
        self.calls.append("full")
        event.inlet.spawn(event, ["true"])

    def action(self, inlet: Inlet) -> None:
        self.calls.append("action")
        event = inlet.get_event()
        assert event is not None
        inlet.spawn(event, ["true"])

    def collect(self, outcome: Outcome) -> Verdict | None:
        self.calls.append("collect")
        return "ok"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, [Told()])
    Told.calls.clear()
    yield world
    world.close()


LUA = """
seen = {}
config = nil
sync{default.told, source = "SRC", delay = 0, %s, prepare = function(c, l)
    config = c
    default.told.prepare(c, l + 1)
end}
"""


def later(config: LuaConfig, text: str) -> None:
    """What a function of the user's might do while the daemon runs."""
    config.lua.call(config.lua.compile(text.encode(), "later"))


def test_without_functions_of_the_users_all_are_the_plugins(world: World) -> None:
    config = world.load(LUA % "x = nil")
    run(world, config)
    change(config, b"f")
    run_on(world, config)
    config.syncs[0].request_full()
    run_on(world, config)
    assert Told.calls == ["init", "collect", "action", "collect", "full", "collect"]


def run_on(world: World, config: LuaConfig) -> None:
    config.syncs[0].invoke(world.clock.now())
    while len(world.host.processes):
        world.loop.turn(0.1)


@pytest.mark.parametrize("name", ["action", "init", "full", "collect"])
def test_one_of_his_own_is_called_and_may_call_the_plugins(world: World, name: str) -> None:
    config = world.load(LUA % f"{name} = function(...) seen[#seen + 1] = '{name}' return default.told.{name}(...) end")
    run(world, config)
    change(config, b"f")
    run_on(world, config)
    config.syncs[0].request_full()
    run_on(world, config)
    assert set(seen(config)) == {name.encode()}
    assert Told.calls == ["init", "collect", "action", "collect", "full", "collect"]


@pytest.mark.parametrize("name", ["action", "full", "collect"])
def test_so_is_one_that_is_put_there_while_the_daemon_runs(world: World, name: str) -> None:
    config = world.load(LUA % "x = nil")
    run(world, config)
    Told.calls.clear()
    own = f"config.{name} = function(...) seen[#seen + 1] = '{name}' return default.told.{name}(...) end"
    later(config, own)
    change(config, b"f")
    run_on(world, config)
    config.syncs[0].request_full()
    run_on(world, config)
    assert set(seen(config)) == {name.encode()}
    assert Told.calls == ["action", "collect", "full", "collect"]
    later(config, f"config.{name} = default.told.{name}; seen = {{}}")
    change(config, b"g")
    run_on(world, config)
    assert seen(config) == []


def test_what_default_has_later_changes_nothing_of_a_sync_that_is_made(world: World) -> None:
    config = world.load(LUA % "x = nil" + "default.told.collect = function() seen[#seen + 1] = 1 end")
    run(world, config)
    assert (seen(config), Told.calls) == ([], ["init", "collect"])


def test_without_full_the_plugins_action_is_asked(world: World) -> None:
    config = world.load(LUA % "full = false")
    run(world, config)
    Told.calls.clear()
    config.syncs[0].request_full()
    run_on(world, config)
    assert Told.calls == ["action", "collect"]


def test_a_marked_event_goes_when_its_change_is_done_with(world: World) -> None:
    mark = "kept = setmetatable({}, {__mode = 'k'}); function keep(_, agent) agent.mark = 1 kept[agent] = true end\n"
    config = world.load(mark + LUA % "onBatchStart = keep")
    run(world, config)
    config.lua.collect_garbage()
    assert not list(config.lua.globals[b"kept"].keys())
