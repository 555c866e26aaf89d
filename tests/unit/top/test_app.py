"""The live view of a daemon that says strange things: no name is markup, no answer ends it."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from orchestrator.control.client import connect
from orchestrator.control.top.app import Top
from tests.kit.controlled import START, Controlled, controlled, sync
from tests.kit.screens import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

DEADLINE = 20


async def shows(pilot: Pilot[None], *patterns: str) -> None:
    """Wait until each of these is in a line."""
    end = time.monotonic() + DEADLINE
    while True:
        lines = lines_of(pilot.app)
        missing = [pattern for pattern in patterns if not any(re.search(pattern, line) for line in lines)]
        if not missing:
            return
        assert time.monotonic() < end, f"{missing} did not come:\n" + "\n".join(lines)
        await pilot.pause(0.05)


def see(
    box: Path,
    script: Callable[[Pilot[None], Controlled], Coroutine[Any, Any, None]],
    *syncs: dict[str, Any],
    may: str = "steer",
) -> Controlled:
    async def run(daemon: Controlled) -> None:
        app = Top(lambda: connect(str(daemon.path)))
        async with app.run_test(size=(80, 24)) as pilot:
            await script(pilot, daemon)

    with controlled(box / "socket", may=may) as daemon:
        daemon.syncs = list(syncs)
        asyncio.run(run(daemon))
    return daemon


def test_names_and_causes_are_texts(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], daemon: Controlled) -> None:
        await shows(
            pilot,
            r"^\[b\]bold\[/b\]\\n\\x1b\[3… retrying$",
            r"^/s/\[red\]\\x1b\[31m → \[link=x\]t$",
            r"^\[/\] \\u202e \(1m ago\)$",
        )

    error = {"time": START + 10, "exit_code": 5, "cause": "[/] \u202e"}
    see(
        tmp_path,
        script,
        sync(
            "[b]bold[/b]\n\x1b[31m-a-long-name",
            state="retrying",
            source="/s/[red]\x1b[31m",
            target="[link=x]t",
            last_error=error,
            last_success=None,
        ),
    )


def test_events_move_the_table(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], daemon: Controlled) -> None:
        await shows(pilot, r"^lsyncd 4711  2 syncs: 2 in sync", r"^web +in sync$", r"^mail +in sync$")
        daemon.event("queue", sync="mail", waiting=7, retrying=0, oldest=START + 40, transfers=1, bytes=4096)
        daemon.event("queue", sync="mail", waiting=7, retrying=0, oldest=START + 40, transfers=1, bytes=504096)
        daemon.event("state", sync="mail", state="syncing", stuck=None)
        await shows(pilot, r"^mail +syncing +7 +\dm +\d+\.\d kB/s +█", r"2 syncs: 1 in sync, 1 syncing; 7 changes wait")
        daemon.event("state", sync="mail", state="syncing", stuck="nothing has moved for 14 min")
        await pilot.press("down")
        await shows(pilot, r"^mail +stuck +7", r"^nothing has moved for 14 min$")
        daemon.syncs.append(sync("new"))
        daemon.event("reloaded", syncs=[])
        await shows(pilot, r"^new +in sync$")

    see(tmp_path, script, sync("web"), sync("mail"))


def test_a_daemon_that_says_nonsense_is_shown_as_it_was(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], daemon: Controlled) -> None:
        await shows(pilot, r"^web +in sync$")
        for event in ({"waiting": "many", "oldest": []}, {"time": float("nan"), "bytes": 1 << 40}, {"event": []}):
            daemon.event(**{"event": "queue", "sync": "web", **event})
        await shows(pilot, r"^the daemon's answer is not understood$", r"^web +in sync$")
        daemon.event("no such event", sync=7)
        daemon.event("state", sync="web", state="syncing", stuck=None)
        await shows(pilot, r"^web +syncing$")

    see(tmp_path, script, sync("web"))


def test_an_error_of_a_command_is_shown(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], daemon: Controlled) -> None:
        await shows(pilot, r"^web +paused$")
        await pilot.press("p")
        await shows(pilot, r"^web: goes on$")
        daemon.refusal = {"code": "failed", "message": "the disk\nis [b]full[/b]"}
        await pilot.press("p")
        await shows(pilot, r"^resume: the disk\\nis \[b\]full\[/b\]$")

    daemon = see(tmp_path, script, sync("web", state="paused"))
    assert daemon.asked == [{"command": "resume", "syncs": ["web"]}] * 2


def test_filter_and_help(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], daemon: Controlled) -> None:
        await shows(pilot, r"^web +in sync$", r"^mail +in sync$", r"Filter")
        await pilot.press("slash", *"mai", "enter")
        await shows(pilot, r"^mai$", r"^sync .*", r"^mail +in sync$")
        assert not [line for line in lines_of(pilot.app) if line.startswith("web")]
        await pilot.press("down", "p")
        await shows(pilot, r"^mail: paused$")
        await pilot.press("escape")
        await shows(pilot, r"^web +in sync$", r"^mail +in sync$")
        await pilot.press("question_mark")
        await shows(pilot, r"any key closes this")
        await pilot.press("q")
        await shows(pilot, r"^web +in sync$", r"^host::www|→ host::www$")
        await pilot.press("q")

    daemon = see(tmp_path, script, sync("web"), sync("mail"))
    assert daemon.asked == [{"command": "pause", "syncs": ["mail"]}]


def test_who_may_only_look_steers_nothing(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], daemon: Controlled) -> None:
        await shows(pilot, r"^web +in sync$")
        for key, command in (("p", "pause"), ("r", "run"), ("f", "flush"), ("v", "verify")):
            await pilot.press(key)
            await shows(pilot, rf"^{command}: denied: ")

    assert see(tmp_path, script, sync("web"), may="read").asked == []
