"""What users assign to events, lists and inlets is theirs, and changes nothing of ours (spec 2.4, 2.5)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from orchestrator.config.lua.loader import LuaConfig
    from tests.unit.config.lua_config import World


def run(world: World, config: LuaConfig) -> None:
    """Do what is due, and wait for what it started."""
    config.finish()
    config.lock()
    sync = config.syncs[0]
    sync.start()
    sync.invoke(world.clock.now())
    deadline = time.monotonic() + 20
    while len(world.host.processes):
        assert time.monotonic() < deadline
        world.loop.turn(0.1)
        sync.invoke(world.clock.now())


def change(config: LuaConfig, name: bytes) -> None:
    sync = config.syncs[0]
    sync.change("Create", 0.0, sync.source + name, None)


def seen(config: LuaConfig) -> list[object]:
    table = config.lua.globals[b"seen"]
    return [table[place] for place in range(1, len(table) + 1)]


EVERY_FIELD = """
for _, field in ipairs{
  "config", "inlet", "etype", "status", "isdir", "isList", "path", "source", "target", "move", "x", 7
} do
  thing[field] = "mine"
end
for _, field in ipairs{"config", "status", "x", 7} do seen[#seen + 1] = thing[field] end
"""


@pytest.mark.parametrize("version", ["5.1", "5.3", "5.4"])
def test_an_event_keeps_what_it_is_given(world: World, version: str) -> None:
    config = world.load(
        f"""seen = {{}}
        sync{{source = "SRC", delay = 0, init = false,
          onCreate = function(thing) {EVERY_FIELD} spawn(thing, "true") end,
          collect = function(agent) seen[#seen + 1] = agent.x return default.collect(agent, 0) end}}""",
        version=version,
    )
    change(config, b"f")
    run(world, config)
    assert seen(config) == [b"mine"] * 5
    assert not len(config.syncs[0].queue)


def test_what_is_dropped_is_decided_by_what_an_event_is(world: World) -> None:
    config = world.load(
        """seen = {}
        sync{source = "SRC", delay = 0,
          onStartup = function(event) event.status = "active" event.inlet = 3 seen[#seen + 1] = "startup" end,
          onCreate = function(event)
            event.status, event.inlet.discardEvent = "active", 3
            seen[#seen + 1] = event.path
          end}"""
    )
    change(config, b"f")
    change(config, b"g")
    run(world, config)
    assert seen(config) == [b"startup", b"f", b"g"]
    assert not len(config.syncs[0].queue)


def test_a_marked_list_comes_back(world: World) -> None:
    config = world.load(
        """seen = {}
        sync{source = "SRC", delay = 0, init = false,
          action = function(inlet)
            local list = inlet.getEvents()
            list.started, list.config = 5, 1
            list.getPaths = function() return {} end
            spawn(list, "true")
            list.later = 6
            seen[#seen + 1] = list.getSourcePaths()[1]
          end,
          onBatchStart = function(paths, agent) seen[#seen + 1] = agent.started end,
          collect = function(agent) seen[#seen + 1] = agent.started seen[#seen + 1] = agent.later end}"""
    )
    change(config, b"f")
    run(world, config)
    source = config.syncs[0].source
    assert seen(config) == [5, source + b"f", 5, 6]


def test_an_inlet_keeps_what_it_is_given(world: World) -> None:
    config = world.load(
        """seen = {}
        local inlet = sync{source = "SRC", delay = 0, init = false,
          onCreate = function(event) seen[#seen + 1] = event.inlet.runs end}
        inlet.runs, inlet.getEvent, inlet.getConfig = 3, false, false"""
    )
    change(config, b"f")
    run(world, config)
    assert seen(config) == [3]


def test_a_table_may_stand_for_an_inlet(world: World) -> None:
    config = world.load(
        """seen = {}
        sync{source = "SRC", delay = 0, init = false,
          onCreate = function(event) seen[#seen + 1] = event.path end,
          action = function(inlet)
            local mine = setmetatable({}, {__index = inlet})
            function mine.getEvent() seen[#seen + 1] = "asked" return inlet.getEvent() end
            default.action(mine)
          end}"""
    )
    change(config, b"f")
    run(world, config)
    assert seen(config) == [b"asked", b"f"]


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("event", "event does not have field"),
        ("list", "event list does not have function"),
        ("inlet", "inlet does not have function"),
    ],
)
def test_what_nobody_has_assigned_is_an_error(world: World, thing: str, message: str) -> None:
    config = world.load(
        f"""seen = {{}}
        sync{{source = "SRC", delay = 0, init = false, action = function(inlet)
          local event, list = inlet.getEvent(), inlet.getEvents()
          event.a, list.a, inlet.a = 1, 1, 1
          local ok, text = pcall(function() return {thing}.b end)
          seen[1] = text
          inlet.discardEvent(event)
        end}}"""
    )
    change(config, b"f")
    run(world, config)
    (text,) = seen(config)
    assert isinstance(text, bytes)
    assert message.encode() in text
    assert b"lsyncd.conf.lua:5" in text
