"""How a sync's config comes to be (spec 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

KEEP = "prepare = function() end, action = function() end"


def config_of(world: World, text: str, sync: int = 0) -> dict[str, object]:
    return dict(world.load(text).syncs[sync].config.items())


def strings(world: World, text: str, key: str) -> list[object]:
    value = world.load(text).syncs[0].config.get(key)
    return list(value.list())


def test_the_users_own_keys_win_and_parents_fill_the_gaps_in_order(world: World) -> None:
    config = config_of(
        world,
        f"""local a, b = {{x = "a", y = "a"}}, {{x = "b", y = "b", z = "b"}}
        sync{{a, b, y = "own", source = "SRC", {KEEP}}}""",
    )
    assert (config["x"], config["y"], config["z"]) == ("a", "own", "b")


def test_parents_have_parents(world: World) -> None:
    config = config_of(
        world,
        f"""local grand = {{a = 1, b = 1}}
        local parent = {{grand, a = 2}}
        sync{{parent, source = "SRC", {KEEP}}}""",
    )
    assert (config["a"], config["b"]) == (2, 1)


def test_tables_merge_unless_the_inherited_one_says_no(world: World) -> None:
    text = """local parent = {{opts = {{ {merge} a = "parent", b = "parent"}}}}
    sync{{parent, opts = {{a = "own"}}, source = "SRC", {keep}}}"""
    merged = world.load(text.format(merge="", keep=KEEP)).syncs[0].config.get("opts")
    assert dict(merged.items()) == {"a": "own", "b": "parent"}
    apart = world.load(text.format(merge="_merge = false,", keep=KEEP)).syncs[0].config.get("opts")
    assert dict(apart.items()) == {"a": "own"}


def test_merge_limits_what_is_inherited(world: World) -> None:
    config = config_of(
        world,
        f"""local parent = {{_merge = {{a = true}}, a = 1, b = 2}}
        sync{{parent, source = "SRC", {KEEP}}}""",
    )
    assert config["a"] == 1
    assert "b" not in config
    assert "_merge" not in config


def test_lists_are_joined_and_copied(world: World) -> None:
    text = f"""list = {{"one"}}
    local parent = {{words = {{"two", "three"}}}}
    sync{{parent, words = list, source = "SRC", {KEEP}}}
    if #list ~= 1 then error("the user's own table was changed") end"""
    assert strings(world, text, "words") == ["one", "two", "three"]


def test_number_keys_are_keys_where_they_are_exit_codes_or_verbatim(world: World) -> None:
    config = (
        world.load(
            f"""sync{{default.rsync, exitcodes = {{[23] = "again", [99] = "die"}},
        mine = {{_verbatim = true, [5] = "five"}}, source = "SRC", target = "TRG", {KEEP}}}"""
        )
        .syncs[0]
        .config
    )
    codes = dict(config.get("exitcodes").int_items())
    assert (codes[23], codes[99], codes[12]) == ("again", "die", "again")
    assert dict(config.get("mine").int_items()) == {5: "five"}


def test_a_parent_that_is_nil_does_not_hide_the_next(world: World) -> None:
    config = config_of(world, f"""local b = {{x = 1}} sync{{default.nosuch, b, source = "SRC", {KEEP}}}""")
    assert config["x"] == 1


def test_a_tunnel_is_the_same_table_not_a_copy(world: World) -> None:
    loaded = world.load(f"""t = tunnel{{command = "true", name = "t"}} sync{{source = "SRC", tunnel = t, {KEEP}}}""")
    loaded.lua.globals[b"t"][b"mark"] = b"seen"
    assert loaded.syncs[0].config.get("tunnel").get("mark") == "seen"


def test_settings_override_the_syncs_delay_and_the_command_line_both(world: World) -> None:
    text = """settings{delay = 7, maxDelays = 3}
    sync{default.rsync, source = "SRC", target = "TRG", delay = 1}"""
    options = world.load(text).syncs[0].options
    assert (options.delay, options.max_delays) == (7, 3)
    assert world.load(text, {"delay": 2}).syncs[0].options.delay == 2


@pytest.mark.parametrize("parent", ["{default.rsync}", "{default.rsync, init = true}", "{default.rsync, init = false}"])
def test_init_true_is_the_startup_of_the_action(world: World, parent: str) -> None:
    text = f"""local inlet = sync{{{parent}, source = "SRC", target = "TRG", init = true}}
    assert(inlet.getConfig().init == default.rsync.init, "another init")"""
    assert world.load(text).syncs[0].calls.has_init()


