"""`orchestrator events`, `health` and `status --watch`, with somebody who says what a daemon would say."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.control import main
from tests.kit.controlled import NOW, Controlled, controlled, sync
from tests.kit.daemon import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Controlled]:
    with controlled(tmp_path / "socket") as daemon:
        daemon.syncs = [sync("web1")]
        yield daemon


def meanwhile(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_events_are_lines_until_the_daemon_ends(daemon: Controlled, capsys: pytest.CaptureFixture[str]) -> None:
    def act() -> None:
        daemon.wait_for_follower()
        daemon.event("state", sync="a\x1b[2J\n12:00:00 b", state="retrying")
        daemon.event("change", sync="web1", etype="Modify", path="/x")
        daemon.hang_up()

    thread = meanwhile(act)
    assert main(["events", "--socket", str(daemon.path), "web*"]) == 3
    thread.join()
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first.endswith(" a\\x1b[2J\\n12:00:00 b is retrying")
    assert second.endswith(" web1 Modify /x")
    assert captured.err == "Error: the daemon has ended\n"
    assert daemon.requests[-1]["syncs"] == ["web*"]
    assert "change" in daemon.requests[-1]["topics"]


def test_events_as_json_and_of_some_topics(daemon: Controlled, capsys: pytest.CaptureFixture[str]) -> None:
    def act() -> None:
        daemon.wait_for_follower()
        daemon.event("log", category="Warn", text="\x1b")
        daemon.hang_up()

    thread = meanwhile(act)
    assert main(["events", "--json", "--socket", str(daemon.path), "--topics", "log,ended"]) == 3
    thread.join()
    out = capsys.readouterr().out
    assert json.loads(out) == {"event": "log", "time": NOW, "category": "Warn", "text": "\x1b"}
    assert "\x1b" not in out
    assert daemon.requests[-1]["topics"] == ["log", "ended"]
    assert "syncs" not in daemon.requests[-1]


def test_the_next_daemon_is_waited_for(daemon: Controlled) -> None:
    with Terminal("events", "--reconnect", "--socket", str(daemon.path)) as terminal:
        daemon.wait_for_follower()
        daemon.event("lost", count=1)
        terminal.wait_for(" 1 event left out")
        daemon.hang_up()
        daemon.wait_for_follower()
        daemon.event("lost", count=2)
        terminal.wait_for(" 2 events left out")
        assert terminal.interrupted() == (0, "")


@pytest.mark.parametrize("arguments", [["--topics", "stats"], ["--topics", ""]])
def test_a_topic_that_there_is_not(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["events", *arguments])
    assert ended.value.code == 2
    assert "there is no topic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "options", "code"),
    [
        ({}, [], 0),
        ({"oldest": NOW - 700}, ["--warning-age", "10m"], 1),
        ({"oldest": NOW - 700}, ["--max-age", "10m", "--warning-age", "5m"], 2),
        ({"oldest": NOW - 700}, ["--max-age", "0.5h", "--warning-age", "700s"], 0),
        ({"waiting": 11}, ["--warning-delays", "10"], 1),
        ({"waiting": 11}, ["--max-delays", "10"], 2),
        ({"state": "stopped"}, [], 2),
    ],
)
def test_health(
    daemon: Controlled, capsys: pytest.CaptureFixture[str], changed: Any, options: list[str], code: int
) -> None:
    daemon.syncs = [sync("web1", **changed)]
    assert main(["health", *options, "--socket", str(daemon.path), "web1"]) == code
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"LSYNCD {('OK', 'WARNING', 'CRITICAL')[code]} - ")
    assert daemon.requests[-1]["syncs"] == ["web1"]
    assert main(["health", "--json", *options, "--socket", str(daemon.path)]) == code
    assert json.loads(capsys.readouterr().out)["code"] == code


def test_health_without_a_daemon_is_critical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--socket", str(tmp_path / "none"), "--timeout", "999999999d"]) == 2
    assert capsys.readouterr().out.startswith(f"LSYNCD CRITICAL - no daemon answers at {tmp_path}/none: ")
    (tmp_path / "file").touch()
    assert main(["health", "--socket", str(tmp_path / "file")]) == 3
    assert capsys.readouterr().out.startswith("LSYNCD UNKNOWN - ")


@pytest.mark.parametrize("arguments", [["--max-age", "soon"], ["--max-delays", "-1"], ["--none"], ["--pid", "x"]])
def test_a_wrong_call_of_health_is_unknown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["health", *arguments])
    assert ended.value.code == 3
    assert "error: " in capsys.readouterr().err


COMMAND = "from orchestrator.start import orchestrator; raise SystemExit(orchestrator())"


class Terminal:
    """One of 80 columns, and a command that it shows."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.shown = ""
        path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "TERM": "xterm", "NO_COLOR": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, env={**os.environ, **path, **environment},
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self._fd)

    def wait_for(self, text: str) -> None:
        """Raises OSError where the command ends before that."""
        while text not in self.shown:
            self.shown += os.read(self._fd, 65536).decode()

    def ended(self) -> tuple[int, str]:
        """How it ends: its exit status, and what it says on stderr."""
        _, said = self.process.communicate()
        return self.process.returncode, said

    def interrupted(self) -> tuple[int, str]:
        """How it ends when somebody presses Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()


@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_table_is_drawn_again_when_something_changes(daemon: Controlled, no_color: str) -> None:
    with Terminal("status", "--watch", "--socket", str(daemon.path), NO_COLOR=no_color) as terminal:
        terminal.wait_for("1 in sync")
        daemon.syncs = [sync("web1", state="retrying", waiting=7)]
        daemon.wait_for_follower()
        daemon.event("state", sync="web1", state="retrying")
        terminal.wait_for("7 changes wait")
        assert "1 retrying" in terminal.shown
        assert ("\x1b[33m" in terminal.shown) == (not no_color)
        assert terminal.interrupted() == (1, "Attention: web1 is retrying.\n")


def test_a_watched_daemon_that_ends(daemon: Controlled) -> None:
    with Terminal("status", "--watch", "--socket", str(daemon.path)) as terminal:
        terminal.wait_for("1 in sync")
        daemon.hang_up()
        status, said = terminal.ended()
        assert status == 3
        assert said.startswith("Error: the daemon ")
        assert len(said.splitlines()) == 1


def test_watching_needs_a_terminal(daemon: Controlled, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--watch", "--socket", str(daemon.path)]) == 2
    assert "--watch needs a terminal" in capsys.readouterr().err
