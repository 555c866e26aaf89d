"""A Lua runtime that is safe to hand a user's config: bytes in, bytes out, no Python to be seen.

Decides how Lua is called and how errors cross the border, and nothing about syncs. The rules:

* Python never calls a Lua function directly, only through `Lua.call`, which runs it under
  xpcall with a handler of ours: what went wrong arrives as LuaFailure (message and backtrace).
  But for functions of ours that only compare values, and so cannot fail (`Lua.remember`).
* Lua never calls a Python function directly, only through a Lua closure made by `Lua.export`.
  An exception does not unwind through Lua frames: it is parked, Lua sees an ordinary error, and
  `Lua.call` raises the parked exception when the stack is back in Python. So a user's pcall
  cannot swallow `terminate`, and no Python object ever becomes a Lua value by accident.
* An engine object crosses into Lua in a wrapper that is used once. lupa takes a Python object that it
  is given again for one that Lua may have let go of meanwhile, and now and then hands out another
  object in its place (scoder/lupa issue 293): the end of one transfer would reach another one.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.errors import ConfigError, UsageError
from orchestrator.logic.text import to_bytes as to_bytes
from orchestrator.logic.text import to_text as to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VERSIONS = {"5.1": "lua51", "5.2": "lua52", "5.3": "lua53", "5.4": "lua54", "jit": "luajit21"}
"""What `--lua` takes; 5.3 is what distributions link lsyncd with."""
DEFAULT_VERSION = "5.3"

LOOK_EVERY = 1_000_000
"""Instructions of Lua between two looks at what runs: some 10 ms of them."""

OWN = "(lsyncd)/"
"""What names of our own Lua files start with in errors and backtraces."""


class Frame(NamedTuple):
    """One level of a Lua backtrace: the source's name and the line, -1 in C."""

    source: str
    line: int