def test_init_true_is_the_common_startup_without_an_action(world: World) -> None:
    text = f"""local inlet = sync{{source = "SRC", init = true, {KEEP}}}
    assert(inlet.getConfig().init == default.init, "another init")"""
    assert world.load(text).syncs[0].calls.has_init()


@pytest.mark.parametrize("limit", ["0", "-7", '"0"', "0.5", "math.huge"])
def test_any_number_of_delays_will_do(world: World, limit: str) -> None:
    in_sync = world.load(f"sync{{default.rsync, source = 'SRC', target = 'TRG', maxDelays = {limit}}}")
    in_settings = world.load(f"settings{{maxDelays = {limit}}} sync{{default.rsync, source = 'SRC', target = 'TRG'}}")
    wanted = float(limit.strip('"').replace("math.huge", "inf"))
    assert [config.syncs[0].options.max_delays for config in (in_sync, in_settings)] == [wanted, wanted]
    assert in_settings.finish().max_delays == wanted


def test_no_limit_of_processes_is_none(world: World) -> None:
    loaded = world.load(
        "settings{maxProcesses = math.huge} sync{default.rsync, source = 'SRC', target = 'TRG', maxProcesses = 1}"
    )
    assert loaded.finish().max_processes is None
    assert not loaded.syncs[0].is_at_limit()


def test_a_total_of_processes_does_not_refuse_rsyncssh(world: World) -> None:
    loaded = world.load(
        """settings{maxProcesses = 4}
        sync{default.rsyncssh, source = "SRC", host = "h", targetdir = "TRG"}
        sync{default.rsync, source = "SRC", target = "TRG"}"""
    )
    assert [sync.options.max_processes for sync in loaded.syncs] == [1, 4]


