"""TOML configs: the same syncs as in Lua, and errors that name file, line and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from orchestrator.api import Action, Option, Options
from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.tomlplaces import Places, shown
from orchestrator.errors import ConfigError
from tests.unit.config.lua_config import World

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.config.tomlplaces import Path as KeyPath

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
    "action": ('"rsync"', '"rsnc"', ':6: sync[1].action: there is no action "rsnc"; did you mean "rsync"?'),
    "key": ("delay =", "dealy =", ':9: sync[1].dealy: unknown key; did you mean "delay"?'),
    "nested key": ("archive", "archiv", ':14: sync[1].rsync.archiv: unknown key; did you mean "archive"?'),
    "setting": ("insist", "inist", ':2: settings.inist: unknown key; did you mean "insist"?'),
    "table": ("[settings]", "[setings]", ':1: setings: unknown key; did you mean "settings"?'),
    "type": ("delay = 2.5", 'delay = "2"', ":9: sync[1].delay: must be a number, not a string"),
    "list": ('["*.tmp", "/cache/"]', "5", ":10: sync[1].exclude: must be a string or a list, not a whole number"),
    "handler": (
        'onCreate = "cp ^sourcePathname ^targetPathname"',
        "onCreate = 3",
        ":20: sync[2].onCreate: must be a string",
    ),
    "source": ('source = "SRC"\ntarget = "TRG"\n', 'target = "TRG"\n', ":5: source missing from sync."),
    "target": ('target = "TRG"\n', "", ':5: default.rsync needs "target" configured'),
    "second sync": ('target = "TRG/"', "nosuch = 1", ":19: sync[2].nosuch: unknown key"),
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


PLACES = """\
settings.statusInterval = 3

[[sync]]
action = "rsync"
# a line that looks like a key: source = "x"
source = '''
[[sync]]
source = "not me"
'''
target = "t"
exclude = [
  "a]",
  "[[sync]]",
  # ]
  "target = 3",
]
rsync = { archive = true, _extra = ["-v"] }
"quoted key" = 1
ssh.port = 22

  [sync.more]
  one = 1

[[ sync ]]
source = "b"
[[sync.nested]]
x = 1
[[sync.nested]]
x = { y = [
  1, { z = 2 } ] }
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("settings", "statusInterval"), 1),
        (("sync", 0), 3),
        (("sync", 0, "action"), 4),
        (("sync", 0, "source"), 6),
        (("sync", 0, "target"), 10),
        (("sync", 0, "exclude"), 11),
        (("sync", 0, "exclude", 1), None),
        (("sync", 0, "rsync"), 17),
        (("sync", 0, "rsync", "archive"), 17),
        (("sync", 0, "rsync", "_extra", 0), 17),
        (("sync", 0, "quoted key"), 18),
        (("sync", 0, "ssh", "port"), 19),
        (("sync", 0, "more"), 21),
        (("sync", 0, "more", "one"), 22),
        (("sync", 1), 24),
        (("sync", 1, "source"), 25),
        (("sync", 1, "nested", 0, "x"), 27),
        (("sync", 1, "nested", 1), 28),
        (("sync", 1, "nested", 1, "x"), 29),
        (("sync", 1, "nested", 1, "x", "y"), None),
        (("sync", 2), None),
        (("nosuch",), None),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_line_is_the_right_one_or_none(path: KeyPath, line: int | None, newline: str) -> None:
    assert Places(PLACES.replace("\n", newline)).line(path) == line


def test_a_long_list_is_not_read_over_and_over() -> None:
    text = "[[sync]]\nexclude = [\n" + '"*.tmp",\n' * 20_000 + "]\ndelay = 3\n"
    assert Places(text).line(("sync", 0, "delay")) == 20_004


@pytest.mark.parametrize(("path", "words"), [(("sync", 1, "delay"), "sync[2].delay"), (("a b", "c-d"), '"a b".c-d')])
def test_a_path_is_named(path: KeyPath, words: str) -> None:
    assert shown(path) == words


