"""What befalls a daemon (issue: nothing is lost): killed at any moment, told to reset again and again, told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.processes import has_ended
from tests.kit.trees import snapshot, text_of


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    return tmp_path


def rsync(box: Path, more: str = "", settings: str = "", delay: float = 0.1) -> str:
    return f"""settings{{insist = true, {settings}}}
    sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = {delay}, {more}}}"""


def wait_equal(box: Path, daemon: Daemon) -> None:
    wait_until(
        lambda: snapshot(os.fsencode(box / "src")) == snapshot(os.fsencode(box / "trg")),
        f"equal trees; it said:\n{daemon.said()}",
    )


def script(box: Path, name: str, text: str) -> Path:
    path = box / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


BROKEN = {
    "syntax": "sync{ this is no Lua",
    "unknown key": 'sync{ default.rsync, source = "@/src", target = "@/trg", nosuch = 1 }',
    "no source": 'sync{ default.rsync, source = "@/nosuch", target = "@/trg" }',
    "no sync": "settings{ insist = true }",
    "log file": 'settings{ logfile = "@/nosuch/log" } sync{ default.rsync, source = "@/src", target = "@/trg" }',
    "facility": 'settings{ logfacility = "nosuch" } sync{ default.rsync, source = "@/src", target = "@/trg" }',
    "monitor": 'settings{ monitor = "nosuch" } sync{ default.rsync, source = "@/src", target = "@/trg" }',
    "sync's monitor": 'sync{ default.rsync, source = "@/src", target = "@/trg", monitor = "nosuch" }',
    "mode": 'settings{ inotifyMode = "nosuch" } sync{ default.rsync, source = "@/src", target = "@/trg" }',
    "socket": 'settings{ controlSocket = "@/nosuch/s" } sync{ default.rsync, source = "@/src", target = "@/trg" }',
    "crontab": 'sync{ default.rsync, source = "@/src", target = "@/trg", crontab = "nosuch" }',
    "runtime": 'error("no")',
    "exit": "os.exit(3)",
    "terminate": "terminate(3)",
    "gone": "",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_reset_to_what_does_not_work_changes_nothing(box: Path, what: str) -> None:
    with Daemon(box, lua=rsync(box)) as daemon:
        daemon.wait_for("Startup of")
        if what == "gone":
            (box / "config.lua").unlink()
        else:
            (box / "config.lua").write_text(BROKEN[what].replace("@", str(box)))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("keeping the old configuration.")
        (box / "src/f").write_text("")
        wait_equal(box, daemon)
        (box / "config.lua").write_text(rsync(box, 'name = "good"'))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("Startup of", 2)
        (box / "src/g").write_text("")
        wait_equal(box, daemon)


UNFORESEEN = {
    "no number": "maxDelays = 0/0",
    "no number for the delay": "delay = 0/0",
    "an endless delay": "delay = 1/0",
    "a NUL in a path": 'target = "a\\0b"',
    "a NUL in a file of patterns": 'excludeFrom = "a\\0b"',
    "a function for text": "excludeFrom = print",
    "a NUL in the log file": 'target = "@/trg"} settings{ logfile = "a\\0b"',
    "a path that is too long": 'target = "@/trg"} settings{ controlSocket = "/" .. string.rep("a", 300)',
    "no descriptor": 'target = "@/trg"} observefd(-1, print) ({',
    "no exit code": 'target = "@/trg"} terminate(0/0) ({',
    "the registry": 'target = "@/trg"} debug.getregistry()[2] = nil ({',
    "what is called when it starts": 'target = "@/trg"} setmetatable(_G, {__index = error, __metatable = false}) ({',
}


def test_a_reset_to_what_nobody_foresaw_changes_nothing(box: Path) -> None:
    with Daemon(box, lua=rsync(box)) as daemon:
        daemon.wait_for("Startup of")
        for number, keys in enumerate(UNFORESEEN.values(), 1):
            text = 'sync{ default.rsync, source = "@/src", target = "@/trg", ' + keys
            text = text.removesuffix("({") if text.endswith("({") else text + "}"
            (box / "config.lua").write_text(text.replace("@", str(box)))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for("keeping the old configuration.", number)
        (box / "src/f").write_text("")
        wait_equal(box, daemon)
        assert "Traceback" not in daemon.said()
        assert "this is a bug" not in daemon.said()


@pytest.mark.parametrize("when", ["it is loaded", "it is called"])
def test_a_config_without_an_end_does_not_keep_term_waiting(box: Path, when: str) -> None:
    endless = rsync(box, f'onBatchStart = function() os.remove("{box}/here") while true do pcall(error) end end')
    (box / "here").write_text("")
    with Daemon(box, lua=rsync(box) if when == "it is loaded" else endless) as daemon:
        if when == "it is loaded":
            daemon.wait_for("Startup of")
            (box / "config.lua").write_text(f'os.remove("{box}/here")\nwhile true do end')
            daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not (box / "here").exists(), "the endless loop")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait() == 128 + signal.SIGTERM
        daemon.wait_for("the config is cut short by SIGTERM.")
        daemon.wait_for("--- TERM signal, fading ---")


class OnMount(Daemon):
    """Its source is a file system of its own, with a file in it."""

    def command(self) -> list[str]:
        shell = f'mount -t tmpfs none {self.box}/src && touch {self.box}/src/precious && exec "$@"'
        return ["unshare", "-r", "-m", "sh", "-c", shell, "sh", *super().command()]

    def can(self, *command: str) -> bool:
        """Run something where it sees the mount; whether it went well."""
        enter = ["nsenter", "-t", str(self.process.pid), "-U", "--preserve-credentials", "-m"]
        return not subprocess.run([*enter, *command], check=False).returncode


@pytest.mark.row(22)
def test_a_reset_while_the_source_is_unmounted_empties_no_target(box: Path) -> None:
    with OnMount(box, lua=rsync(box)) as daemon:
        daemon.wait_for("Startup of")
        wait_until(lambda: daemon.can("umount", f"{box}/src"), "the source to be unmounted, which may be looked at")
        daemon.wait_for("Error: source ")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(f"Error: source {box}/src/ is gone: the target would become as empty as what is there now.")
        daemon.wait_for("keeping the old configuration.")
        assert (box / "trg/precious").exists()
        assert daemon.can("mount", "-t", "tmpfs", "none", f"{box}/src")
        daemon.wait_for("of Sync1 is back.")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("Startup of", 2)


# ---- told to reset


def test_a_storm_of_resets_under_load_loses_nothing(box: Path) -> None:
    with Daemon(box, lua=rsync(box, delay=0)) as daemon:
        daemon.wait_for("Startup of")
        for number in range(100):
            (box / f"src/{number}").write_text(f"{number}")
            daemon.process.send_signal(signal.SIGHUP)
            if number % 10 == 0:
                daemon.wait_for("--- HUP signal, resetting ---", 1 + number // 10)
        wait_equal(box, daemon)
        assert "Error" not in daemon.said()


def test_a_reset_while_it_starts_reads_what_has_changed_meanwhile(box: Path) -> None:
    """At any moment from the first on: it neither dies nor goes on with the old config."""
    for number, pause in enumerate((0.0, 0.03, 0.08, 0.15, 0.25)):
        target = box / f"trg{number}"
        with Daemon(box, lua=rsync(box)) as daemon:
            wait_until(lambda pid=daemon.process.pid: is_python(pid), "python to run")
            time.sleep(pause)
            (box / "new.lua").write_text(rsync(box).replace(f"{box}/trg", str(target)))
            (box / "new.lua").rename(box / "config.lua")  # it must not be read half written
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for(f"{target}/ finished.")


def is_python(pid: int) -> bool:
    """Whether it is beyond the wall and its signals are minded."""
    status = text_of(Path(f"/proc/{pid}/status"))
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool((ignored | caught) >> (signal.SIGHUP - 1) & 1)


def test_a_reset_waits_for_the_transfer_that_runs(box: Path) -> None:
    slow = script(box, "slow", f'while test -e {box}/hold; do sleep 0.05; done\nexec rsync "$@"')
    (box / "hold").touch()
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{slow}"}}')) as daemon:
        daemon.wait_for("recursive startup rsync")
        (box / "src/f").write_text("f")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("waiting for 1 more child processes.")
        (box / "src/g").write_text("g")
        assert daemon.said().count("recursive startup rsync") == 1
        (box / "hold").unlink()
        daemon.wait_for("Startup of", 2)
        wait_equal(box, daemon)


# ---- told to end


def test_it_ends_while_a_reset_waits_for_a_transfer(box: Path) -> None:
    slow = script(box, "slow", f'while test -e {box}/hold; do sleep 0.05; done\nexec rsync "$@"')
    (box / "hold").touch()
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{slow}"}}', delay=0)) as daemon:
        daemon.wait_for("recursive startup rsync")
        (box / "src/f").write_text("f")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("waiting for 1 more child processes.")
        daemon.process.terminate()
        daemon.wait_for("--- TERM signal, fading ---")
        daemon.wait_for("waiting for 1 more child processes.", 2)
        (box / "hold").unlink()
        assert daemon.wait() == 128 + signal.SIGTERM
        assert daemon.said().endswith("child processes.\n") or daemon.said().endswith("finished.\n")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_transfer_that_hangs_holds_up_no_end_beyond_its_time(box: Path, signum: signal.Signals) -> None:
    hang = script(box, "hang", f'test -e {box}/well && exec rsync "$@"; touch {box}/well; exec sleep 1000')
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{hang}"}}', "transferTimeout = 1")) as daemon:
        wait_until((box / "well").exists, "the transfer")
        daemon.process.send_signal(signum)
        daemon.wait_for("a transfer of Sync1 runs for more than 1 s; ending it.")
        if signum == signal.SIGTERM:
            assert daemon.wait() == 128 + signal.SIGTERM
        else:
            daemon.wait_for(" finished.")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_any_moment_of_its_start_without_a_traceback(box: Path, signum: signal.Signals) -> None:
    for pause in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        with Daemon(box, lua=rsync(box, settings=f'pidfile = "{box}/pid"')) as daemon:
            wait_until(lambda pid=daemon.process.pid: is_python(pid), "python to run")
            time.sleep(pause)
            daemon.process.send_signal(signum)
            assert daemon.wait() in (128 + signum, -signum)
            assert "Traceback" not in daemon.said()
        assert not (box / "pid").exists()


def test_it_ends_at_once_in_a_pause_between_two_tries(box: Path) -> None:
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{script(box, "down", "exit 12")}"}}', delay=60)) as daemon:
        daemon.wait_for("Retrying startup of")
        daemon.process.terminate()
        assert daemon.wait() == 128 + signal.SIGTERM  # this has less patience than the pause is long


def is_asleep(daemon: Daemon) -> bool:
    stat = text_of(Path(f"/proc/{daemon.process.pid}/stat")).rpartition(")")[2].split()
    pending = text_of(Path(f"/proc/{daemon.process.pid}/status")).partition("ShdPnd:")[2].split()
    return stat[0] == "S" and int(pending[0], 16) == 0


def test_a_second_term_is_obeyed_when_patience_is_over(box: Path) -> None:
    """And not before: unit/test_daemon_turns.py, where time stands still while a test says so."""
    stubborn = script(box, "stubborn", f'trap "" TERM; echo $$ >{box}/child; while :; do sleep 0.05; done')
    text = rsync(box, f'rsync = {{binary = "{stubborn}"}}', f'pidfile = "{box}/pid"')
    with Daemon(box, lua=text).hurry(60) as daemon:
        wait_until(lambda: text_of(box / "child").endswith("\n"), "the transfer")
        daemon.process.terminate()
        daemon.wait_for("waiting for 1 more child processes.")
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() - begun > 1.1, "patience to be over")
        daemon.process.send_signal(signal.SIGHUP)  # wakes it
        wait_until(lambda: is_asleep(daemon), "it to have looked")
        assert daemon.process.poll() is None
        daemon.process.terminate()
        assert daemon.wait() == 128 + signal.SIGTERM
        assert not (box / "pid").exists()
        # and takes its transfer along: it would race those of the next daemon
        wait_until(lambda: has_ended(int(text_of(box / "child"))), "the end of the transfer")
