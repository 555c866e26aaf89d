"""What a machine does to a daemon: kills it, takes its descriptors, disk, clock, terminal. Nothing is lost."""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, confined, wait_until
from tests.kit.need import program
from tests.kit.processes import descendants, has_ended
from tests.kit.trees import snapshot, text_of


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    return tmp_path


def mirror(box: Path, action: str = "rsync", more: str = "", settings: str = "", delay: float = 0.1) -> str:
    return f"""settings{{insist = true, {settings}}}
    sync{{default.{action}, source = "{box}/src", target = "{box}/trg", delay = {delay}, {more}}}"""


def is_equal(box: Path) -> bool:
    return snapshot(os.fsencode(box / "src")) == snapshot(os.fsencode(box / "trg"))


def wait_equal(box: Path, daemon: Daemon) -> None:
    wait_until(lambda: is_equal(box), f"equal trees; it said:\n{daemon.said()}")


def script(box: Path, name: str, text: str) -> Path:
    path = box / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def children_of(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


# ---- killed

KILLS = int(os.environ.get("FAULTS_KILLS", "5"))


def test_lists_of_paths_do_not_outlive_two_kills(box: Path) -> None:
    """The second daemon is killed when it has put its pid in place of the first one's, and nothing more."""
    (box / "tmp").mkdir()
    temporary = {"TMPDIR": str(box / "tmp")}
    text = mirror(box, "native", 'onBatchStart = "sleep 100; test -r ^pathsFile",', settings=f'pidfile = "{box}/pid"')
    with Daemon(box, lua=text, environment=temporary) as daemon:
        # not the file by which Python finds out whether it may write there
        wait_until(lambda: [*(box / "tmp").glob("lsyncd-paths-*")], "a list of paths")
        os.killpg(daemon.process.pid, signal.SIGKILL)
        daemon.wait()
    (box / "pid").write_text(f"{2**22 + 1}\n")  # there are never so many
    with Daemon(box, lua=mirror(box, "native", settings=f'pidfile = "{box}/pid"'), environment=temporary) as daemon:
        daemon.wait_for("finished")
        wait_until(lambda: os.listdir(box / "tmp") == [], "no lists of paths to be left")


@pytest.mark.parametrize("action", ["rsync", "native", "direct"])
def test_killed_at_any_moment_and_started_again(box: Path, action: str) -> None:
    """With all that it has started, as the kernel does it for a service (systemd) or a container."""
    chance = random.Random(action)
    settings = f"""pidfile = "{box}/run/pid", controlSocket = "{box}/run/socket", logfile = "{box}/log",
        statusFile = "{box}/run/status", statusInterval = 0"""
    (box / "run").mkdir()
    for number in range(300):
        (box / f"src/{number}").write_text("x" * number)
    (box / "tmp").mkdir()
    temporary = {"TMPDIR": str(box / "tmp")}
    text = mirror(box, action, 'onBatchStart = "sleep 0.1; test -r ^pathsFile",', settings=settings, delay=0)
    for _ in range(KILLS):
        with Daemon(box, lua=text, environment=temporary) as daemon:
            end = time.monotonic() + chance.uniform(0.0, 0.7)
            while time.monotonic() < end:
                change(box / "src", chance)
            os.killpg(daemon.process.pid, signal.SIGKILL)
            daemon.wait()
        change(box / "src", chance)
    with Daemon(box, lua=text, environment=temporary) as daemon:
        daemon.wait_for("finished")
        wait_equal(box, daemon)
        (box / "src/last").write_text("")
        wait_equal(box, daemon)
        assert int((box / "run/pid").read_text()) == daemon.process.pid
        wait_until(lambda: text_of(box / "run/status").count("There are 0 delays") == 1, "the status")
        wait_until(lambda: sorted(os.listdir(box / "run")) == ["pid", "socket", "status"], "nothing else to be left")
        wait_until(lambda: os.listdir(box / "tmp") == [], "no lists of paths to be left")
    assert [path.name for path in (box / "run").iterdir()] == ["status"]


def test_transfers_end_with_a_killed_daemon(box: Path) -> None:
    """Else they race those of the next one, which may be the original in its place."""
    slow = script(box, "slow", f'touch {box}/begun; rsync --bwlimit=40 "$@"; touch {box}/ended')
    for name in ("f", "g"):
        (box / f"src/{name}").write_bytes(b"x" * 90_000)
    lua = mirror(box, more=f'rsync = {{binary = "{slow}"}}')
    with Daemon(box, lua=lua) as daemon:
        wait_until(lambda: list((box / "trg").glob(".?.*")), "the transfer")
        running = descendants(daemon.process.pid)
        assert len(running) >= 4, "the script and three rsyncs"
        os.kill(daemon.process.pid, signal.SIGKILL)
        daemon.wait()
        wait_until(lambda: all(map(has_ended, running)), "the end of all of them")
    assert not (box / "ended").exists()
    assert list((box / "trg").glob(".?.*")) == [], "rsync has cleaned up"


def test_what_a_killed_daemon_left_running_puts_nothing_old_in_its_place(box: Path) -> None:
    """The daemon is killed, with what would end its transfers. Its rsync still has an old file to bring then."""
    slow = script(
        box,
        "slow",
        f'test -e {box}/fast && exec rsync "$@"\ntouch {box}/begun; rsync --bwlimit=40 "$@"; touch {box}/ended',
    )
    text = mirror(box, more=f'delete = false, rsync = {{binary = "{slow}"}}', settings=f'pidfile = "{box}/pid"')
    with Daemon(box, lua=text) as killed:
        wait_until((box / "ended").exists, "the startup")
        (box / "begun").unlink()
        (box / "ended").unlink()
        (box / "src/f").write_bytes(b"old" * 30_000)
        wait_until(lambda: list((box / "trg").glob(".f.*")), "the transfer")
        for pid in children_of(killed.process.pid):
            if b"what-ends-with" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.wait()
        (box / "fast").touch()
        (box / "new").write_text("new")
        (box / "new").rename(box / "src/f")
        with Daemon(box, lua=text) as daemon:
            daemon.wait_for(f"of a daemon that was killed (pid {killed.process.pid}) still run; a full run follows")
            wait_until(lambda: text_of(box / "trg/f") == "new", "the new file")
            assert not (box / "ended").exists()
            daemon.wait_for("transfers of the daemon before this one have ended.")
            daemon.wait_for("recursive full rsync")
            wait_equal(box, daemon)


def change(source: Path, chance: random.Random) -> None:
    name = str(chance.randrange(400))
    path = source / name
    if path.is_dir():
        shutil.rmtree(path)
    elif chance.random() < 0.2:
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "in").write_text(name)
    else:
        path.write_text("y" * chance.randrange(100_000))


