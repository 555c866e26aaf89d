"""`staleAfter`, the setting and the key: a number of seconds, or false for never, in both config languages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

LUA = 'settings{{staleAfter = {0}}}\nsync{{default.rsync, source = "SRC", target = "TRG", staleAfter = {0}}}'
TOML = """[settings]
staleAfter = {0}
[[sync]]
action = "rsync"
source = "SRC"
target = "TRG"
staleAfter = {0}
"""

GOOD: dict[str, tuple[float | bool, float]] = {"90": (90.0, 90.0), "0": (0.0, 0.0), "false": (False, 0.0)}


@pytest.mark.parametrize("value", GOOD)
@pytest.mark.parametrize("language", ["lua", "toml"])
def test_a_good_one(world: World, language: str, value: str) -> None:
    config = world.load(LUA.format(value)) if language == "lua" else world.load_toml(TOML.format(value))
    setting, key = config.finish().stale_after, config.syncs[0].options.stale_after
    assert (setting, key) == GOOD[value]


@pytest.mark.parametrize("value", ["nil", "true"])
def test_the_default(world: World, value: str) -> None:
    config = world.load(LUA.format(value))
    assert (config.finish().stale_after, config.syncs[0].options.stale_after) == (None, None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("settings{staleAfter = -1}", ':1: setting "staleAfter" must be a number and >= 0, not -1'),
        ('settings{staleAfter = "soon"}', ':1: setting "staleAfter" must be a number and >= 0, not "soon"'),
        (
            'sync{default.rsync, source = "SRC", target = "TRG", staleAfter = -1}',
            ":1: staleAfter must be a number and >= 0, not -1",
        ),
        (
            'sync{default.rsync, source = "SRC", target = "TRG", staleAfter = {}}',
            ":1: staleAfter must be a number and >= 0, not a table",
        ),
    ],
)
def test_a_bad_one(world: World, text: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(wanted)):
        world.load(text)
