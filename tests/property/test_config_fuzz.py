"""Whatever is in a config file: it loads, or it is one known error; never a traceback of ours, never a hang.

The seeds are many and always the same, so that what is found once is found again; a few more are drawn anew each time,
and a failure prints the seed and the text.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config.lua.loader import Installed, LuaConfig
from orchestrator.errors import OrchestratorError
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from tests.unit.config.lua_config import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYNCS = """\
settings{ insist = true, statusInterval = 1, maxProcesses = 3 }
local base = { default.rsync, delay = 2, exclude = { "*.tmp", "/x/" }, rsync = { archive = true, _extra = { "-x" } } }
sync{ base, source = "SRC", target = "TRG", exitcodes = { [23] = "again" }, crontab = { "0 0 3 * * *" } }
sync{ default.rsyncssh, source = "SRC", host = "h", targetdir = "t", ssh = { port = 22 } }
sync{ source = "SRC", target = "TRG", onCreate = "cp ^sourcePathname ^target", onMove = true,
      init = function(event) end, action = function(inlet) inlet.getEvents() end }
tunnel{ command = "ssh -N h", name = "t" }
alarm(now() + 3, function() end)
"""

FUNCTIONS = """\
settings = { statusInterval = 3, "insist", logfile = "TRG/log" }
log("Normal", 1, nil, {}) log("Mine", "x")
local q = Queue.new() q:push(1) q:inject(2) q:remove(1) q:replace(0, 2) print(q:size(), q[1], q.first)
readdir("SRC") lsyncd.realdir("SRC") lsyncd.get_file_size("SRC") lsyncd.splitQuotedString("a b")
lsyncd.jiffies_from_seconds(3) lsyncd.get_process_info() lsyncd.configure("x", 1) lsyncd.kill(2^30, 0)
observefd(2^31, print) nonobservefd(2^31) substitudeCommands({"^a x"}, { a = "1" })
local inlet = sync{ default.rsync, source = "SRC", target = "TRG", name = "n", init = false, maxDelays = 3,
                    batchSizeLimit = 5, excludeFrom = "SRC/x" }
inlet.addExclude("x") inlet.rmExclude("y") inlet.appendFilter("+ x") inlet.getExcludes() inlet.hasFilters()
local e = inlet.createBlanketEvent() inlet.createFullEvent("x") inlet.getSync() inlet.getSubstitutionData(e, {})
inlet.getEvents(function(event) return event.path == "x" end).getPaths(function(a, b) return b end)
inlet.discardEvent(e) default.collect(e, 0) default.rsync.collect(e, 1)
local t = tunnel{ command = "ssh -N h", mode = "command", parallel = 1, retryDelay = 10, checkExitCodes = {0} }
sync{ default.direct, source = "SRC", target = "TRG", exitcodes = { [0] = "ok" }, filter = { "+ x" }, tunnel = t }
sync{ default.command, source = "SRC", command = "cp ^path", rsyncOps = "-a" }
"""

TOML = """\
[settings]
insist = true

[[tunnel]]
name = "t"
command = "ssh -N h"

[[sync]]
action = "rsync"
source = "SRC"
target = "TRG"
delay = 2
maxDelays = 3
exitcodes = { 23 = "again" }
tunnel = "t"

[sync.rsync]
archive = true

[[sync]]
source = "SRC"
onCreate = "cp ^path"
"""

WORDS = [
    *("sync", "settings", "default", "default.rsync", "default.nosuch", "tunnel", "nil", "true", "3", "-1", "1e308"),
    *("0/0", '"x"', "{}", "{{}}", "function() end", "now()", "print", "io.stdout", "error", "coroutine.wrap(sync)"),
    *("setmetatable({}, {__index = error})", "setmetatable({}, {__pairs = error})", "debug.getregistry()", "os.exit"),
    *("source", "target", "prepare", "action", "checkgauge", "_merge", "(", ")", ",", "=", "", "string.rep('a', 9999)"),
    *("[", "]", "[[", '"', "\\", "\n", "1/0", "-1/0", "2^63", "'\\0'", "'a\\0b'", "{[1.5] = 3}", "_G", "rsync.x"),
    *(
        "debug.getregistry()[2] = nil",
        "coroutine.create(print)",
        "getmetatable('')",
        "'\\255'",
        "function(x) return x end",
    ),
]
TOML_WORDS = [
    *(
        "=1979-05-27",
        "inf",
        "nan",
        '"""',
        "[",
        "]",
        "[[",
        "{",
        "}",
        "[1]",
        "{a=1}",
        "{}",
        "['native']",
        "true",
        "-1",
        "",
    ),
    *('"a\\u0000b"', "99999999999999999999", "1e308", "x", "=", "sync", "source", "rsync", "\n", "0.5", "{ 0 = 'ok' }"),
]

FIXED = 640
"""Seeds of each language that are always the same."""
CHUNKS = 8
NEW = 16
"""Seeds of each language that are drawn; in CI the same every time, as all that is red there is to be what changed."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("fuzz"))
    (world.directory / "src/x").write_text("a\n")
    yield world
    world.close()


def mutated(seed: int, language: str) -> str:
    rng = random.Random(f"{language} {seed}")
    sample = TOML if language == "toml" else rng.choice([SYNCS, FUNCTIONS])
    pieces = re.split(r"(\W+)", sample)
    for _ in range(rng.randint(1, 4)):
        pieces[rng.randrange(len(pieces))] = rng.choice(TOML_WORDS if language == "toml" else WORDS)
    return "".join(pieces)


def load(world: World, path: Path) -> None:
    host = Host(world.clock, world.log, world.host.processes, Hooks(None, world.log))
    config = LuaConfig(host, world.loop, Installed(world.actions, ["inotify"]), {})
    with contextlib.suppress(OrchestratorError):
        config.run_file(str(path))
        config.finish()
        config.lock()
    config.close()


def try_seed(world: World, seed: int, language: str) -> None:
    text = mutated(seed, language)
    path = world.directory / f"fuzz.{language}"
    path.write_text(text.replace("SRC", f"{world.directory}/src").replace("TRG", f"{world.directory}/trg"))
    try:
        load(world, path)
    except Exception as error:
        pytest.fail(f"seed {seed} of {language}: {type(error).__name__}: {error}\n{text}")


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("language", ["lua", "toml"])
def test_any_text_loads_or_is_a_known_error(world: World, language: str, chunk: int) -> None:
    for seed in range(chunk, FIXED, CHUNKS):
        try_seed(world, seed, language)


@pytest.mark.parametrize("language", ["lua", "toml"])
def test_a_text_that_was_never_tried_is_no_different(world: World, language: str) -> None:
    chance = random.Random("in CI" if os.environ.get("CI") else None)
    for _ in range(NEW):
        try_seed(world, chance.randrange(FIXED, 1 << 32), language)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), ending=st.sampled_from(["lua", "toml"]))
def test_any_bytes_are_a_known_error_or_nothing_to_do(world: World, data: bytes, ending: str) -> None:
    path = world.directory / f"junk.{ending}"
    path.write_bytes(data)
    load(world, path)