# ---- out of descriptors, out of memory


def test_a_deletion_that_could_not_be_started_is_not_forgotten(box: Path) -> None:
    """What a step can't do is judged by its errors, and one that found no descriptors is tried again."""
    (box / "src/f").write_text("f")
    with Daemon(box, lua=mirror(box, "direct")) as daemon:
        daemon.wait_for("Startup of")
        old = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, old[1]))
        (box / "src/f").unlink()
        daemon.wait_for("failed: Too many open files")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, old)
        wait_equal(box, daemon)


def processor_time(pid: int) -> float:
    """Seconds that a process has been at work."""
    fields = text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_who_asks_while_there_are_no_descriptors_is_answered_later_and_costs_nothing(box: Path) -> None:
    with Daemon(box, lua=mirror(box, settings=f'controlSocket = "{box}/socket"')) as daemon:
        daemon.wait_for("Startup of")
        pid = daemon.process.pid
        old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, old[1]))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(box / "socket"))
            begun, spent = time.monotonic(), processor_time(pid)
            wait_until(lambda: time.monotonic() - begun > 2, "two seconds")
            assert processor_time(pid) - spent < 0.2
            resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
            client.settimeout(30)
            assert client.recv(1000).startswith(b'{"protocol"')


@pytest.mark.parametrize("action", ["rsync", "native", "direct"])
def test_out_of_descriptors_for_a_while(box: Path, action: str) -> None:
    (box / "src/old").mkdir()
    settings = f'statusFile = "{box}/status", statusInterval = 0, logfile = "{box}/log", controlSocket = "{box}/socket"'
    with Daemon(box, lua=mirror(box, action, settings=settings)) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/f").write_text("f")
        wait_equal(box, daemon)
        pid = daemon.process.pid
        old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, old[1]))
        for number in range(5):
            (box / f"src/d{number}/e").mkdir(parents=True)
            (box / f"src/d{number}/e/f").write_text("new")
        (box / "src/old/f").write_text("changed")
        (box / "src/f").unlink()
        daemon.wait_for("Too many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
        wait_equal(box, daemon)
        (box / "src/d3/e/late").write_text("watched")
        wait_equal(box, daemon)


def test_a_transfer_without_memory_is_tried_again(box: Path) -> None:
    text = f'test -e {box}/free || ulimit -v 4000\nexec rsync "$@"'
    with Daemon(box, lua=mirror(box, more=f'rsync = {{binary = "{script(box, "poor", text)}"}}')) as daemon:
        daemon.wait_for("on startup of")
        (box / "src/f").write_text("f")
        (box / "free").touch()
        wait_equal(box, daemon)


class First(Daemon):
    """Has number 1, as in a container."""

    def command(self) -> list[str]:
        return ["unshare", "-r", "-p", "-f", "--mount-proc", *super().command()]

    def first(self) -> int:
        """Its number as we see it."""
        return children_of(self.process.pid)[0]


def test_the_first_process_of_a_container_buries_what_it_inherits(box: Path) -> None:
    """At once: hundreds of them waited for a minute, and a container may have only so many processes."""
    text = '(sleep 0.01 >/dev/null 2>&1 &)\nexec rsync "$@"'
    lua = mirror(box, more=f'rsync = {{binary = "{script(box, "parent", text)}"}}', delay=0)
    with First(box, lua=lua) as daemon:
        daemon.wait_for("Startup of")
        first = daemon.first()
        (second,) = children_of(first)
        for number in range(4):
            (box / f"src/{number}").write_text("")
            daemon.wait_for("Finished a list", number + 1)
        wait_until(lambda: children_of(first) == [second], "all to be buried")
        # what is for the first is for the daemon
        os.kill(first, signal.SIGHUP)
        daemon.wait_for("--- HUP signal, resetting ---")
        daemon.wait_for("Startup of", 2)
        os.kill(first, signal.SIGTERM)
        assert daemon.wait() == 128 + signal.SIGTERM
        assert daemon.said().count("fading") == 1


@pytest.mark.parametrize(("lua", "status"), [("terminate(9)", 9), ("sync{", 255)])
def test_the_first_process_of_a_container_ends_as_its_daemon_does(box: Path, lua: str, status: int) -> None:
    with First(box, lua=lua) as daemon:
        assert daemon.wait() == status


def test_the_first_process_of_a_container_ends_as_its_killed_daemon_does(box: Path) -> None:
    with First(box, lua=mirror(box)) as daemon:
        daemon.wait_for("Startup of")
        os.kill(children_of(daemon.first())[0], signal.SIGKILL)
        assert daemon.wait() == 128 + signal.SIGKILL


# ---- disks


class WithSmallDisk(Daemon):
    """Sees a file system of 64 kB at `disk`, which others see through /proc."""

    def command(self) -> list[str]:
        (self.box / "disk").mkdir(exist_ok=True)
        shell = f'mount -t tmpfs -o size=64k none {self.box}/disk && exec "$@"'
        return ["unshare", "-r", "-m", "sh", "-c", shell, "sh", *super().command()]

    @property
    def disk(self) -> Path:
        return Path(f"/proc/{self.process.pid}/root{self.box}/disk")


def fill(path: Path) -> None:
    """Until there is no room for another byte."""
    with path.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left on device"):
        list(map(filler.write, itertools.repeat(b"x" * 4096)))


def test_a_log_file_on_a_full_disk(box: Path) -> None:
    logfile = f'logfile = "{box}/disk/log", statusFile = "{box}/disk/status", statusInterval = 0'
    with WithSmallDisk(box, lua=mirror(box, settings=logfile, delay=0)) as daemon:
        daemon.wait_for("Startup of")
        wait_until((daemon.disk / "status").exists, "the status file")
        fill(daemon.disk / "filler")
        for number in range(30):
            (box / f"src/{'long name ' * 10}{number}").write_text(f"{number}")
            wait_equal(box, daemon)
        (daemon.disk / "filler").unlink()
        (box / "src/last").write_text("")
        wait_until(
            lambda: (
                "messages could not be written to this file: No space left on device" in text_of(daemon.disk / "log")
            ),
            "the number",
        )
        wait_equal(box, daemon)
        wait_until(lambda: "There are 0 delays" in text_of(daemon.disk / "status"), "the status file")


@pytest.mark.parametrize("how", ["moved", "removed", "moved with its directory"])
def test_a_log_file_that_is_rotated(box: Path, how: str) -> None:
    (box / "logs").mkdir()
    noisy = script(box, "noisy", 'echo "rsync says something"; exec rsync "$@"')
    text = mirror(box, more=f'rsync = {{binary = "{noisy}"}}', settings=f'logfile = "{box}/logs/log"')
    log = box / "logs/log"
    with Daemon(box, lua=text) as daemon:
        daemon.wait_for("Startup of")
        if how == "moved":
            log.rename(box / "logs/log.1")
        elif how == "removed":
            log.unlink()
        else:
            (box / "logs").rename(box / "logs.old")
            (box / "src/f").write_text("f")
            wait_equal(box, daemon)
            daemon.wait_for("Finished a list")
            (box / "logs").mkdir()
        (box / "src/g").write_text("g")
        wait_until(lambda: "Finished a list" in text_of(log), "the new log file")
        assert ("messages could not be written" in text_of(log)) is (how == "moved with its directory")
        wait_equal(box, daemon)


def test_the_directory_of_the_status_file_goes_and_comes_back(box: Path) -> None:
    (box / "run").mkdir()
    settings = f'statusFile = "{box}/run/status", statusInterval = 0'
    with Daemon(box, lua=mirror(box, settings=settings)).hurry(50) as daemon:
        wait_until((box / "run/status").exists, "the status file")
        shutil.rmtree(box / "run")
        (box / "src/f").write_text("f")
        daemon.wait_for(f'Error: Cannot open status file "{box}/run/status" :No such file or directory')
        wait_equal(box, daemon)
        (box / "run").mkdir()
        wait_until(lambda: "There are 0 delays" in text_of(box / "run/status"), "the status file")
        assert daemon.said().count("Cannot open status file") == 1


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "deleted while it is read"])
def test_a_status_file_that_goes_is_written_again(box: Path, how: str) -> None:
    """As logrotate does to a `status.log`: without a change of the source there was none until the next one."""
    status = box / "status.log"
    settings = f'statusFile = "{status}", statusInterval = 0'
    with Daemon(box, lua=mirror(box, settings=settings)) as daemon:
        daemon.wait_for("finished.")
        for _ in range(2):
            wait_until(lambda: "There are 0 delays" in text_of(status), "the status file")
            with status.open() as reader:
                if how == "moved":
                    status.rename(box / "status.log.1")
                elif how == "replaced":
                    (box / "empty").write_text("")
                    (box / "empty").rename(status)
                elif how == "deleted while it is read":
                    status.unlink()
                    wait_until(status.exists, "another one")
                if how != "deleted while it is read":
                    reader.close()
            if how == "deleted":
                status.unlink()
        wait_until(lambda: "There are 0 delays" in text_of(status), "the status file")


