"""TOML configs: the same syncs as in Lua, and errors that name file, line and key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.common import SYNC_KEYS
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

GOOD = """\
[settings]
insist = true
statusInterval = 3

[[sync]]
action = "rsync"
source = "SRC"
target = "TRG"
delay = 2.5
exclude = ["*.tmp", "/cache/"]
exitcodes = { 23 = "again" }

[sync.rsync]
archive = true
_extra = ["--bwlimit=5000"]

[[sync]]
source = "SRC"
target = "TRG/"
onCreate = "cp ^sourcePathname ^targetPathname"
"""


def test_a_file_makes_the_same_syncs_as_lua_does(world: World) -> None:
    loaded = world.load_toml(GOOD)
    settings = loaded.finish()
    assert (settings.insist, settings.status_interval) == (True, 3)
    first, second = loaded.syncs
    assert first.options.delay == 2.5
    assert first.filters.excludes() == [b"*.tmp", b"/cache/"]
    assert dict(first.config.get("exitcodes").int_items())[23] == "again"
    assert "--bwlimit=5000" in first.config.get("rsync").get("_computed").list()
    assert first.options.sets
    assert not second.options.sets
    assert second.config.get("onCreate") == "cp ^sourcePathname ^targetPathname"


ERRORS = {
    "syntax": ("insist = true", "insist = = true", "Invalid value (at line 2, column 10)"),
    "action": ('"rsync"', '"rsnc"', ':6: unknown action "rsnc"; did you mean "rsync"?'),
    "key": ("delay =", "dealy =", ':9: unknown key "dealy" in [sync]; did you mean "delay"?'),
    "nested key": ("archive", "archiv", ':14: unknown key "archiv" in [sync.rsync]; did you mean "archive"?'),
    "setting": ("insist", "inist", ':2: unknown key "inist" in [settings]; did you mean "insist"?'),
    "table": ("[settings]", "[setings]", ':1: unknown key "setings"; did you mean "settings"?'),
    "type": ("delay = 2.5", 'delay = "2"', ':9: key "delay" must be a number, not a string'),
    "list": ('["*.tmp", "/cache/"]', "5", ':10: key "exclude" must be a string or a list, not a whole number'),
    "handler": (
        'onCreate = "cp ^sourcePathname ^targetPathname"',
        "onCreate = 3",
        ':20: key "onCreate" must be a string',
    ),
    "source": ('source = "SRC"\ntarget = "TRG"\n', 'target = "TRG"\n', ":5: source missing from sync."),
    "target": ('target = "TRG"\n', "", ':5: default.rsync needs "target" configured'),
    "second sync": ('target = "TRG/"', "nosuch = 1", ':19: unknown key "nosuch" in [sync]'),
    "tunnel": ("delay = 2.5", 'tunnel = "t"', ':5: there is no [[tunnel]] with the name "t"'),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_says_file_line_and_key(world: World, case: str) -> None:
    old, new, message = ERRORS[case]
    assert old in GOOD
    with pytest.raises(ConfigError) as raised:
        world.load_toml(GOOD.replace(old, new, 1))
    assert message in str(raised.value)
    assert "lsyncd.toml" in str(raised.value)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a = [" * 5000, b"[[sync]]\n" * 3, b"sync = 3", b"settings = []"])
def test_junk_is_one_line(world: World, text: bytes) -> None:
    with pytest.raises(ConfigError):
        world.load_toml(text)


def test_the_table_of_keys_is_the_one_that_lua_checks_with(world: World) -> None:
    gauge = world.load("").lua.globals[b"default"][b"checkgauge"]
    assert {key.decode() for key in gauge} == set(SYNC_KEYS)