@pytest.mark.parametrize(
    "table",
    [
        "local t = {} for i = 1, 100000 do t = {t} end",
        "local t = {} for i = 1, 100000 do t = {a = t} end",
        "local t = {} t[1], t[2] = t, t",
        "local t = {} t.a = t",
    ],
)
@pytest.mark.parametrize("key", ["t", "x = t", "exclude = t", "rsync = {_extra = t}", "exitcodes = t"])
def test_tables_nested_without_end_are_an_error(world: World, table: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        world.load(f'{table}\nsync{{default.rsync, source = "SRC", target = "TRG", {key}}}')
    assert str(error.value).endswith(
        "lsyncd.conf.lua:2: tables are nested more than 100 levels deep here, or a table holds itself."
    )


NESTED = {
    "lists": "exclude = " + "[" * 100_000 + "]" * 100_000,
    "tables": "exitcodes = " + "{a=" * 100_000 + "1" + "}" * 100_000,
    "keys": f"exitcodes.{'.'.join('a' * 100_000)} = 1",
}


@pytest.mark.parametrize("kind", NESTED)
def test_toml_nested_without_end_is_an_error(world: World, kind: str) -> None:
    with pytest.raises(ConfigError, match="error loading"):
        world.load_toml(f'[[sync]]\naction = "rsync"\nsource = "SRC"\ntarget = "TRG"\n{NESTED[kind]}\n')


def test_syncs_are_numbered_or_named(world: World) -> None:
    loaded = world.load(
        """sync{default.rsync, source = "SRC", target = "TRG"}
        sync{default.rsync, source = "SRC", target = "TRG", name = "mine"}
        sync{default.rsync, source = "SRC", target = "TRG"}"""
    )
    assert [sync.name for sync in loaded.syncs] == ["Sync1", "mine", "Sync3"]


RSYNC = 'sync{default.rsync, source = "SRC", target = "TRG", '

ERRORS = {
    "unknown key": ("RSYNC{targt = 1}", ':1: Parameter "targt" unknown.'),
    "nested key": (
        "\nRSYNC{rsync = {bogus = 1}}",
        ':2: Parameter "rsync.bogus" unknown.',
    ),
    "no table": (
        "RSYNC{rsync = 1}",
        'Parameter "rsync" must be a table.',
    ),
    "handler of an action": (
        'RSYNC{onCreate = "x"}',
        '"onCreate" unknown.',
    ),
    "no source": ('sync{default.rsync, target = "TRG"}', ":1: source missing from sync."),
    "no target": ('\n\nsync{default.rsync, source = "SRC"}', ':3: default.rsync needs "target" configured'),
    "source is gone": (
        'sync{default.rsync, source = "SRC/no", target = "TRG"}',
        ":1: Cannot access source directory: ",
    ),
    "source is a file": (
        '\nsync{default.rsync, source = "/etc/passwd", target = "TRG"}',
        ":2: Cannot access source directory",
    ),
    "source at home": (
        '\nsync{default.rsync, source = "~/no", target = "TRG"}',
        ":2: Cannot access source directory: ~/no (~ stands for a home directory in a shell only: write it out)",
    ),
    "file that is run": ('\ndofile("/no/such")', ":2: cannot open /no/such: No such file or directory"),
    "file at home": ('\ndofile("~/x")', ":2: cannot open ~/x: No such file or directory (~ stands"),
    "names": ("RSYNC{name = 'x'}\nRSYNC{name = 'x'}", ':2: there are two syncs with the name "x"'),
    "crontab": ("\nRSYNC{crontab = 'x'}", ":2: Sync: Sync1 - crontab rule 1 is not valid"),
    "verify": ("\nRSYNC{verify = '* * *'}", ":2: Sync: Sync1 - verify rule 1 is not valid: it has 3 fields, not the 6"),
    "verify of functions": (
        '\nsync{onCreate = "true", source = "SRC", verify = "0 3 * * 0"}',
        ':2: Sync1: "verify": nobody can compare source and target of this kind of sync.',
    ),
    "verify of a command": (
        '\nsync{default.command, command = "true", source = "SRC", verify = "0 3 * * 0"}',
        ':2: default.command: "verify" needs "verifyCommand"',
    ),
    "delay": ('RSYNC{delay = "x"}', "delay must be a number and >= 0"),
    "resume": ('RSYNC{resume = "no"}', '"resume" must be true or false'),
    "negative delay": (
        "RSYNC{delay = -1}",
        "delay must be a number and >= 0",
    ),
    "endless delay": ("\nRSYNC{delay = 1/0}", ":2: delay must be a number and >= 0"),
    "no number of delays": ("\nRSYNC{maxDelays = 0/0}", ":2: maxDelays must be a number, not nan"),
    "no process": ("RSYNC{maxProcesses = 0}", "maxProcesses must be a number and >= 1, not 0"),
    "delays in settings": (
        "\nsettings{maxDelays = 'x'}\n\nRSYNC{}",
        ':2: setting "maxDelays" must be a number, not "x".',
    ),
    "processes in settings": (
        "\nsettings{maxProcesses = 0}\nRSYNC{}",
        ':2: setting "maxProcesses" must be a number and >= 1',
    ),
    "delay in settings": (
        "\nsettings{delay = 0/0}\nRSYNC{}",
        ':2: setting "delay" must be a number and >= 0, not nan.',
    ),
    "heartbeat in settings": (
        "\nsettings{statusHeartbeat = 0}\nRSYNC{}",
        ':2: setting "statusHeartbeat" must be a number and >= 1, not 0.',
    ),
    "old settings": ("\nsettings.delay = {}", ':2: setting "delay" must be a number and >= 0, not a table'),
    "old settings table": (
        "settings = {delay = -1}\nRSYNC{}",
        'lsyncd.conf.lua: setting "delay" must be a number and >= 0, not -1.',
    ),
    "choice in settings": (
        '\nsettings{watchLimit = "x"}',
        ':2: setting "watchLimit" must be "terminate" or "degrade", not "x".',
    ),
    "filter": (
        "RSYNC{filter = 3}",
        "type for filter must be table or string",
    ),
    "exclude": ("RSYNC{exclude = 3}", "type for exclude must be table"),
    "action in quotes": (
        '\nsync{"default.rsync", source = "SRC", target = "TRG"}',
        ':2: Parameter "1" unknown. Write default.rsync, without quotes.',
    ),
    "name of an action": ('sync{"direct", source = "SRC"}', "Write default.direct, without quotes."),
    "word beside an action": ('RSYNC{"x"}', ':1: Parameter "1" unknown. "x" has no name: write NAME = "x".'),
    "number beside an action": ("RSYNC{3}", 'Parameter "1" unknown. Nothing may stand here without a name'),
    "word of a parent": (
        'p = {default.rsync, "x"}\nsync{p, source = "SRC", target = "TRG"}',
        ':2: Parameter "1" unknown.',
    ),
    "flags of rsync": (
        '\nRSYNC{rsync = {"-ltus"}}',
        ':2: Parameter "rsync.1" unknown. rsync = { _extra = { "-ltus" } } is the way to hand it over.',
    ),
    "flags of ssh": (
        'sync{default.rsyncssh, source = "SRC", host = "h", targetdir = "TRG", ssh = {"-p 2222"}}',
        'Parameter "ssh.1" unknown. ssh = { _extra = { "-p 2222" } } is',
    ),
    "init in quotes": ('\nRSYNC{init = "x"}', ':2: init must be a function or false, not "x"'),
    "collect is true": ("\nRSYNC{collect = true}", ":2: collect must be a function or false, not true"),
    "action is a number": ("\nRSYNC{action = 3}", ":2: action must be a function or false, not 3"),
    "full is a table": ("\nRSYNC{full = {}}", ":2: full must be a function or false, not a table"),
    "prepare in quotes": ('\nRSYNC{prepare = "x"}', ':2: prepare must be a function or false, not "x"'),
    "gauge in quotes": ('\nRSYNC{checkgauge = "x"}', ":2: checkgauge must be a table, or false for no check"),
    "hook is a number": (
        "\nRSYNC{onBatchStart = 3}",
        ":2: onBatchStart must be a function or a string, a command, not a number",
    ),
    "name is a table": ("\nRSYNC{name = {}}", ":2: name must be a string or a number, not a table"),
    "exit codes in quotes": ('\nRSYNC{exitcodes = "x"}', ':2: exitcodes must be a table or false, not "x"'),
    "file of excludes": ("\nRSYNC{excludeFrom = {}}", ":2: excludeFrom must be a string, not a table"),
    "exclude list": ("\nRSYNC{exclude = {'a', true}}", ":2: exclude[2] must be a string, not true"),
    "no action at all": ("\nRSYNC{action = false}", ":2: no actions specified."),
    "filter rule": ('RSYNC{filter = "x"}', ':1: Unknown filter rule: "x"'),
    "filter file": (
        '\nRSYNC{filterFrom = "/no"}',
        ':2: Cannot open filter file "/no": /no: No such file or directory',
    ),
    "exclude file": (
        '\nRSYNC{excludeFrom = "/no"}',
        ':2: Cannot open exclude file "/no": /no: No such file or directory',
    ),
    "monitor": ('RSYNC{monitor = "x"}', ':1: event monitor "x" unknown.'),
    "setting": ("settings{bogus = 1}", ':1: setting "bogus" unknown.'),
    "ssh": (
        'sync{default.rsyncssh, source = "SRC", host = "h", targetdir = "TRG", maxProcesses = 2}',
        "default.rsyncssh must have maxProcesses set to 1.",
    ),
    "computed": (
        "RSYNC{rsync = {_computed = {}}, checkgauge = {rsync = {_computed = true}}}",
        "please do not use the internal rsync._computed parameter",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_says_what_and_where(world: World, case: str) -> None:
    text, message = ERRORS[case]
    with pytest.raises(ConfigError) as raised:
        world.load(text.replace("RSYNC{", RSYNC))
    assert message in str(raised.value)


@pytest.mark.parametrize(("level", "line"), [("level", 4), ("4", 4), ("level - 3", 1)])
def test_a_users_prepare_points_where_it_says(world: World, level: str, line: int) -> None:
    text = f"""local p = {{prepare = function(config, level) error("no good", {level}) end}}


sync{{p, source = "SRC"}}"""
    with pytest.raises(ConfigError, match=f"lsyncd.conf.lua:{line}: no good"):
        world.load(text)


def test_a_users_prepare_may_use_the_built_in_one(world: World) -> None:
    text = """local p = {prepare = function(config, level) default.rsync.prepare(config, level + 1) end}

sync{default.rsync, p, prepare = p.prepare, source = "SRC", target = "TRG", typo = 1}"""
    with pytest.raises(ConfigError, match=r'lsyncd\.conf\.lua:3: Parameter "typo" unknown'):
        world.load(text)


def test_a_users_gauge_extends_the_check(world: World) -> None:
    loaded = world.load('sync{default.rsync, source = "SRC", target = "TRG", mine = 1, checkgauge = {mine = true}}')
    assert loaded.syncs[0].config.get("mine") == 1


def test_custom_keys_travel_where_the_user_prepares_himself(world: World) -> None:
    loaded = world.load(f'sync{{source = "SRC", syncid = "nexus", {KEEP}}}')
    assert loaded.syncs[0].config.get("syncid") == "nexus"
