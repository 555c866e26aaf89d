"""The settings that plugins have for themselves: the same in both languages, wrong ones with their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError, Option, OwnSettings
from orchestrator.config.settings import settings_by_name
from orchestrator.logic.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.config.lua.loader import LuaConfig
    from tests.unit.config.lua_config import World

OPTIONS = {
    "url": Option((str,), None, "where to"),
    "token": Option((str, list, dict), None, "password", secret=True),
    "after": Option((float,), 600, "seconds"),
    "tries": Option((int,), 3, "times"),
    "labels": Option((dict,), None, "words"),
    "hosts": Option((list, str), None, "names"),
    "file": Option((str,), None, "a file", path="file"),
    "tls": {
        "verify": Option((bool,), True, "whether"),
        "key": Option((str,), None, "of TLS", secret=True),
        "ca": Option((str,), None, "a file", path="file"),
    },
}


def refuse(values: Mapping[str, Any]) -> None:
    """Sees all keys, and refuses one URL."""
    assert set(values) == set(OPTIONS)
    if values["url"] == "gopher://":
        raise ConfigError('needs a "url" of http')


@pytest.fixture
def alerts(world: World) -> World:
    world.plugins = {"alerts": OwnSettings(OPTIONS, refuse), "mqtt": OwnSettings({"broker": Option((str,))}, len)}
    world.problems = {"broken": 'plugin "broken" (b): cannot be loaded: no luck'}
    return world


def load(world: World, language: str, lua: str, toml: str) -> LuaConfig:
    return world.load(f"\nsettings {{ plugins = {{ {lua} }} }}\n") if language == "lua" else world.load_toml(toml)


LUA = """alerts = { url = "http://x", tries = 5, hosts = { "a", "b" }, labels = { dc = "one", nr = 2 },
    tls = { verify = false } }"""
TOML = """
[settings.plugins.alerts]
url = "http://x"
tries = 5
hosts = ["a", "b"]
labels = { dc = "one", nr = 2 }
tls.verify = false
"""


@pytest.mark.parametrize("language", ["lua", "toml"])
def test_a_plugin_gets_plain_values_and_its_defaults(alerts: World, language: str) -> None:
    settings = settings_by_name(load(alerts, language, LUA, TOML).finish())
    own = settings["plugins"]["alerts"]
    assert own == {
        "url": "http://x", "token": None, "after": 600, "tries": 5, "labels": {"dc": "one", "nr": 2},
        "hosts": ["a", "b"], "file": None, "tls": {"verify": False, "key": None, "ca": None},
    }  # fmt: skip
    assert type(own["tries"]) is int
    assert settings["plugins"]["mqtt"] == {"broker": None}  # nothing is set for that one


def test_whole_numbers_are_whole_under_a_lua_that_has_none(alerts: World) -> None:
    settings = alerts.load("settings { plugins = { alerts = { tries = 5 } } }", version="5.1").finish()
    assert type(settings.plugins["alerts"]["tries"]) is int
    settings = alerts.load("settings { plugins = { alerts = { tries = 10 / 2 } } }").finish()
    assert type(settings.plugins["alerts"]["tries"]) is int


ERRORS = {
    "unknown key": ('alerts = { urll = "x" }', 'urll = "x"', 'urll: unknown key; did you mean "url"?'),
    "nested key": (
        "alerts = { tls = { verfy = 1 } }",
        "tls.verfy = 1",
        'tls.verfy: unknown key; did you mean "verify"',
    ),
    "wrong type": ('alerts = { after = "x" }', 'after = "x"', "after: must be a number, not a string"),
    "no table": ("alerts = { tls = 1 }", "tls = 1", "tls: must be a table, not a whole number"),
    "refused": ('alerts = { url = "gopher://" }', 'url = "gopher://"', 'alerts: needs a "url" of http'),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("language", ["lua", "toml"])
def test_an_error_names_its_place_and_key(alerts: World, language: str, case: str) -> None:
    lua, toml, told = ERRORS[case]
    with pytest.raises(ConfigError) as error:
        load(alerts, language, lua, f"\n[settings.plugins.alerts]\n{toml}\n")
    line = 2 if language == "lua" or case == "refused" else 3
    assert f".{language}:{line}: settings.plugins.alerts" in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("lua", "toml", "told"),
    [
        (
            "allerts = {}",
            "[settings.plugins.allerts]",
            'there is no plugin "allerts" that has settings; there are: alerts',
        ),
        ("broken = {}", "[settings.plugins.broken]", 'plugin "broken" (b): cannot be loaded: no luck'),
        (
            "alerts = 5",
            "[settings.plugins]\nalerts = 5",
            "settings.plugins.alerts: must be a table, not a whole number",
        ),
    ],
)
@pytest.mark.parametrize("language", ["lua", "toml"])
def test_a_plugin_without_settings_is_named(alerts: World, language: str, lua: str, toml: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(alerts, language, lua, toml)
    assert told in str(error.value)


@pytest.mark.parametrize("language", ["lua", "toml"])
def test_plugins_is_a_table(alerts: World, language: str) -> None:
    load_it = alerts.load if language == "lua" else alerts.load_toml
    with pytest.raises(ConfigError, match="must be a table, not"):
        load_it('settings { plugins = "x" }' if language == "lua" else '[settings]\nplugins = "x"\n')


def test_a_list_of_plugins_is_none(alerts: World) -> None:
    with pytest.raises(ConfigError, match=r"settings\.plugins: must be a table of plugins by their names"):
        alerts.load('settings { plugins = { "alerts" } }')
    with pytest.raises(ConfigError, match=r"settings\.plugins\.alerts: has a value without a key, number 1"):
        alerts.load('settings { plugins = { alerts = { "url" } } }')


@pytest.mark.parametrize("again", ["settings { %s }", "settings.%s", "settings = { %s }"])
def test_each_plugin_may_be_set_in_a_place_of_its_own(alerts: World, again: str) -> None:
    first = 'settings { plugins = { alerts = { url = "a" } } }\n'
    settings = alerts.load(first + again % 'plugins = { mqtt = { broker = "b" } }').finish()
    assert settings.plugins["mqtt"] == {"broker": "b"}
    assert settings.plugins["alerts"]["url"] == "a"


def test_a_plugin_is_set_once_in_toml(alerts: World) -> None:
    (alerts.directory / "more.toml").write_text('[settings.plugins.mqtt]\nbroker = "b"\n')
    head = 'include = ["more.toml"]\n'
    settings = alerts.load_toml(head + '[settings.plugins.alerts]\nurl = "a"\n').finish()
    assert (settings.plugins["alerts"]["url"], settings.plugins["mqtt"]) == ("a", {"broker": "b"})
    with pytest.raises(ConfigError, match=r"more.toml:1: settings.plugins.mqtt: is set already, at .*lsyncd.toml:2"):
        alerts.load_toml(head + '[settings.plugins.mqtt]\nbroker = "c"\n')


@pytest.mark.parametrize("language", ["lua", "toml"])
def test_secret_values_are_masked_everywhere(alerts: World, language: str) -> None:
    lua = f'alerts = {{ token = {{ "one {language}" }}, tls = {{ key = "two {language}" }} }}'
    load(alerts, language, lua, f'[settings.plugins.alerts]\ntoken = ["one {language}"]\ntls.key = "two {language}"\n')
    assert mask(f"I say one {language}, two {language}") == "I say ***, ***"


def test_secret_values_are_masked_within_tables(alerts: World) -> None:
    alerts.load('settings { plugins = { alerts = { token = { dc = { "three" }, web = "seven" } } } }')
    assert mask("three seven") == "*** ***"
    alerts.load('settings { plugins = { alerts = { token = "single" } } }')
    assert mask("single") == "***"


def test_a_table_that_contains_itself_is_an_error(alerts: World) -> None:
    with pytest.raises(ConfigError, match=r"alerts.* is nested too deeply, or contains itself"):
        alerts.load("local t = {} t.t = t settings { plugins = { alerts = { labels = t } } }").finish()


def test_relative_paths_count_from_where_the_daemon_was_started(alerts: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(alerts.directory)
    text = 'settings { plugins = { alerts = { file = "d/f", tls = { ca = "d/c" } } } %s }'
    own = alerts.load(text % "").finish().plugins["alerts"]
    assert (own["file"], own["tls"]["ca"]) == (f"{alerts.directory}/d/f", f"{alerts.directory}/d/c")
    own = alerts.load(text % ", nodaemon = true").finish().plugins["alerts"]
    assert (own["file"], own["tls"]["ca"]) == ("d/f", "d/c")
