"""What is loaded by a start, and what happens before anything of ours is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LOOK = """
import sys
before = set(sys.modules)
import orchestrator.start
print(*sorted(set(sys.modules) - before - {"orchestrator", "orchestrator.start"}))
import signal
print(signal.getsignal(signal.SIGINT).name)
"""


@pytest.mark.parametrize(("shell", "handler"), [("", "SIG_DFL"), ("trap '' INT; ", "SIG_IGN")])
def test_ctrl_c_needs_no_traceback_from_the_first_moment_on(shell: str, handler: str) -> None:
    """Nothing is loaded before that; and who ignores it (nohup, a shell's background job) goes on to do so."""
    command = ["sh", "-c", f'{shell}exec "$@"', "sh", sys.executable, "-I", "-c"]
    look = f"import sys; sys.path[:0] = {sys.path!r}\n{LOOK}"
    done = subprocess.run([*command, look], capture_output=True, text=True, check=True)
    loaded, found = done.stdout.splitlines()
    assert found == handler
    assert set(loaded.split()) <= {"__future__", "_signal"}


LOADED = """
import sys
before = set(sys.modules)
from orchestrator.commandline import CommandLine
from orchestrator.daemon import Daemon
Daemon(CommandLine(config=sys.argv[1], settings={"nodaemon": True, "onepass": True})).run()
print(*sorted(set(sys.modules) - before))
"""

SINK = """
import asyncio, orchestrator.log
from loguru import logger
async def sink(message):
    print(end=message)
async def log():
    logger.remove()
    logger.add(sink, format="{message}")
    logger.info("one")
    await logger.complete()
asyncio.run(log())
# what other versions of loguru ask for
from loguru import _asyncio_loop
assert _asyncio_loop.asyncio.iscoroutinefunction is asyncio.iscoroutinefunction
"""

OLDER = """
import sys
sys.path.insert(0, sys.argv[1])
from orchestrator.log.engine import classes
import asyncio
assert classes.is_one is False and classes.asyncio.sleep is asyncio.sleep
async def get():
    return classes.get_running_loop() is asyncio.get_running_loop()
print(asyncio.run(get()))
"""


def python(script: str, *arguments: str) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def loaded_for(box: Path, action: str) -> set[str]:
    """The modules that a daemon with one sync has loaded when its startup is over."""
    (box / "source").mkdir()
    (box / "target").mkdir()
    (box / "config.lua").write_text(
        f'sync{{default.{action}, source = "{box}/source", target = "{box}/target", rsync = {{binary = "/bin/true"}}}}'
    )
    return set(python(LOADED, str(box / "config.lua")).splitlines()[-1].split())


def test_a_start_loads_what_its_config_needs(tmp_path: Path) -> None:
    loaded = loaded_for(tmp_path, "rsync")
    assert {"orchestrator.sync.sync", "orchestrator_rsync.batches", "loguru"} <= loaded
    ours = {name for name in loaded if name.startswith("orchestrator")}
    others = loaded - ours
    assert not others & {
        "asyncio",
        "ssl",
        "hashlib",
        "concurrent.futures",
        "importlib.metadata",
        "email",
        "tomli",
        "croniter",
    }
    assert len(others) <= 160, sorted(others)
    engines = {"orchestrator_direct.steps", "orchestrator_native.engine", "orchestrator_fanotify.monitor"}
    assert not ours & (engines | {"orchestrator_poll.monitor", "orchestrator.control", "orchestrator.testing"})


def test_an_action_loads_all_that_its_transfers_need(tmp_path: Path) -> None:
    """Later there may be no descriptor left to read it with."""
    assert "orchestrator_direct.steps" in loaded_for(tmp_path, "direct")


def test_sinks_of_plugins_that_are_coroutines_work(tmp_path: Path) -> None:
    assert python(SINK) == "one\n"
    assert python(SINK.replace("import asyncio, orchestrator.log", "import orchestrator.log, asyncio")) == "one\n"


def test_versions_of_loguru_that_need_more_of_asyncio_get_it(tmp_path: Path) -> None:
    (tmp_path / "loguru").mkdir()
    (tmp_path / "loguru/__init__.py").touch()
    (tmp_path / "loguru/_logger.py").write_text(
        "import asyncio\nget_running_loop = asyncio.get_running_loop\nis_one = asyncio.iscoroutinefunction(print)\n"
    )
    assert python(OLDER, str(tmp_path)) == "True\n"