# ---- the clock

CLOCK = """
import time
from orchestrator.clock import MonotonicClock

def wall():
    with open("{box}/offset") as file:
        return time.time() + float(file.read())

MonotonicClock.wall = staticmethod(wall)
"""


def test_the_clock_is_set_back_and_forth(box: Path) -> None:
    (box / "offset").write_text("0")
    settings = f'statusFile = "{box}/status", statusInterval = 0'
    clock = {"clock": CLOCK.format(box=box)}
    with Daemon(
        box, "-log", "Info", lua=mirror(box, more='crontab = "0 0 0 1 1 *"', settings=settings), plugins=clock
    ) as daemon:
        daemon.wait_for("Startup of")
        for number, years in enumerate((10, -10, 30, -20)):
            (box / "offset.new").write_text(f"{years * 365.25 * 86400}")
            (box / "offset.new").rename(box / "offset")
            (box / f"src/{number}").write_text(f"{number}")
            wait_equal(box, daemon)
            daemon.wait_for("Finished a list", number + 1)
            year = time.localtime(time.time() + years * 365.25 * 86400).tm_year
            wait_until(
                lambda year=year: f" {year}\n\n" in text_of(box / "status"), f"the year {year} in the status file"
            )


# ---- no terminal


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("nodaemon", [True, False])
def test_standard_descriptors_closed_at_the_start(box: Path, closed: str, nodaemon: bool) -> None:
    """What it and its children open takes none of their places: nothing is written where it does not belong."""
    looking = script(box, "looking", f'ls -l /proc/$$/fd | grep -o "[0-9]* -> .*" >>{box}/fds; exec rsync "$@"')
    settings = f'logfile = "{box}/log", pidfile = "{box}/pid", statusFile = "{box}/status", statusInterval = 0'
    (box / "config.lua").write_text(mirror(box, more=f'rsync = {{binary = "{looking}"}}', settings=settings))
    command = Daemon(box).command()
    arguments = [*command, *(["-nodaemon"] if nodaemon else []), "config.lua"]
    path = Daemon(box).python_path()
    started = subprocess.Popen(
        confined(box, "sh", "-c", f'exec "$@" {closed}', "sh", *arguments),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: text_of(box / "pid").endswith("\n"), "the pid file")
        wait_until(lambda: "Startup of" in text_of(box / "log"), "the startup")
        (box / "src/f").write_text("f")
        wait_until(lambda: is_equal(box), "equal trees")
        wait_until(lambda: "There are 0 delays" in text_of(box / "status"), "the status file")
        fds = dict(line.split(" -> ") for line in text_of(box / "fds").splitlines())
        assert set(fds) >= {"0", "1", "2"}
        places = {fds[number].partition(":")[0] for number in ("0", "1", "2")}
        assert places <= {"/dev/null", "pipe", *([] if nodaemon else [str(box / "log")])}
        assert text_of(box / "status").startswith("Lsyncd status report")
        assert text_of(box / "pid").strip().isdigit()
    finally:
        pid = int(text_of(box / "pid"))
        os.kill(pid, signal.SIGTERM)
        started.wait()
        wait_until(lambda: not (box / "pid").exists(), "its end")