class LuaFailure(Exception):
    """An error raised in Lua code. `message` carries Lua's own FILE:LINE where Lua has one.

    `is_text`: it was raised with a message, and not with nil or a table.
    """

    def __init__(self, message: str, backtrace: list[Frame], is_text: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.backtrace = backtrace
        self.is_text = is_text


class LuaUserError(Exception):
    """Raised by an exported function for a mistake of the calling Lua code: an ordinary Lua error,
    with the place `level` frames above the exported function (1: its caller), which pcall may catch."""

    def __init__(self, message: str, level: int = 1) -> None:
        super().__init__(message)
        self.level = level


class _Once:
    """An engine object on its way into Lua, there and back once (see above)."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Lua:
    """One Lua state."""

    def __init__(self, version: str = DEFAULT_VERSION) -> None:
        try:
            module = _import_global(f"lupa.{VERSIONS[version]}")
        except KeyError:
            raise UsageError(f"'{version}' is not a Lua version; one of {', '.join(VERSIONS)}") from None
        except ImportError:
            raise UsageError(f"Lua {version} is not part of the installed lupa package") from None
        self.version = version
        self._runtime = module.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attributes,
        )
        self._lua_type: Callable[[Any], str | None] = module.lua_type
        self._lua_error: type[Exception] = module.LuaError
        self._parked: BaseException | None = None
        self.changes = 0
        """Goes up whenever a table may have changed: Lua code was run, or one was written to from here."""
        self.globals: Any = self._runtime.globals()
        self.globals[b"python"] = None
        self.globals[b"package"][b"loaded"][b"python"] = None
        # values of Lua's own kinds, and what stands for one: tables, functions
        self._plain: tuple[type, ...] = (bytes, bool, int, float, type(None), *type(self.globals).__mro__[1:-1])
        self._protect, self._export, self._loadfile, self._watch, self._remember = self.compile(
            _BORDER, OWN + "border"
        )()
        self._arm: Callable[[], Any] | None = None
        self._collect: Callable[[bytes], Any] = self.globals[b"collectgarbage"]

    def is_table(self, value: Any) -> bool:
        return self._lua_type(value) == "table"

    def is_function(self, value: Any) -> bool:
        return self._lua_type(value) == "function"

    def table(self, items: Iterable[Any] = ()) -> Any:
        """A new Lua table with `items` as its list part."""
        return self._runtime.table_from(list(items))

    def remember(self, table: Any, keys: Iterable[bytes]) -> Callable[[], bool]:
        """A function that returns whether these keys of a table have the values they have now, tables in them included.

        Said to have changed, to be on the safe side: what a metatable answers for, and what is nested too deeply.
        """
        is_unchanged: Callable[[], bool] = self._remember(table, *keys)
        return is_unchanged

    def compile(self, text: bytes, name: str) -> Any:
        """Compile Lua text that is ours; `name` is what error messages call it."""
        return self._runtime.compile(text, name=b"=" + to_bytes(name))

    def export(self, function: Callable[..., Any]) -> Any:
        """A Lua function that calls a Python one. What it raises ends in `call` (see above)."""

        def guarded(*args: Any) -> tuple[Any, ...]:
            self.changes += 1
            try:
                result = function(*[arg.value if type(arg) is _Once else arg for arg in args])
            except LuaUserError as error:
                return False, to_bytes(str(error)), error.level
            except LuaFailure as failure:
                return False, to_bytes(failure.message), None
            except self._lua_error as error:
                # a Lua function that was handed to Python, and called by it, failed
                return False, to_bytes(str(error).partition("\nstack traceback:")[0]), None
            except BaseException as error:
                # Parked: seen again by `call`, whatever Lua code does with the message. The first
                # one wins: what follows is Lua code running on after a pcall.
                self._parked = self._parked or error
                return False, to_bytes(str(error)), None
            return (True, *map(self.once, result)) if isinstance(result, tuple) else (True, self.once(result))

        return self._export(guarded)

    def call(self, function: Any, *args: Any) -> Any:
        """Call a Lua function; several results come as a tuple.

        Raises LuaFailure for an error in Lua, or what an exported Python function raised.
        """
        outer, self._parked = self._parked, None
        self.changes += 1
        try:
            answer = self._protect(function, *map(self.once, args))
        finally:
            self.changes += 1  # once more: what was seen meanwhile may have changed since
            parked, self._parked = self._parked, outer
        if parked is not None:
            if self._arm is not None:
                self._arm()
            raise parked
        # lupa gives one value bare, several as a tuple
        ok, *results = answer if isinstance(answer, tuple) else (answer,)
        if not ok:
            message, frames, is_text = results
            values = list(frames.values())
            backtrace = [Frame(to_text(source), line) for source, line in zip(values[::2], values[1::2], strict=False)]
            raise LuaFailure(self._users_place(to_text(message), backtrace), backtrace, is_text)
        results = [result.value if isinstance(result, _Once) else result for result in results]
        if len(results) == 1:
            return results[0]
        return tuple(results) if results else None

    def watch(self, look: Callable[[bytes], None]) -> None:
        """Call `look` now and then while Lua code runs, with the place that it is at. What it raises ends that code."""
        self._arm = self._watch(self.export(look), LOOK_EVERY)

    def collect_garbage(self) -> None:
        """Let go of what no Lua code can reach any more. Lua knows its own bytes, not how much of ours they hold."""
        self._collect(b"collect")

    def once(self, value: Any) -> Any:
        """`value` as it may be given to a Lua function that is called without `call`."""
        return value if isinstance(value, self._plain) else _Once(value)

    @staticmethod
    def _users_place(message: str, backtrace: list[Frame]) -> str:
        """An error level that points into a file of ours: the nearest place in a file of the user's instead."""
        source, _, rest = message.partition(":")
        line, _, text = rest.partition(": ")
        if not source.startswith(OWN) or not line.isdecimal():
            return message
        for frame in backtrace:
            if frame.line > 0 and not frame.source.startswith(OWN):
                return f"{frame.source}:{frame.line}: {text}"
        return text

    def run_file(self, path: str) -> None:
        """Run a user's file. Raises ConfigError with lsyncd's words (spec 1.2)."""
        chunk, message = self.call(self._loadfile, to_bytes(path))
        if chunk is None:
            raise ConfigError(f"error loading {path}: {to_text(message)}")
        try:
            self.call(chunk)
        except LuaFailure as failure:
            raise ConfigError(f"error preparing {path}: {failure.message if failure.is_text else '(null)'}") from None


def _import_global(name: str) -> Any:
    """Import a runtime so that modules written in C, which `require` loads, find the functions of Lua in it.

    Its own calls stay within itself (RTLD_DEEPBIND), whatever other Lua the process holds; see dlopen(3).
    """
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL | getattr(os, "RTLD_DEEPBIND", 0))
    try:
        return importlib.import_module(name)
    finally:
        sys.setdlopenflags(flags)


def _no_attributes(obj: Any, name: Any, is_setting: bool) -> Any:
    raise AttributeError("not to be reached from Lua")