def test_a_multi_line_string_does_not_shift_the_lines(world: World) -> None:
    text = GOOD.replace('target = "TRG"\n', 'name = """\\\n  a\\\n  b"""\ntarget = "TRG"\n').replace("delay", "delayy")
    with pytest.raises(ConfigError, match=r"lsyncd\.toml:12: sync\[1\]\.delayy: unknown key"):
        world.load_toml(text)


TUNNELED = """\
[[sync]]
action = "rsync"
source = "SRC"
target = "rsync://localhost:^localport/m"
"""


@pytest.mark.parametrize(
    "tunnel",
    ['tunnel = { command = "ssh -N h", name = "t" }', '[sync.tunnel]\ncommand = "ssh -N h"\nname = "t"'],
)
def test_a_sync_may_have_a_tunnel_of_its_own(world: World, tunnel: str) -> None:
    loaded = world.load_toml(TUNNELED + tunnel)
    assert loaded.syncs[0].config.get("tunnel").get("name") == "t"
    assert [tunnel.name for tunnel in world.host.tunnels] == ["t"]


@pytest.mark.parametrize(
    ("tunnel", "message"),
    [
        ("{ cmd = 'x' }", ':1: Parameter "tunnel.cmd" unknown.'),
        ("{}", ":1: command missing from tunnel."),
        ("3", ":5: sync[1].tunnel: must be a table or a string, not a whole number"),
        ("['t']", ":5: sync[1].tunnel: must be a table or a string, not a list"),
        ("'no'", ':1: there is no [[tunnel]] with the name "no"'),
    ],
)
def test_a_wrong_tunnel_is_one_line(world: World, tunnel: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        world.load_toml(TUNNELED + f"tunnel = {tunnel}")
    assert message in str(raised.value)


class Codes(Action):
    name = "codes"
    options: ClassVar[Options] = {
        "verdicts": Option((dict,)),
        "ports": Option((dict,)),
        "tool": {"codes": Option((dict,)), "names": Option((list,))},
    }


def test_a_table_of_exit_codes_may_have_any_name(tmp_path: Path) -> None:
    world = World(tmp_path, [Codes()])
    text = """[[sync]]
action = "codes"
source = "SRC"
verdicts = { 0 = "ok", 5 = "again", 7 = "die" }
ports = { 22 = "ssh", 80 = "ok" }
tool = { codes = { 3 = "ok" }, names = ["a"] }
"""
    config = world.load_toml(text).syncs[0].config
    assert dict(config.get("verdicts").int_items()) == {0: "ok", 5: "again", 7: "die"}
    assert dict(config.get("ports").items()) == {"22": "ssh", "80": "ok"}
    assert dict(config.get("tool").get("codes").int_items()) == {3: "ok"}
    world.close()


@pytest.mark.parametrize("value", ["9223372036854775808", "[-9223372036854775809]", "{ x = 99999999999999999999 }"])
def test_a_whole_number_has_64_bits(world: World, value: str) -> None:
    with pytest.raises(ConfigError, match=r":9: sync\[1\]\.delay\S*: is no whole number of 64 bits"):
        world.load_toml(GOOD.replace("2.5", value, 1))


@pytest.mark.parametrize("action", ["['native']", "3", "{ x = 1 }", "1979-05-27"])
def test_an_action_is_a_name(world: World, action: str) -> None:
    with pytest.raises(ConfigError, match=r":6: sync\[1\]\.action: must be a string, the name of an action, not a"):
        world.load_toml(GOOD.replace('"rsync"', action, 1))


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a = [" * 5000, b"[[sync]]\n" * 3, b"sync = 3", b"settings = []"])
def test_junk_is_one_line(world: World, text: bytes) -> None:
    with pytest.raises(ConfigError):
        world.load_toml(text)


def test_the_table_of_keys_is_the_one_that_lua_checks_with(world: World) -> None:
    gauge = world.load("").lua.globals[b"default"][b"checkgauge"]
    assert {key.decode() for key in gauge} == set(SYNC_KEYS)
