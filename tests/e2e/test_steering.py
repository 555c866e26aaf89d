"""A daemon that is told what to do while it runs: by `orchestrator pause`, `resume`, `run`, `flush`, `retry`, `log` and
`reload`."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600


class Command:
    """The command `orchestrator`, for the daemon of a box. `out`, `err`: of the last call."""

    def __init__(self, box: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._box = box
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        status = main([*arguments, "--socket", str(self._box / "socket")])
        self.out, self.err = self._capsys.readouterr()
        return status


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / "src" / name).mkdir(parents=True)
        (tmp_path / "trg" / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def orchestrator(box: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(box, capsys)


def config(box: Path, more: str = "", delay: float = 0) -> str:
    """A sync with a name, and one without."""
    first, second = (f'source = "{box}/src/{name}", target = "{box}/trg/{name}"' for name in ("one", "two"))
    return f"""settings{{controlSocket = "{box}/socket", stateDir = "{box}/states", {more}}}
    sync{{default.native, name = "one", {first}, delay = {delay}}}
    sync{{default.rsync, {second}, delay = {delay}}}"""


def write(box: Path, *names: str) -> None:
    for name in names:
        (box / "src" / name).write_text(name)


def arrives(box: Path, name: str) -> None:
    wait_until((box / "trg" / name).exists, f"{name} to arrive")


def test_a_pause_ends_when_somebody_ends_it(box: Path, orchestrator: Command) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("finished", 2)
        assert orchestrator("pause", "o*") == 0
        assert orchestrator.out == "paused: one\n"
        daemon.wait_for("one is paused by the control socket.")
        write(box, "one/a", "two/a")
        arrives(box, "two/a")
        assert orchestrator("pause") == 0
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("one is paused, as before.")
        daemon.wait_for("Sync2 is paused, as before.")
        write(box, "two/b")
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("one is paused, as before.")
        daemon.wait_for("Sync2 is paused, as before.")
        wait_until((box / "socket").exists, "the socket of the other daemon")
        assert orchestrator("flush", "--wait") == 1
        assert orchestrator.out == (
            "one: not done, 1 change waits (paused)\nSync2: not done, 1 change waits (paused)\n"
        )
        assert orchestrator("resume") == 0
        assert orchestrator.out == "no longer paused: one, Sync2\n"
        arrives(box, "one/a")
        arrives(box, "two/b")
        assert orchestrator("resume", "nobody") == 2
        assert orchestrator.err == 'Error: no sync is called "nobody"; there are: one, Sync2\n'


def test_a_paused_sync_is_not_done_with_onepass(box: Path, orchestrator: Command) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("finished", 2)
        assert orchestrator("pause", "one") == 0
    write(box, "one/a", "two/a")
    with Daemon(box, lua=config(box, "onepass = true")) as daemon:
        assert daemon.wait() == 255
    assert (box / "trg/two/a").exists()
    assert not (box / "trg/one/a").exists()


def test_what_waits_goes_now(box: Path, orchestrator: Command) -> None:
    with Daemon(box, lua=config(box, delay=HOUR)) as daemon:
        daemon.wait_for("finished", 2)
        write(box, "one/a", "two/a")
        assert orchestrator("flush", "--wait", "30") == 0
        assert (box / "trg/one/a").exists(), "when it is answered, what was written before has arrived"
        assert (box / "trg/two/a").exists()
        assert orchestrator.out == "one: done\nSync2: done\n"
        (box / "trg/one/a").unlink()
        (box / "trg/two/a").unlink()
        write(box, "two/b")
        assert orchestrator("run", "Sync2", "--json") == 0
        assert json.loads(orchestrator.out) == {"syncs": ["Sync2"]}
        daemon.wait_for("full run of Sync2, asked for by the control socket.")
        arrives(box, "two/a")
        arrives(box, "two/b")
        assert not (box / "trg/one/a").exists()


def test_what_failed_is_tried_now(box: Path, orchestrator: Command) -> None:
    (box / "rsync").write_text(f'#!/bin/sh\n[ -e {box}/up ] || exit 12\nexec rsync "$@"\n')
    (box / "rsync").chmod(0o755)
    lua = f"""settings{{controlSocket = "{box}/socket", insist = true}}
    sync{{default.rsync, source = "{box}/src/one", target = "{box}/trg/one", delay = {HOUR},
          rsync = {{binary = "{box}/rsync"}}}}"""
    write(box, "one/a")
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Retrying startup")
        (box / "up").write_text("")
        assert orchestrator("retry") == 0
        assert orchestrator.out == "tried again now: Sync1\n"
        arrives(box, "one/a")


def test_the_log_and_the_config_change_meanwhile(box: Path, orchestrator: Command) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("finished", 2)
        assert orchestrator("log", "Delay", "Exec") == 0
        assert orchestrator.out == "shown: Delay, Error, Exec, Normal, Warn\n"
        write(box, "two/a")
        daemon.wait_for("Exec: ")
        assert "Delay: New Create: /a" in daemon.said()
        assert orchestrator("log", "--off", "Delay", "Exec") == 0
        assert orchestrator.out == "shown: Error, Normal, Warn\n"
        assert orchestrator("log", "Exex") == 2
        assert orchestrator.err.startswith('Error: there is no category "Exex"; there are: all, scarce, Alarm')

        assert orchestrator("pause", "one") == 0
        file = box / "config.lua"
        file.write_text(file.read_text().replace("default.rsync,", "default.rsync, maxDelays = 7,"))
        assert orchestrator("reload") == 0
        first, *more = orchestrator.out.splitlines()
        assert first == "Normal: --- asked by the control socket, reloading ---"
        assert "Normal: reload: 1 sync goes on; changed: Sync2." in more
        assert orchestrator("flush", "one", "--wait") == 0
        file.write_text("sync{")
        assert orchestrator("reload") == 1
        assert "config.lua:1: " in orchestrator.err
        assert orchestrator.out == ""
        write(box, "two/b")
        arrives(box, "two/b")
        assert orchestrator("resume", "one") == 0
        write(box, "one/b")
        arrives(box, "one/b")
