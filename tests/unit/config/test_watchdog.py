"""The daemon does nothing else while a config's function runs: it says so after a while, and TERM cuts it short."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.lua.loader import Installed, LuaConfig
from orchestrator.config.lua.watchdog import Watchdog
from orchestrator.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.config.lua_config import World

ENDLESS = {
    "loop": "\nwhile true do end",
    "function": "\nlocal function f() local x = 0\nrepeat x = x + 1 until false end f()",
    "caught": "\nwhile true do pcall(function() while true do end end) end",
    "caught with a handler": "\nwhile true do xpcall(function() while true do end end, function(m) return m end) end",
    "coroutine": "\ncoroutine.wrap(function() while true do end end)()",
    "coroutine that is resumed": (
        "\nlocal c = coroutine.create(function() while true do end end) while true do coroutine.resume(c) end"
    ),
    "within ours": "\nsync{source = 'SRC', prepare = function() while true do end end, action = print}",
    "calls of ours": "\nwhile true do readdir('SRC') end",
}


def config(world: World, waiting_end: Callable[[], signal.Signals | None], version: str = "5.3") -> LuaConfig:
    return LuaConfig(world.host, world.loop, Installed(world.actions, ["inotify"]), {}, version, waiting_end)


def write(world: World, text: str) -> str:
    world.file.write_text(text.replace("SRC", f"{world.directory}/src"))
    return str(world.file)


@pytest.mark.parametrize("version", ["5.1", "5.2", "5.3", "5.4"])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_file_without_an_end_is_cut_short(world: World, what: str, version: str) -> None:
    loading = config(world, lambda: signal.SIGTERM, version)
    with pytest.raises(Interrupted, match=r"\S+: the config is cut short by SIGTERM") as raised:
        loading.run_file(write(world, ENDLESS[what]))
    assert raised.value.exit_code == 128 + signal.SIGTERM


def test_a_function_that_runs_is_cut_short_and_the_next_one_is_not(world: World) -> None:
    waiting: list[signal.Signals] = []
    loading = config(world, lambda: waiting[0] if waiting else None)
    loading.run_file(
        write(
            world,
            "seen = 0\nfunction endless() while true do end end\nfunction short() for i = 1, 3e6 do seen = i end end",
        )
    )
    functions = loading.lua.globals
    waiting.append(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"lsyncd\.conf\.lua:2: the config is cut short by SIGINT"):
        loading.call("alarm", functions[b"endless"])
    waiting.clear()
    loading.call("alarm", functions[b"short"])
    assert functions[b"seen"] == 3e6


def test_one_that_takes_long_is_told_once(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    def look() -> None:
        world.clock.advance(3)

    loading = config(world, look)  # type: ignore[arg-type]
    loading.run_file(write(world, "\nfor i = 1, 30e6 do end"))
    (line,) = (line for line in "".join(capfd.readouterr()).splitlines() if "running" in line)
    assert line.endswith("lsyncd.conf.lua:2: the config has been running for 10 s; nothing else is done meanwhile.")


def test_one_that_waited_long_is_told_when_it_is_over(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    watchdog = Watchdog(world.clock, world.log, lambda: None)
    for seconds in (9.0, 12.0):
        watchdog.begins()
        watchdog.begins()
        world.clock.advance(seconds)
        watchdog.ends()
        watchdog.ends()
    (line,) = (line for line in "".join(capfd.readouterr()).splitlines() if "config" in line)
    assert line.endswith("a function of the config has run for 12 s; nothing else is done meanwhile.")


@pytest.mark.parametrize("version", ["5.1", "5.3", "5.4", "jit"])
def test_coroutines_are_what_they_were(world: World, version: str) -> None:
    world.load(
        """local f = coroutine.wrap(function(a) local b, c = coroutine.yield(a, nil, 3) error(b, 0) end)
        local a, n, three = f(1)
        assert(a == 1 and n == nil and three == 3)
        local ok, text = pcall(f, {})
        assert(not ok and type(text) == 'table')
        local g = coroutine.wrap(function() error('mine', 0) end)
        ok, text = pcall(function() g() end)
        assert(not ok and text:sub(-4) == 'mine', text)
        local c = coroutine.create(function(...) return select('#', ...) end)
        assert(select(2, coroutine.resume(c, nil, nil)) == 2 and coroutine.status(c) == 'dead')""",
        version=version,
    )
