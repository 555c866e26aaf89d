"""`orchestrator top` on a daemon at work: what a user sees on a terminal of 80 columns and 24 lines, and its keys."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.control.client import connect
from orchestrator.control.top.app import Top
from tests.kit.daemon import DEADLINE, ROOT, Daemon
from tests.kit.screens import lines_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

    from orchestrator.control.client import Connection

CALL = "import sys, orchestrator.start; sys.exit(orchestrator.start.orchestrator())"

ATTRIBUTES = (0, 1, 2, 4, 7)
"""Of SGR: none, bold, faint, underlined, reversed."""

GREYS = (30, 37, 40, 47, 90, 97, 100, 107)
"""Of the sixteen colours of an xterm: black, white and what is between, in front and behind."""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("src", "one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path


def daemon(box: Path) -> Daemon:
    syncs = "".join(
        f'sync{{default.rsync, source = "{box}/src", target = "{box}/{name}", name = "{name}"}}\n'
        for name in ("one", "two")
    )
    return Daemon(box, lua=f'settings{{controlSocket = "{box}/socket"}}\n{syncs}')


class Screen:
    """The live view, as a user has it before himself."""

    def __init__(self, app: Top, pilot: Pilot[None]) -> None:
        self.app = app
        self.press = pilot.press
        self._pilot = pilot

    def lines(self) -> list[str]:
        return lines_of(self.app)

    async def shows(self, *patterns: str) -> None:
        """Wait until each of these is in a line."""
        end = time.monotonic() + DEADLINE
        while True:
            lines = self.lines()
            missing = [pattern for pattern in patterns if not any(re.search(pattern, line) for line in lines)]
            if not missing:
                return
            assert time.monotonic() < end, f"{missing} did not come:\n" + "\n".join(lines)
            await self._pilot.pause(0.05)

    async def shows_not(self, pattern: str) -> None:
        end = time.monotonic() + DEADLINE
        while any(re.search(pattern, line) for line in self.lines()):
            assert time.monotonic() < end, f"{pattern} stays:\n" + "\n".join(self.lines())
            await self._pilot.pause(0.05)


@asynccontextmanager
async def top(box: Path, reach: Callable[[], Connection] | None = None) -> AsyncIterator[Screen]:
    app = Top(reach or (lambda: connect(f"{box}/socket")))
    async with app.run_test(size=(80, 24)) as pilot:
        yield Screen(app, pilot)


def run(script: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(script, 2 * DEADLINE))


def test_filter_and_help(box: Path) -> None:
    async def script() -> None:
        async with top(box) as screen:
            await screen.shows(r"^one +in sync", r"^two +in sync")
            await screen.press("slash", "t", "w", "o", "enter")
            await screen.shows_not(r"^one ")
            await screen.shows(r"^two +in sync")
            await screen.press("escape")
            await screen.shows(r"^one +in sync", r"^two +in sync")
            await screen.press("question_mark")
            await screen.shows(r"any key closes this")
            await screen.press("x")
            await screen.shows_not(r"any key closes this")
            await screen.press("q")

    with daemon(box) as running:
        running.wait_for("Startup of", 2)
        run(script())


def test_a_daemon_goes_and_another_one_comes(box: Path) -> None:
    async def script() -> None:
        async with top(box) as screen:
            with daemon(box) as running:
                await screen.shows(r"^one +in sync", rf"^lsyncd {running.process.pid} ")
            await screen.shows(r"^the daemon has gone at \d\d:\d\d:\d\d, waiting for it")
            await screen.press("p")
            await screen.shows(r"^pause: there is no daemon")
            with daemon(box) as running:
                await screen.shows(rf"^lsyncd {running.process.pid} ", r"^a daemon is back, with process id \d+")

    run(script())


def test_who_may_only_look_steers_nothing(box: Path) -> None:
    def reach() -> Connection:
        connection = connect(f"{box}/socket")
        connection.greeting["may"] = "read"  # as the daemon greets members of its controlGroup
        return connection

    async def script() -> None:
        async with top(box, reach) as screen:
            await screen.shows(r"^one +in sync")
            for key, command in (("p", "pause"), ("r", "run"), ("f", "flush"), ("v", "verify")):
                await screen.press(key)
                await screen.shows(rf"^{command}: denied")

    with daemon(box) as running:
        running.wait_for("Startup of", 2)
        run(script())


def test_a_terminal_without_colours(box: Path) -> None:
    with daemon(box) as running:
        running.wait_for("Startup of", 2)
        ours, theirs = pty.openpty()
        path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                CALL,
                "top",
                "--socket",
                f"{box}/socket",
            ],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "NO_COLOR": "1",
                "TERM": "xterm",
                "COLORTERM": "",
                "COLUMNS": "80",
                "LINES": "24",
            },
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        end = time.monotonic() + DEADLINE
        while b"in sync" not in shown and time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 1 << 16)
        os.write(ours, b"q")
        while process.poll() is None and time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 1 << 16)
                except OSError:
                    break
        assert process.wait(DEADLINE) == 0
        os.close(ours)
    assert b"in sync" in shown
    looks = {int(code) for codes in re.findall(rb"\x1b\[([\d;]*)m", shown) for code in codes.split(b";") if code}
    assert looks <= {*ATTRIBUTES, *GREYS}
