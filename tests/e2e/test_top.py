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
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from orchestrator.control.client import connect
from orchestrator.control.top.app import Top
from tests.kit.daemon import DEADLINE, ROOT, Daemon
from tests.kit.screens import lines_of, recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from textual.pilot import Pilot


HOSTILE = "[red]b\x1b[31m\n\u202ex"
SHOWN = "[red]b\\x1b[31m\\n\\u202ex"

CALL = "import sys, orchestrator.start; sys.exit(orchestrator.start.orchestrator())"

PICTURE = ROOT / "contrib/top.svg"

ATTRIBUTES = (0, 1, 2, 4, 7)
"""Of SGR: none, bold, faint, underlined, reversed."""

GREYS = (30, 37, 40, 47, 90, 97, 100, 107)
"""Of the sixteen colours of an xterm: black, white and what is between, in front and behind."""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("src", "mirror", "archive"):
        (tmp_path / name).mkdir()
    lines = (
        "#!/bin/sh",
        "while [ -e ${0%/*}/hold ]; do sleep 0.05; done",
        "[ ! -e ${0%/*}/fail ] || exit 5",
        'exec rsync "$@"',
    )
    (tmp_path / "rsync").write_text("\n".join(lines))
    (tmp_path / "rsync").chmod(0o755)
    return tmp_path


def config(box: Path) -> str:
    syncs = "".join(
        f"""sync{{default.rsync, source = "{box}/src", target = "{box}/{name}", name = "{name}", delay = {delay},
        rsync = {{binary = "{box}/rsync"}}}}\n"""
        for name, delay in (("mirror", 0), ("archive", 3600))
    )
    return f'settings{{controlSocket = "{box}/socket"}}\n{syncs}'


def daemon(box: Path) -> Daemon:
    return Daemon(box, lua=config(box))


PLACE = Path("/srv")


class Placed(Daemon):
    """Sees its box at a place where a user might have it: the recording shows it, and every test has another box."""

    def __init__(self, box: Path) -> None:
        (box / "lsyncd.conf").write_text(config(PLACE))
        super().__init__(box, PLACE / "lsyncd.conf")

    def command(self) -> list[str]:
        user = [] if os.geteuid() == 0 else ["-r"]
        shell = f'mount --bind {self.box} {PLACE} && exec "$@"'
        return ["unshare", *user, "-m", "sh", "-c", shell, "sh", *super().command()]


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


@asynccontextmanager
async def top(box: Path) -> AsyncIterator[Screen]:
    app = Top(lambda: connect(f"{box}/socket"))
    async with app.run_test(size=(80, 24)) as pilot:
        yield Screen(app, pilot)


def run(script: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(script, 2 * DEADLINE))


def test_what_happens_is_seen_and_steered(box: Path) -> None:
    frames: list[str] = []

    async def script() -> None:
        async with top(box) as screen:
            await screen.shows(r"^lsyncd \d+ +2 syncs: 2 in sync", r"^mirror +in sync", r"^archive +in sync")
            (box / "hold").touch()
            (box / "src/index.html").write_text("x" * 20000)
            (box / "src" / HOSTILE).write_text("hostile")
            await screen.shows(r"^mirror +syncing +\d", r"^archive +syncing +2", r"^running", r"changes +process \d+")
            frames.append(screen.app.export_screenshot())
            await screen.press("down")
            await screen.shows(r"^waiting: 2", r"wait +Create +/index.html", re.escape(SHOWN))
            frames.append(screen.app.export_screenshot())
            await screen.press("p")
            await screen.shows(r"^archive +paused", r"^archive: paused")
            frames.append(screen.app.export_screenshot())
            await screen.press("p")
            await screen.shows(r"^archive +syncing", r"^archive: goes on")
            (box / "hold").unlink()
            await screen.press("f")
            await screen.shows(r"^archive: all that waits goes now", r"2 syncs: 2 in sync", r"\d +ok +changes")
            frames.append(screen.app.export_screenshot())
            await screen.press("v")
            await screen.shows(r"^archive: target equals source")
            (box / "fail").touch()
            await screen.press("up", "r")
            await screen.shows(r"^mirror: a full run is queued", r"^mirror +retrying", r"again +full")
            frames.append(screen.app.export_screenshot())
            (box / "fail").unlink()

    with Placed(box) as running:
        running.wait_for("Startup of", 2)
        run(script())
    picture = recording(frames, 3)
    ElementTree.fromstring(picture)
    # shown by whoever shows the README: nothing is fetched from elsewhere
    assert set(re.findall(r"https?://[^\s\"<)]*", picture)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }
    if os.environ.get("RECORD"):
        PICTURE.write_text(picture)


def test_a_daemon_goes_and_another_one_comes(box: Path) -> None:
    async def script() -> None:
        async with top(box) as screen:
            with daemon(box) as running:
                await screen.shows(r"^mirror +in sync", rf"^lsyncd {running.process.pid} ")
            await screen.shows(r"^the daemon has gone at \d\d:\d\d:\d\d, waiting for it")
            await screen.press("p")
            await screen.shows(r"^pause: there is no daemon")
            with daemon(box) as running:
                await screen.shows(rf"^lsyncd {running.process.pid} ", r"^a daemon is back, with process id \d+")

    run(script())


@pytest.mark.parametrize(
    "end_it",
    [lambda process, terminal: os.write(terminal, b"q"), lambda process, terminal: process.terminate()],
    ids=["q", "TERM"],
)
def test_a_terminal_without_colours(box: Path, end_it: Callable[[subprocess.Popen[bytes], int], object]) -> None:
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
        end_it(process, ours)
        while time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                try:
                    shown += os.read(ours, 1 << 16)
                except OSError:  # nobody has the terminal any more
                    break
        assert process.wait(DEADLINE) == 0
        os.close(ours)
    assert b"in sync" in shown
    assert shown.count(b"\x1b[?1049h") == shown.count(b"\x1b[?1049l") == 1  # the other screen, and back
    looks = {int(code) for codes in re.findall(rb"\x1b\[([\d;]*)m", shown) for code in codes.split(b";") if code}
    assert looks <= {*ATTRIBUTES, *GREYS}
