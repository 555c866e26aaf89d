"""Which syncs two configs have in common, so that a reload lets them go on (spec 1.5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.sameness import same_syncs
from tests.unit.config.lua_config import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.logic.sameness import Fingerprint

VERSIONS = ("5.1", "5.3", "5.4")
"""5.2 is as 5.3 without lines cut out, and jit as 5.1: see the last tests."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def prints(world: World, text: str, version: str = "5.3") -> dict[str, Fingerprint | None]:
    world.host.tunnels.clear()
    config = world.load(text, version=version)
    config.finish()
    config.lock()
    return {sync.name: sync.fingerprint for sync in config.syncs}


def same(world: World, old: str, new: str, version: str = "5.3") -> list[str]:
    before = prints(world, old, version)
    return sorted(same_syncs(before, prints(world, new, version), keeps_functions=True))


def sync(name: str, more: str = "", action: str = "default.rsync") -> str:
    return f'sync{{{action}, name = "{name}", source = "SRC", target = "TRG/{name}", {more}}}\n'


HANDLER = 'onCreate = function(event) spawn(event, "/bin/cp", event.source, event.target) end'

SAME = {
    "the same text": (sync("a", 'exclude = {"x", "y"}'), sync("a", 'exclude = {"x", "y"}')),
    "another place and other spaces": (sync("a", "delay = 3"), f"-- a comment\n\n{sync('a', 'delay   =   3')}"),
    "one written out": (sync("a", "delay = 3"), f"settings{{delay = 3}}\n{sync('a')}"),
    "another order": (sync("b") + sync("a"), sync("a") + sync("b")),
    "other syncs": (sync("a") + sync("b"), sync("c") + sync("a")),
    "inherited": ("mine = {default.rsync, delay = 2}" + sync("a", action="mine"), sync("a", "delay = 2")),
    "a function": (sync("a", HANDLER, "{}"),) * 2,
    "a function, captured": (f"local x = 1 {sync('a', 'init = function() return x end')}",) * 2,
    "a table, captured": (f"local t = {{1, {{a = 2}}}} {sync('a', 'init = function() return t end')}",) * 2,
    "a table that holds itself": (f"t = {{}} t[1] = t {sync('a', 'init = function() return t end')}",) * 2,
    "a function of the user's that calls another": (
        f"local function f() return 1 end function g() return f() end {sync('a', 'init = function() return g() end')}",
    )
    * 2,
    "a global that it does not use": (
        f"other = 1 {sync('a', 'init = function() return 1 end')}",
        f"other = 2 {sync('a', 'init = function() return 1 end')}",
    ),
    "functions of ours": (sync("a", "init = default.direct.init"),) * 2,
    "layer 3": (sync("a", 'onCreate = "cp ^source ^target"', "{}"),) * 2,
    "a tunnel": (sync("a", 'tunnel = tunnel{command = "x"}'),) * 2,
    "a program that was replaced": (sync("a", 'rsync = {binary = "/bin/sh"}'),) * 2,
}


def using(what: str, name: str) -> str:
    """Something is defined, and a function of the sync `a` uses it."""
    return f"{what} {sync('a', f'init = function() return {name} end')}"


