"""Whatever is in a config file: it loads, or it is one known error; never a traceback of ours, never a hang."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config.lua.loader import LuaConfig
from orchestrator.errors import OrchestratorError
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from tests.unit.config.lua_config import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAMPLE = """\
settings{ insist = true, statusInterval = 1, maxProcesses = 3 }
local base = { default.rsync, delay = 2, exclude = { "*.tmp", "/x/" }, rsync = { archive = true, _extra = { "-x" } } }
sync{ base, source = "SRC", target = "TRG", exitcodes = { [23] = "again" }, crontab = { "0 0 3 * * *" } }
sync{ default.rsyncssh, source = "SRC", host = "h", targetdir = "t", ssh = { port = 22 } }
sync{ source = "SRC", target = "TRG", onCreate = "cp ^sourcePathname ^target", onMove = true,
      init = function(event) end, action = function(inlet) inlet.getEvents() end }
tunnel{ command = "ssh -N h", name = "t" }
alarm(now() + 3, function() end)
"""

TOML = """\
[settings]
insist = true

[[sync]]
action = "rsync"
source = "SRC"
target = "TRG"
delay = 2

[sync.rsync]
archive = true
"""

WORDS = [
    *("sync", "settings", "default", "default.rsync", "default.nosuch", "tunnel", "nil", "true", "3", "-1", "1e308"),
    *("0/0", '"x"', "{}", "{{}}", "function() end", "now()", "print", "io.stdout", "error", "coroutine.wrap(sync)"),
    *("setmetatable({}, {__index = error})", "setmetatable({}, {__pairs = error})", "debug.getregistry()", "os.exit"),
    *("source", "target", "prepare", "action", "checkgauge", "_merge", "(", ")", ",", "=", "", "string.rep('a', 9999)"),
    *("[", "]", "[[", '"', "\\", "\n", "=1979-05-27", "inf", '"""'),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("fuzz"))
    yield world
    world.close()


def mutated(sample: str) -> st.SearchStrategy[str]:
    pieces = re.split(r"(\W+)", sample)
    edit = st.tuples(st.integers(0, len(pieces) - 1), st.sampled_from(WORDS))

    def apply(edits: list[tuple[int, str]]) -> str:
        changed = pieces.copy()
        for place, word in edits:
            changed[place] = word
        return "".join(changed)

    return st.lists(edit, min_size=1, max_size=5).map(apply)


def load(world: World, path: Path) -> None:
    host = Host(world.clock, world.log, world.host.processes, Hooks(None, world.log))
    config = LuaConfig(host, world.loop, world.actions, ["inotify"], {})
    with contextlib.suppress(OrchestratorError):
        config.run_file(str(path))
        config.finish()
        config.lock()
    config.close()


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=mutated(SAMPLE))
def test_any_lua_text_loads_or_is_a_known_error(world: World, text: str) -> None:
    path = world.directory / "fuzz.lua"
    path.write_text(text.replace("SRC", f"{world.directory}/src").replace("TRG", f"{world.directory}/trg"))
    load(world, path)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=mutated(TOML))
def test_any_toml_text_loads_or_is_a_known_error(world: World, text: str) -> None:
    path = world.directory / "fuzz.toml"
    path.write_text(text.replace("SRC", f"{world.directory}/src").replace("TRG", f"{world.directory}/trg"))
    load(world, path)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), ending=st.sampled_from(["lua", "toml"]))
def test_any_bytes_are_a_known_error_or_nothing_to_do(world: World, data: bytes, ending: str) -> None:
    path = world.directory / f"junk.{ending}"
    path.write_bytes(data)
    load(world, path)
