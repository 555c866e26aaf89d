"""What is made of a config once, and again when the user's code has changed something in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import exit_codes_of
from orchestrator.config.lua.runtime import VERSIONS, Lua
from orchestrator.config.lua.table import TableConfig
from orchestrator_rsync.arguments import rsync_options

if TYPE_CHECKING:
    from orchestrator.config.model import Config

TABLE = b"""
config = {delete = true, rsync = {binary = 'rsync', _computed = {'-lst', {'--one', 2}}},
    exitcodes = {[0] = 'ok', [5] = 'again'}, other = {1}}
"""


class Made:
    """Counts how often something is made of a config."""

    def __init__(self, version: str) -> None:
        self.count = 0
        self.lua = Lua(version)
        self.run(TABLE)
        self.config = TableConfig(self.lua, self.lua.globals[b"config"])

    def run(self, text: bytes) -> None:
        self.lua.call(self.lua.compile(text, "test"))

    def get(self, *keys: str) -> Any:
        return self.config.derived(self.make, *keys)

    def make(self, config: Config, *keys: str) -> list[Any]:
        self.count += 1
        return [config.get(key) for key in keys]


@pytest.fixture(params=sorted(VERSIONS))
def made(request: pytest.FixtureRequest) -> Made:
    return Made(request.param)


def test_it_is_made_once_while_nothing_changes(made: Made) -> None:
    assert made.get("delete", "rsync") is made.get("delete", "rsync")
    made.run(b"config.other = {2}; config.new = true")
    assert made.get("delete", "rsync")[0] is True
    assert made.count == 1
    made.get("delete")
    assert made.count == 2


@pytest.mark.parametrize(
    "change",
    [
        "config.delete = false",
        "config.delete = nil",
        "config.rsync = nil",
        "config.rsync = {binary = 'rsync', _computed = config.rsync._computed}",
        "config.rsync.binary = 'other'",
        "config.rsync.bwlimit = 5",
        "config.rsync._computed[1] = '-n'",
        "config.rsync._computed[3] = '-n'",
        "config.rsync._computed[2] = nil",
        "config.rsync._computed[2][2] = 3",
        "setmetatable(config, {__index = {delete = 'startup'}})",
        "setmetatable(config.rsync, {__index = {bwlimit = 3}})",
    ],
)
def test_it_is_made_again_when_one_of_its_values_changes(made: Made, change: str) -> None:
    first = made.get("delete", "rsync")
    made.run(change.encode())
    assert made.get("delete", "rsync") is not first
    assert made.count == 2


def test_a_function_that_changes_it_between_two_calls_of_ours_is_noticed(made: Made) -> None:
    made.lua.globals[b"ask"] = made.lua.export(lambda: str(made.get("delete")[0]).encode())
    made.run(b"first = ask() config.delete = 'startup' second = ask() config.delete = nil")
    assert (made.lua.globals[b"first"], made.lua.globals[b"second"]) == (b"True", b"startup")
    assert made.get("delete") == [None]
    made.config.set("delete", "running")
    assert made.get("delete") == ["running"]


def test_what_a_metatable_gives_is_asked_for_each_time(made: Made) -> None:
    made.run(b"config.delete = nil; mode = 'startup'; setmetatable(config, {__index = function() return mode end})")
    assert made.get("delete") == ["startup"]
    made.run(b"mode = 'running'")
    assert made.get("delete") == ["running"]


def test_a_table_that_holds_itself_is_no_trouble(made: Made) -> None:
    made.run(b"config.rsync.again = config.rsync")
    made.get("rsync")
    made.run(b"other = 1")
    made.get("rsync")
    assert made.count == 2


def test_exit_codes_and_the_options_of_rsync_follow_the_config(made: Made) -> None:
    assert exit_codes_of(made.config, "exitcodes") == {0: "ok", 5: "again"}
    assert rsync_options(made.config).batch == (b"rsync", b"-lst", b"--one", b"2", b"-r")
    made.run(b"config.exitcodes[5] = 'die'; config.rsync._computed[1] = '-ac'; config.delete = 'startup'")
    assert exit_codes_of(made.config, "exitcodes") == {0: "ok", 5: "die"}
    options = rsync_options(made.config)
    assert options.batch == (b"rsync", b"-ac", b"--one", b"2", b"-r")
    assert b"--delete" not in options.batch_rules
    assert not options.does_quick_check