# debug.getinfo(2 …) from the handler: level 1 is the handler itself. A message that is no string
# (`error({})`) is described as `log` describes it. `t`: text only, a compiled chunk could crash the process.
_BORDER = b"""
local xpcall, select, type, tostring, getinfo, error = xpcall, select, type, tostring, debug.getinfo, error
local unpack, loadfile, pcall, format = table.unpack or unpack, loadfile, pcall, string.format

local function address(value)
    local ok, text = pcall(format, '%p', value)
    return (ok and text or tostring(value)):match('0x%x+')
end

local function handler(message)
    local frames, level = {}, 2
    local info = getinfo(level, 'Sl')
    while info do
        frames[#frames + 1] = info.short_src
        frames[#frames + 1] = info.currentline
        level = level + 1
        info = level < 60 and getinfo(level, 'Sl')
    end
    local kind = type(message)
    local is_text = kind == 'string' or kind == 'number'
    if kind == 'nil' then
        message = '(nil)'
    elseif not is_text then
        message = '(' .. kind:sub(1, 1):upper() .. kind:sub(2) .. ': ' .. (address(message) or '?') .. ')'
    end
    return {tostring(message), frames, is_text}
end

local function finish(ok, ...)
    if ok then return true, ... end
    local failure = ...
    -- an error inside the handler, as in a stack overflow, comes as a bare string
    if type(failure) ~= 'table' then return false, tostring(failure), {}, true end
    return false, failure[1], failure[2], failure[3]
end

local protect
if xpcall(function(value) assert(value) end, tostring, true) then
    function protect(f, ...) return finish(xpcall(f, handler, ...)) end
else  -- the xpcall of Lua 5.1 takes no arguments
    function protect(f, ...)
        local n, args = select('#', ...), {...}
        return finish(xpcall(function() return f(unpack(args, 1, n)) end, handler))
    end
end

local function pass(ok, ...)
    if ok then return ... end
    local message, level = ...
    -- 1 is this function, 2 the exported one, 3 its caller
    error(message, level and level + 2 or 0)
end

local function back(...) return ... end

local function export(f)
    return function(...) return back(pass(f(...))) end
end

local function load_text(path)
    local chunk, message = loadfile(path, 't')
    return chunk, message or false
end

-- Calls look(place) after each `every` instructions, in coroutines as well. What it raises ends the code that runs,
-- also where that catches errors: from then on it is raised at each instruction of a user's, until `arm` is called.
-- Functions of ours are never left half done.
local sethook = debug.sethook
local function watch(look, every)
    local function is_ours(info) return info.short_src:sub(1, 9) == '(lsyncd)/' or info.currentline < 0 end
    local function hook()
        local running = getinfo(2, 'Sl')
        local users, level = running, 2
        while users and is_ours(users) do
            level = level + 1
            users = getinfo(level, 'Sl')
        end
        users = users or running
        local ok, message = pcall(look, users.short_src .. ':' .. users.currentline)
        if ok then return end
        sethook(hook, '', 1)
        if not is_ours(running) then error(message, 0) end
    end
    local function arm() sethook(hook, '', every) end
    local create, resume = coroutine.create, coroutine.resume
    local adds_place = _VERSION ~= 'Lua 5.1'
    function coroutine.create(f)
        local thread = create(f)
        sethook(thread, hook, '', every)
        return thread
    end
    local function pack(...) return {n = select('#', ...), ...} end
    function coroutine.wrap(f)
        local thread = coroutine.create(f)
        return function(...)
            local results = pack(resume(thread, ...))
            if results[1] then return unpack(results, 2, results.n) end
            error(results[2], adds_place and type(results[2]) == 'string' and 2 or 0)
        end
    end
    arm()
    return arm
end

-- What a table holds, to be compared with later. A copy that is no table, or is too deep, equals nothing.
local getmetatable, next, rawget, rawequal = debug.getmetatable, next, rawget, rawequal
local DEEPEST = 8

local function copy(value, depth)
    if type(value) ~= 'table' then return value end
    if depth == 0 or getmetatable(value) then return {} end
    local values, count = {}, 0
    for key, inner in next, value do
        values[key] = copy(inner, depth - 1)
        count = count + 1
    end
    return {of = value, values = values, count = count}
end

local function equals(value, copied)
    if type(value) ~= 'table' or type(copied) ~= 'table' then return rawequal(value, copied) end
    if not rawequal(value, copied.of) or getmetatable(value) then return false end
    local values, count = copied.values, 0
    for key, inner in next, value do
        if not equals(inner, values[key]) then return false end
        count = count + 1
    end
    return count == copied.count
end

local function remember(table, ...)
    local n, keys, copies = select('#', ...), {...}, {}
    for i = 1, n do copies[i] = copy(rawget(table, keys[i]), DEEPEST) end
    return function()
        if getmetatable(table) then return false end
        for i = 1, n do
            if not equals(rawget(table, keys[i]), copies[i]) then return false end
        end
        return true
    end
end

-- What is in there keeps the runtime itself alive.
function debug.getregistry() error('debug.getregistry is not to be had here', 2) end

return protect, export, load_text, watch, remember
"""
