"""tunnel{…} in a config: what it makes of what was written, and what it refuses at the user's line (spec 4.6)."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError
from orchestrator.logic.tunnel import TunnelOptions

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

README = (Path(__file__).resolve().parents[3] / "configs" / "README.md").read_text()


def test_what_is_not_said_is_as_documented(world: World) -> None:
    world.load('tunnel{ command = "ssh -N host" }')
    (tunnel,) = world.host.tunnels
    assert tunnel.options == TunnelOptions(
        name="Tunnel1",
        command=(b"ssh", b"-N", b"host"),
        mode="command",
        parallel=1,
        retry_delay=10,
        ready_delay=5,
        check_command=(),
        check_exit_codes=frozenset({0}),
        check_max_failed=5,
        localhost=b"localhost",
    )


def test_everything_can_be_said(world: World) -> None:
    world.load("""
        tunnel{
            command = {"ssh", "-p", 22, "-L", "^localhost:^localport:a b"}, mode = "pool", parallel = 3,
            retryDelay = "2", readyDelay = 0.5, localhost = "127.0.0.1", name = "out", distribution = "rr",
            checkCommand = "nc -z '^localhost' ^localport", checkExitCodes = {0, 5}, checkMaxFailed = 2,
        }
    """)
    (tunnel,) = world.host.tunnels
    assert tunnel.options == TunnelOptions(
        name="out",
        command=(b"ssh", b"-p", b"22", b"-L", b"^localhost:^localport:a b"),
        mode="pool",
        parallel=3,
        retry_delay=2,
        ready_delay=0.5,
        check_command=(b"nc", b"-z", b"^localhost", b"^localport"),
        check_exit_codes=frozenset({0, 5}),
        check_max_failed=2,
        localhost=b"127.0.0.1",
    )


@pytest.mark.parametrize(
    ("codes", "good"),
    [("7", {7}), ("{7, 8}", {7, 8}), ('{[0] = "ok", [3] = "ok", [5] = "again", [6] = "die"}', {0, 3})],
)
def test_exit_codes_of_the_check(world: World, codes: str, good: set[int]) -> None:
    world.load(f'tunnel{{ command = "x", checkCommand = "y", checkExitCodes = {codes} }}')
    assert world.host.tunnels[0].options.check_exit_codes == good


def test_the_readme_tells_every_key_with_its_default(world: World) -> None:
    part = README.partition("\n## tunnel\n")[2].partition("\n## ")[0]
    told = {key: cell.strip() for key, cell in re.findall(r"^\| `(\w+)` \|[^|]+\|([^|]*)\|", part, re.M)}
    lua = resources.files("orchestrator.config.lua").joinpath("tunnel.lua").read_text()
    known = re.findall(r"^    (\w+) = ", lua.partition("\nlocal keys = {\n")[2].partition("\n}\n")[0], re.M)
    assert sorted(told) == sorted(known)
    written = {key: cell.strip("`") for key, cell in told.items() if cell not in ("", "needed", "`TunnelN`")}
    world.load(f"""
        tunnel{{ command = "x" }}
        tunnel{{ command = "x", name = "as told", {", ".join(f"{key} = {value}" for key, value in written.items())} }}
    """)
    silent, as_told = (tunnel.options for tunnel in world.host.tunnels)
    assert as_told._replace(name="Tunnel1") == silent


def test_several_get_numbers_for_names(world: World) -> None:
    world.load('tunnel{ command = "x" } tunnel{ command = "y", name = "mine" } tunnel{ command = "z" }')
    assert [tunnel.name for tunnel in world.host.tunnels] == ["Tunnel1", "mine", "Tunnel3"]


def test_syncs_share_the_one_they_name(world: World) -> None:
    config = world.load("""
        local t = tunnel{ command = "x" }
        base = { default.rsync, tunnel = t, target = "TRG" }
        for i = 1, 2 do sync{ base, source = "SRC" } end
        sync{ default.rsync, source = "SRC", target = "TRG" }
        assert(t.name == "Tunnel1" and t.readyDelay == 5)
        assert(type(t) == "table")
    """)
    one, two, three = config.syncs
    for sync in config.syncs:
        sync.start()
    assert one.next_alarm() is two.next_alarm() is None, "they wait for the tunnel"
    assert three.next_alarm() is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tunnel{ comand = "x" }', 'Parameter "tunnel.comand" unknown.'),
        ("tunnel{ }", "command missing from tunnel."),
        ('tunnel("x")', "tunnel{...} takes a table, not a string"),
        ('tunnel{ command = "" }', 'Parameter "tunnel.command" is empty.'),
        ("tunnel{ command = {} }", 'Parameter "tunnel.command" is empty.'),
        ("tunnel{ command = 5 }", 'Parameter "tunnel.command" must be a string or a list of strings, not a number.'),
        ("tunnel{ command = { 'a', {} } }", 'Parameter "tunnel.command": word 2 is a table, not a string.'),
        ('tunnel{ command = "it\'s" }', 'Parameter "tunnel.command" cannot be split: No closing quotation'),
        ('tunnel{ command = "x", mode = "pol" }', 'Parameter "tunnel.mode" must be "command" or "pool", not "pol".'),
        (
            'tunnel{ command = "x", mode = "pool" }',
            'a tunnel in mode "pool" needs ^localport in its command: each of its processes listens on another port.',
        ),
        (
            'tunnel{ command = "x", parallel = 0 }',
            'Parameter "tunnel.parallel" must be a whole number >= 1, not a number.',
        ),
        ('tunnel{ command = "x", parallel = 1.5 }', 'Parameter "tunnel.parallel" must be a whole number >= 1'),
        (
            'tunnel{ command = "x", retryDelay = "no" }',
            'Parameter "tunnel.retryDelay" must be a number >= 0, not "no".',
        ),
        ('tunnel{ command = "x", readyDelay = -1 }', 'Parameter "tunnel.readyDelay" must be a number >= 0'),
        ('tunnel{ command = "x", distribution = "all" }', 'Parameter "tunnel.distribution" must be "rr", not "all".'),
        (
            'tunnel{ command = "x", checkExitCodes = "0" }',
            'Parameter "tunnel.checkExitCodes" must be a list of exit codes',
        ),
        ('tunnel{ command = "x", name = 5 }', 'Parameter "tunnel.name" must be a string, not a number.'),
        ('tunnel{ command = "x" } tunnel{ command = "x", name = "Tunnel1" }', 'two tunnels with the name "Tunnel1"'),
        (
            'sync{ default.rsync, source = "SRC", target = "TRG", tunnel = { command = "x" } }',
            "tunnel takes what tunnel{...} returns, not a table",
        ),
    ],
)
def test_mistakes_are_told_with_the_users_line(world: World, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world.load(f"-- a comment\n\n{text}\n")
    assert f"{world.file.name}:3: " in str(caught.value)
    assert message in str(caught.value)


def test_none_is_made_while_running(world: World) -> None:
    config = world.load(
        'sync{ source = "SRC", onStartup = function() end } function later() tunnel{ command = "x" } end'
    )
    config.lock()
    with pytest.raises(Exception, match=r"Tunnel can only be created during initialization\."):
        config.lua.call(config.lua.globals[b"later"])
