"""The border between Python and Lua: bytes, errors, and nothing of Python to be seen."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.lua.runtime import VERSIONS, Lua, LuaFailure, LuaUserError
from orchestrator.errors import ConfigError, Terminated, UsageError
from tests.kit.need import missing

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World


def run(text: bytes, version: str = "5.3") -> object:
    lua = Lua(version)
    return lua.call(lua.compile(text, "test"))


def test_strings_are_bytes_in_both_directions() -> None:
    lua = Lua()
    seen: list[bytes] = []
    lua.globals[b"keep"] = lua.export(seen.append)
    every_byte = bytes(range(256))
    echo = lua.compile(b"local s = ... keep(s) return s, #s", "echo")
    assert lua.call(echo, every_byte) == (every_byte, 256)
    assert seen == [every_byte]


class Thing:
    pass


@pytest.mark.parametrize("version", VERSIONS)
def test_an_object_that_crosses_again_and_again_stays_itself(version: str) -> None:
    lua = Lua(version)
    seen: list[object] = []
    lua.globals[b"keep"] = lua.export(seen.append)
    # garbage, for the collector of Lua to run between one crossing and the next
    echo = lua.compile(
        b"local thing = ... local t = {thing} for i = 2, 20 do t[i] = {} end keep(thing) return thing", "echo"
    )
    choose = random.Random(1)
    things = [Thing() for _ in range(50)]
    for turn in range(50_000):
        thing = choose.choice(things)
        assert lua.call(echo, thing) is thing
        assert seen.pop() is thing
        if turn % 7 == 0:
            things[choose.randrange(50)] = Thing()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_runtime_has_no_python_in_it(version: str) -> None:
    text = b"""
    local found = {}
    local function look(t, seen)
        if seen[t] then return end
        seen[t] = true
        for key, value in pairs(t) do
            local is_file = tostring(value):match('^file')
            if type(value) == 'userdata' and not is_file then found[#found + 1] = tostring(key) end
            if type(value) == 'table' then look(value, seen) end
        end
    end
    look(_G, {})
    return python, package.loaded.python, #found
    """
    lua = Lua(version)
    assert lua.call(lua.compile(text, "look")) == (None, None, 0)


def test_an_exported_function_is_a_function_and_gives_away_nothing() -> None:
    lua = Lua()
    lua.globals[b"f"] = lua.export(lambda: None)
    text = b"""
    local _, inner = debug.getupvalue(f, 1)
    for i = 1, 9 do
        local name, value = debug.getupvalue(f, i)
        if type(value) == 'userdata' then inner = value end
    end
    return type(f), type(inner), pcall(function() return inner.__globals__ end)
    """
    kind, inner, reached, _ = lua.call(lua.compile(text, "pry"))
    assert (kind, inner, reached) == (b"function", b"userdata", False)


def test_a_lua_error_comes_with_message_and_backtrace() -> None:
    with pytest.raises(LuaFailure) as raised:
        run(b"local function inner()\n error('oh') end\n\ninner()")
    assert raised.value.message == "test:2: oh"
    assert ("test", 4) in [tuple(frame) for frame in raised.value.backtrace]


WITH_TEXT = b"setmetatable({}, {__tostring = function() return 'x' end})"
THROWN = {b"{}": r"\(Table: 0x[0-9a-f]+\)", b"nil": r"\(nil\)", WITH_TEXT: r"\(Table: ", b"print": r"\(Function: "}


@pytest.mark.parametrize("thrown", THROWN)
def test_what_is_no_message_is_described(thrown: bytes) -> None:
    with pytest.raises(LuaFailure, match=THROWN[thrown]):
        run(b"error(" + thrown + b")")


def test_endless_recursion_is_an_error_like_any_other() -> None:
    with pytest.raises(LuaFailure, match="stack overflow"):
        run(b"local function f() return 1 + f() end f()")


def test_pcall_does_not_swallow_what_ends_the_daemon() -> None:
    lua = Lua()

    def leave() -> None:
        raise Terminated(7)

    lua.globals[b"leave"] = lua.export(leave)
    with pytest.raises(Terminated) as raised:
        lua.call(lua.compile(b"pcall(leave) return 'went on'", "test"))
    assert raised.value.exit_code == 7


def test_a_users_mistake_is_an_ordinary_error_at_his_line() -> None:
    lua = Lua()

    def refuse() -> None:
        raise LuaUserError("not so")

    lua.globals[b"refuse"] = lua.export(refuse)
    assert lua.call(lua.compile(b"\nreturn pcall(function()\n refuse() end)", "test")) == (False, b"test:3: not so")


def test_a_failure_within_a_callback_within_a_call_reaches_the_outside() -> None:
    lua = Lua()
    lua.globals[b"apply"] = lua.export(lambda function: function())
    with pytest.raises(LuaFailure, match="test:1: inner"):
        lua.call(lua.compile(b"apply(function() error('inner') end)", "test"))


def test_unknown_versions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'6' is not a Lua version; one of 5\.1, 5\.2, 5\.3, 5\.4, jit"):
        Lua("6")


BAD_FILES = {
    "syntax": (b"x = = 1", "error loading {}: |lsyncd.conf.lua:1: unexpected symbol near '='"),
    "binary junk": (bytes(range(256)), "error loading {}: "),
    "compiled chunk": (b"\x1bLuaS\x00\x19\x93", "error loading {}: "),
    "runtime": (
        b"\nlocal x = nil\nx.y = 1",
        "error preparing {}: |lsyncd.conf.lua:3: attempt to index a nil value (local 'x')",
    ),
    "table as error": (b"error({})", "error preparing {}: (null)"),
    "recursion": (
        b"local function f() return 1 + f() end f()",
        "error preparing {}: |lsyncd.conf.lua:1: stack overflow",
    ),
    "sync without a table": (b"\nsync()", "error preparing {}: |lsyncd.conf.lua:2: sync{...} takes a table, not a nil"),
    "settings of a number": (
        b"settings(3)",
        "error preparing {}: |lsyncd.conf.lua:1: settings{...} takes a table, or the name of a",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_run_is_one_line(world: World, case: str) -> None:
    data, message = BAD_FILES[case]
    config = world.load("")
    path = world.file
    path.write_bytes(data)
    with pytest.raises(ConfigError) as raised:
        config.run_file(str(path))
    # Lua itself shortens the name of a file to 60 characters, from the left
    start, _, rest = message.partition("|")
    assert str(raised.value).startswith(start.replace("{}", str(path)))
    assert rest in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_names_of_older_versions_are_there(world: World, version: str) -> None:
    text = """
    assert(unpack({7}) == 7 and table.unpack({8}) == 8 and table.getn({1, 2}) == 2 and table.maxn({[9] = 1}) == 9)
    assert(math.pow(2, 3) == 8 and loadstring('return 5')() == 5)
    assert(string.starts('abc', 'ab') and string.ends('abc', 'bc') and table.contains({'x'}, 'x'))
    local pipe = io.popen('echo from; exit 3')
    assert(io.type(pipe) == 'file' and pipe:read('*l') == 'from')
    local ok, kind, code = pipe:close()
    assert(not ok and kind == 'exit' and code == 3)
    local a, b = now(), now() + 1.5
    assert(type(a) == 'userdata' and a < b and a ~= b and b - a > 1.4 and a <= a and (b - 1.5) ~= b)
    assert(package.path:find('/usr/share/lua/', 1, true))
    """
    world.load(text, version=version)


def test_os_execute_gives_exit_codes_and_signals(world: World) -> None:
    world.load(
        """local function all(...) return table.concat({tostring((...)), (select(2, ...)), (select(3, ...))}, ' ') end
        assert(all(os.execute('exit 3')) == 'nil exit 3')
        assert(all(os.execute('true')) == 'true exit 0')
        assert(all(os.execute('kill -9 $$')) == 'nil signal 9')"""
    )


def test_modules_written_in_c_can_be_required(tmp_path: Path) -> None:
    """In a process of its own, as always: a module finds the functions of the first Lua that was loaded."""
    if not list(Path("/usr/lib").glob("*/lua/5.3/socket/core.so")):
        missing("lua-socket is not installed")
    config = tmp_path / "config.lua"
    config.write_text("assert(require('socket').tcp) terminate(7)")
    done = subprocess.run([sys.executable, "-m", "orchestrator.cli", "-nodaemon", config], capture_output=True)
    assert (done.returncode, done.stderr) == (7, b"")
