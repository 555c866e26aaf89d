"""Numbers and paths that a config hands over: finite, in range, such as the kernel could take (spec 2.1 to 2.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

INLET = 'local inlet = sync{default.rsync, source = "SRC", target = "TRG", init = false}\n'

CALLS = {
    "observefd(-1, print)": "observe_fd takes a descriptor, not -1",
    "observefd(1/0, print)": "observe_fd takes a descriptor, not inf",
    "observefd(1.5, print)": "observe_fd takes a descriptor, not 1.5",
    "nonobservefd(0/0)": "nonobserve_fd takes a descriptor, not",
    "observefd(2^31, print)": "observe_fd takes a descriptor, not 2147483648",
    "terminate(0/0)": "terminate takes a finite number, not",
    "os.exit(1/0)": "terminate takes a finite number, not inf",
    "lsyncd.kill(0/0, 0)": "kill takes a finite number, not",
    "lsyncd.kill({}, 0)": "kill takes a finite number, not a table",
    'lsyncd.kill("x", 0)': 'kill takes a finite number, not "x"',
    "lsyncd.exec(3)": "exec takes a string, not 3",
    "lsyncd.exec({})": "exec takes a string, not a table",
    "lsyncd.splitQuotedString(true)": "split_quoted takes a string, not true",
    "lsyncd.realdir(3)": "realdir takes a path: no NUL byte, less than 4096 bytes, not 3",
    'lsyncd.realdir("a\\0b")': 'realdir takes a path: no NUL byte, less than 4096 bytes, not "a\\0b"',
    'readdir("a\\0b")': "readdir takes a path",
    'readdir(string.rep("a", 4096))': "readdir takes a path",
    'lsyncd.get_file_size("a\\0b")': "file_size takes a path",
    "lsyncd.get_file_size(nil)": "file_size takes a path: no NUL byte, less than 4096 bytes, not",
    "default.collect(inlet.createBlanketEvent(), 0/0)": "collect takes an exit code, not",
    "default.rsync.collect(inlet.createBlanketEvent(), 1/0)": "collect takes an exit code, not inf",
    "default.rsyncssh.collect(inlet.createBlanketEvent(), 1.5)": "collect takes an exit code, not 1.5",
    "debug.getregistry()": "debug.getregistry is not to be had here",
}


@pytest.mark.parametrize("call", CALLS)
def test_what_a_function_cannot_take_is_an_error_at_its_place(world: World, call: str) -> None:
    with pytest.raises(ConfigError) as raised:
        world.load(INLET + call)
    assert f"lsyncd.conf.lua:2: {CALLS[call]}" in str(raised.value)


@pytest.mark.parametrize("call", CALLS)
def test_it_is_an_error_like_any_other(world: World, call: str) -> None:
    world.load(INLET + f"local ok, text = pcall(function() {call} end)\nassert(not ok and type(text) == 'string')")


@pytest.mark.parametrize(
    "call",
    ["lsyncd.kill('4000000', 0)", "lsyncd.realdir('/no/such')", "readdir('SRC')", "lsyncd.jiffies_from_seconds(3)"],
)
def test_what_it_can_take_it_takes(world: World, call: str) -> None:
    world.load(INLET + call)


KEYS = {
    'source = "a\\0b"': "takes a path",
    'target = "a\\0b"': "target must not hold a NUL byte",
    'excludeFrom = "a\\0b"': "excludeFrom must not hold a NUL byte",
    'filterFrom = "a\\0b"': "filterFrom must not hold a NUL byte",
    'excludeFrom = string.rep("a", 4096)': "excludeFrom must be shorter than 4096 bytes",
}


@pytest.mark.parametrize("key", KEYS)
def test_a_path_of_a_sync(world: World, key: str) -> None:
    given = '"SRC"', '"TRG"'
    keys = {"source": given[0], "target": given[1], key.partition(" ")[0]: key.partition(" = ")[2]}
    text = ", ".join(f"{name} = {value}" for name, value in keys.items())
    with pytest.raises(ConfigError, match=re.escape(KEYS[key])) as raised:
        world.load(f"\nsync{{default.rsync, {text}}}")
    assert "lsyncd.conf.lua:2: " in str(raised.value)


@pytest.mark.parametrize("key", ["logfile", "pidfile", "statusFile", "controlSocket", "logident", "monitor"])
def test_a_string_of_the_settings(world: World, key: str) -> None:
    with pytest.raises(ConfigError, match=f':2: setting "{key}" must not hold a NUL byte.'):
        world.load(f'\nsettings{{{key} = "a\\0b"}}')


@pytest.mark.parametrize("key", ["logfile", "pidfile", "statusFile", "controlSocket"])
def test_a_path_of_the_settings(world: World, key: str) -> None:
    with pytest.raises(ConfigError, match=f':2: setting "{key}" must be shorter than 4096 bytes.'):
        world.load(f'\nsettings{{{key} = string.rep("a", 4096)}}')


@pytest.mark.parametrize("value", ["3", "{}", "nil", "print", '"x"'])
def test_a_config_that_takes_the_globals_away_hits_itself_only(world: World, value: str) -> None:
    config = world.load(INLET + f"_G = {value}")
    config.finish()
    config.lock()
    config.close()


def test_globals_that_cannot_be_locked_are_an_error(world: World) -> None:
    config = world.load(INLET + "setmetatable(_G, {__metatable = false})")
    config.finish()
    with pytest.raises(ConfigError, match="error preparing the config: cannot change a protected metatable"):
        config.lock()
