"""Keys of lsyncd 2.0: run as they did, told once (spec 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError
from tests.unit.config.test_inheritance import RSYNC

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World


def computed(world: World, text: str, sync: int = 0) -> list[object]:
    return list(world.load(text).syncs[sync].config.get("rsync").get("_computed").list())


@pytest.mark.parametrize("key", ["rsyncOps", "rsyncOpts"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('"-ltus"', ["-ltus"]),
        ('{"-avz", "--bwlimit=5"}', ["-avz", "--bwlimit=5"]),
        ("\"-a --exclude='a b'\"", ["-a", "--exclude=a b"]),
        ("{}", []),
    ],
)
@pytest.mark.parametrize("action", ["rsync", "direct", 'rsyncssh, host = "h", targetdir = "t"'])
def test_options_of_rsync_replace_ours(world: World, action: str, key: str, value: str, words: list[str]) -> None:
    text = f"""sync{{default.{action}, source = "SRC", target = "TRG", {key} = {value}}}"""
    if "rsyncssh" in action:
        text = text.replace('target = "TRG", ', "")
    assert computed(world, text) == words


def test_they_are_told_once(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    computed(world, RSYNC + 'rsyncOps = "-a"}' + RSYNC.replace("sync{", "sync{ name = 'b', ") + 'rsyncOps = "-v"}')
    (warning,) = (line for line in "".join(capfd.readouterr()).splitlines() if "obsolete" in line)
    modern = 'rsync = { links = false, times = false, protect_args = false, _extra = { "-a" } }'
    assert warning.endswith(f"rsyncOps is obsolete since lsyncd 2.1: write {modern}")
    assert computed(world, RSYNC + modern + "}") == ["-a"]


def test_the_users_program_stays(world: World) -> None:
    config = world.load(RSYNC + 'rsync = {binary = "/opt/rsync"}, rsyncOps = "-a"}').syncs[0].config
    assert config.get("rsync").get("binary") == "/opt/rsync"


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ("", None),
        ("init = false,", None),
        ('onBatchStart = "true",', None),
        ("action = function(inlet) end,", "-a"),
        ("collect = function(agent, code) end,", "-a"),
        ("onBatchEnd = function() end,", "-a"),
    ],
)
def test_the_old_key_stays_where_the_users_functions_may_read_it(world: World, keys: str, left: str | None) -> None:
    assert world.load(RSYNC + keys + 'rsyncOps = "-a"}').syncs[0].config.get("rsyncOps") == left


def test_what_the_user_wrote_has_the_modern_name(world: World) -> None:
    loaded = world.load(RSYNC + 'rsyncOps = "-a"}')
    _, own = loaded.own_config(loaded.syncs[0])
    assert own.get("rsyncOps") is None
    rsync = dict(own.get("rsync").items())
    assert rsync.pop("_extra").list() == ["-a"]
    assert rsync == {"links": False, "times": False, "protect_args": False}


def test_a_setting_may_be_misspelt_as_it_was(world: World) -> None:
    assert world.load("settings{statusIntervall = 3}").finish().status_interval == 3
    assert world.load("settings = {statusIntervall = 4}").finish().status_interval == 4


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('rsyncOps = "-a", rsync = {archive = true}', ":1: rsyncOps and rsync = { archive = … } exclude each other"),
        ('rsyncOpts = "-a", rsync = {_extra = {"-v"}}', ":1: rsyncOpts and rsync = { _extra = … } exclude each other"),
        ("rsyncOpts = true", ":1: rsyncOpts must be a string or a list of strings, not a boolean"),
        ("rsyncOps = {1}", ":1: rsyncOps[1] must be a string, not a number"),
        ('rsyncOps = "a \'b"', ":1: rsyncOps cannot be split: No closing quotation"),
        ("collapse = true", ':1: Parameter "collapse" unknown. Since lsyncd 2.1 changes of one path are combined'),
    ],
)
def test_what_cannot_be_is_an_error(world: World, keys: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        world.load(RSYNC + keys + "}")
    assert message in str(raised.value)


def test_without_rsync_the_key_is_unknown(world: World) -> None:
    with pytest.raises(ConfigError, match='Parameter "rsyncOps" unknown'):
        world.load('sync{source = "SRC", onCreate = "true", rsyncOps = "-a"}')