CHANGED = {
    "an option": (sync("a", "delay = 1"), sync("a", "delay = 2")),
    "an option more": (sync("a"), sync("a", "init = false")),
    "an option of rsync": (sync("a", "rsync = {compress = true}"), sync("a", "rsync = {compress = false}")),
    "a list's order": (sync("a", 'exclude = {"x", "y"}'), sync("a", 'exclude = {"y", "x"}')),
    "an exit code": (sync("a", 'exitcodes = {[7] = "ok"}'), sync("a", 'exitcodes = {[7] = "again"}')),
    "a setting for all": (sync("a"), f"settings{{delay = 3}}\n{sync('a')}"),
    "the name": (sync("a"), sync("b")),
    "a name by number": (sync("").replace('name = "", ', ""), sync("x") + sync("").replace('name = "", ', "")),
    "the text of a function": (sync("a", HANDLER, "{}"), sync("a", HANDLER.replace("cp", "mv"), "{}")),
    "text and number": (sync("a", "init = function() return 1 end"), sync("a", 'init = function() return "1" end')),
    "a captured value": (
        using("local x = 1", "x"),
        using("local x = 2", "x"),
    ),
    "a value in a captured table": (
        using("local t = {a = {1}}", "t"),
        using("local t = {a = {2}}", "t"),
    ),
    "a captured function": (
        using("local function f() return 1 end", "f()"),
        using("local function f() return 2 end", "f()"),
    ),
    "a global": (using("x = 1", "x"), using("x = 2", "x")),
    "a global that a function uses that it calls": (
        using("x = 1 function f() return x end", "f()"),
        using("x = 2 function f() return x end", "f()"),
    ),
    "a global by another way": (
        using("x = 1", '_G["x" .. ""]'),
        using("x = 2", '_G["x" .. ""]'),
    ),
    "a global by a local name of the table": (
        using("x = 1 local g, k = _G, 'x'", "g[k]"),
        using("x = 2 local g, k = _G, 'x'", "g[k]"),
    ),
    "a function of ours that was replaced": (
        sync("a", "init = function() log() end"),
        "function log() return 1 end " + sync("a", "init = function() log() end"),
    ),
    "a function in one of our tables": (
        sync("a", "init = function() default.rsync.full() end"),
        "default.rsync.full = function() return 1 end " + sync("a", "init = function() default.rsync.full() end"),
    ),
    "a file that is read later": (sync("a", 'init = function() dofile("/x") end'),) * 2,
    "what nobody can read": (using("local f = coroutine.create(function() end)", "f"),) * 2,
    "a sync in a function": (using("local one = " + sync("b") + "", "one"),) * 2,
    "a table with tables as keys": (using("local t = {[{}] = 1}", "t"),) * 2,
    "a metatable": (
        using("local t = setmetatable({}, {__index = function() return 1 end})", "t"),
        using("local t = setmetatable({}, {__index = function() return 2 end})", "t"),
    ),
    "its tunnel": (sync("a", 'tunnel = tunnel{command = "x"}'), sync("a", 'tunnel = tunnel{command = "y"}')),
    "whose function": (sync("a"), sync("a", "init = default.direct.init")),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_the_same_goes_on(world: World, version: str) -> None:
    for what, (old, new) in SAME.items():
        assert "a" in same(world, old, new, version), what


@pytest.mark.parametrize("version", ["5.3", "5.4", "jit"])
def test_a_function_may_stand_elsewhere(world: World, version: str) -> None:
    """Its bytecode has the lines of all functions in it."""
    nested = """init = function(event)
        local names, more = {1, 2.5, "three", true, false, nil, ("x"):rep(3), "LONG"}, function(one, ...)
            return function() return names, one, function() return more end end, ...
        end
        return more
    end""".replace("LONG", "y" * 300)
    old = sync("a", nested, "{}")
    assert same(world, old, f"local x = 1\n\n{old}", version) == ["a"]
    for text, other in (("2.5", "2.6"), ("three", "four"), ("yy", "yz"), ("names, one", "one, names")):
        assert same(world, old, old.replace(f"{text}", other, 1), version) == [], text


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_does_not(world: World, version: str) -> None:
    for what, (old, new) in CHANGED.items():
        assert "a" not in same(world, old, new, version), what


def test_a_function_that_names_its_environment_reaches_all(world: World) -> None:
    text = f"x = 1 {sync('a', 'init = function(k) return _ENV[k] end')}"
    assert same(world, text, text) == ["a"]
    assert same(world, text, text.replace("x = 1", "x = 2")) == []


SHARING = {
    "a captured variable": "local counter = 0",
    "a table": "local counter = {}",
    "a global": "counter = 0",
}


@pytest.mark.parametrize("version", ["5.1", "5.2", "5.3", "5.4", "jit"])
@pytest.mark.parametrize("what", SHARING)
def test_those_that_share_something_change_together(world: World, what: str, version: str) -> None:
    uses = "init = function() return counter end"
    more = sync("c", "init = function() return 1 end") + sync("d") + sync("b", uses)
    old = SHARING[what] + "\n" + more + sync("a", uses)
    assert same(world, old, old, version) == ["a", "b", "c", "d"]
    assert same(world, old, old.replace("TRG/a", "TRG/elsewhere"), version) == ["c", "d"]
    assert same(world, old, SHARING[what] + "\n" + more, version) == ["c", "d"], "one that is gone shared it, too"


def test_what_stands_in_files(world: World, tmp_path: Path) -> None:
    files = [tmp_path / "excludes", tmp_path / "secret", tmp_path / "more"]
    for file in files:
        file.write_text("one")
    text = sync(
        "a",
        f'excludeFrom = "{files[0]}",'
        f'rsync = {{password_file = "{files[1]}", _extra = {{"--include-from={files[2]}"}}}}',
    )
    assert same(world, text, text) == ["a"]
    for file in files:
        before = prints(world, text)
        times = file.stat()
        file.write_text("two")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert same_syncs(before, prints(world, text), keeps_functions=True) == set(), file


def test_toml_is_the_same_as_lua(world: World) -> None:
    config = world.load_toml('[[sync]]\naction = "rsync"\nname = "a"\nsource = "SRC"\ntarget = "TRG/a"\ndelay = 2')
    config.finish()
    config.lock()
    toml = {sync.name: sync.fingerprint for sync in config.syncs}
    assert same_syncs(prints(world, sync("a", "delay = 2")), toml, keeps_functions=True) == {"a"}
    assert same_syncs(prints(world, sync("a", "delay = 3")), toml, keeps_functions=True) == set()


def test_where_functions_are_called_that_belong_to_no_sync(world: World) -> None:
    text = sync("a", HANDLER, "{}") + sync("b")
    before, after = prints(world, text), prints(world, text)
    assert same_syncs(before, after, keeps_functions=False) == {"b"}
