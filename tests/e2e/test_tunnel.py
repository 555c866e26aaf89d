"""Tunnels at work: real rsync daemons and sshd behind socat, processes that die, the end of the daemon (spec 4.6)."""

from __future__ import annotations

import itertools
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.ports import free_port
from tests.kit.rsyncd import RsyncDaemon
from tests.kit.sshd import Sshd
from tests.kit.trees import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Box:
    """Source, target, and an rsync daemon that serves the target as module `m`."""

    def __init__(self, path: Path, rsyncd: RsyncDaemon) -> None:
        self.path = path
        self.source = path / "source"
        self.target = path / "target"
        self.port = rsyncd.port

    def socat(self, **options: str) -> str:
        """A tunnel{…} to the rsync daemon."""
        listen = "TCP-LISTEN:^localport,fork,reuseaddr,bind=127.0.0.1"
        return tunnel(f'{{"socat", "{listen}", "TCP:127.0.0.1:{self.port}"}}', **{**LISTENS, **options})

    def sync(self, tunnel: str, more: str = "", settings: str = "") -> str:
        return f"""
            settings{{ statusFile = "{self.path}/status", statusInterval = 0, {settings} }}
            sync{{
                default.rsync, source = "{self.source}", target = "rsync://^localhost:^localport/m/", delay = 0,
                tunnel = {tunnel}, {more}
            }}
        """

    def daemon(self, lua: str, *options: str) -> Daemon:
        return Daemon(self.path, "-log", "Tunnel", "-log", "Exec", *options, lua=lua)


LISTENS = {
    "readyDelay": "0.2",
    "checkCommand": '{"socat", "-u", "OPEN:/dev/null", "TCP:127.0.0.1:^localport"}',
    "checkMaxFailed": "1000",
}
"""It counts as up when one can connect to it, however long its program takes to begin."""


def tunnel(command: str, **options: str) -> str:
    return f"tunnel{{ command = {command}, {', '.join(f'{key} = {value}' for key, value in options.items())} }}"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    program("socat")
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    with RsyncDaemon(tmp_path, tmp_path / "target") as rsyncd:
        yield Box(tmp_path, rsyncd)


def arrives(path: Path, text: str) -> None:
    wait_until(lambda: path.is_file() and path.read_text() == text, f"{path} to hold {text!r}")


def tunnel_pids(daemon: Daemon) -> list[int]:
    """Of all tunnel processes that were ever started."""
    return [int(pid) for pid in re.findall(r"process (\d+) started", daemon.said())]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(map(is_running, pids))


def ports_used(daemon: Daemon) -> list[str]:
    """The ports of the rsyncs, in the order in which they were started."""
    return re.findall(r"\[rsync://localhost:(\d+)/m/\]", daemon.said())


def test_transfers_wait_until_it_is_up(box: Box) -> None:
    (box.source / "before").write_text("there before")
    check = f"{{'test', '-e', '{box.path}/ready'}}"
    with box.daemon(box.sync(box.socat(readyDelay="0.2", checkCommand=check, checkMaxFailed="1000"))) as daemon:
        daemon.wait_for("Tunnel1 is CONNECTING")
        (box.source / "meanwhile").write_text("made while it connects")
        wait_until(lambda: "Create /meanwhile" in text_of(box.path / "status"), "the event to be queued")
        assert "recursive startup" not in daemon.said()
        (box.path / "ready").touch()
        arrives(box.target / "before", "there before")
        arrives(box.target / "meanwhile", "made while it connects")
        said = daemon.said()
        assert said.index("Tunnel1 is UP") < said.index("recursive startup rsync")


def test_one_that_dies_is_started_again_and_transfers_go_on(box: Box) -> None:
    with box.daemon(box.sync(box.socat(readyDelay="1.1"), settings="insist = true")) as daemon:
        daemon.wait_for("Startup of")
        (first,) = tunnel_pids(daemon)
        os.kill(first, signal.SIGKILL)
        daemon.wait_for(f"Tunnel1: process {first} ended with exit code 137, starting it again now.")
        (box.source / "after").write_text("sent through the second one")
        arrives(box.target / "after", "sent through the second one")
        assert len(tunnel_pids(daemon)) == 2


def test_one_that_cannot_be_made_is_tried_again_while_changes_wait(box: Box) -> None:
    flag = box.path / "flag"
    (box.source / "before").write_text("waited")
    script = (
        f'test -e "{flag}" || exit 3; exec socat TCP-LISTEN:$1,fork,reuseaddr,bind=127.0.0.1 TCP:127.0.0.1:{box.port}'
    )
    command = f"{{'sh', '-c', '{script}', 'sh', '^localport'}}"
    with box.daemon(box.sync(tunnel(command, readyDelay="0.5", retryDelay="0.2"))) as daemon:
        daemon.wait_for("ended with exit code 3, starting it again in 0.2 seconds.", times=3)
        assert daemon.said().count("Warn: Tunnel1") == 1
        assert "recursive startup" not in daemon.said()
        flag.touch()
        arrives(box.target / "before", "waited")


def test_a_pool_of_two_is_used_in_turn(box: Box) -> None:
    # no more than one transfer at a time, over all: the two tunnels are none
    lua = box.sync(box.socat(mode='"pool"', parallel="2", name='"pool"'), settings="maxProcesses = 1")
    with box.daemon(lua) as daemon:
        daemon.wait_for("is UP", times=3)
        for number in range(4):
            (box.source / f"f{number}").write_text(f"{number}")
            arrives(box.target / f"f{number}", f"{number}")
            daemon.wait_for("Finished a list", times=number + 1)
        ports = ports_used(daemon)
        assert len(set(ports)) == 2
        assert all(one != two for one, two in itertools.pairwise(ports))
        status = (box.path / "status").read_text()
        assert "Tunnel: name=pool status=UP\nRunning processes: 2\n" in status
        assert all(f"  pid={pid} type=tunnel started=" in status for pid in tunnel_pids(daemon))


def test_with_one_of_a_pool_gone_the_other_carries_on(box: Box) -> None:
    lua = box.sync(box.socat(mode='"pool"', parallel="2", readyDelay="1"))
    with box.daemon(lua) as daemon:
        daemon.wait_for("is UP", times=3)
        daemon.wait_for("Startup of")
        first, _ = tunnel_pids(daemon)
        os.kill(first, signal.SIGKILL)
        daemon.wait_for(f"process {first} ended")
        (box.source / "after").write_text("by the other one")
        arrives(box.target / "after", "by the other one")


def test_a_check_decides(box: Box) -> None:
    check = '{"rsync", "rsync://^localhost:^localport/m/"}'
    with box.daemon(box.sync(box.socat(readyDelay="0", checkCommand=check))) as daemon:
        daemon.wait_for("Startup of")
        said = daemon.said()
        assert said.index("the check ended with exit code 0") < said.index("recursive startup rsync")


def test_rsyncssh_goes_through_with_its_moves(tmp_path: Path) -> None:
    program("socat")
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a").write_text("it")
    with Sshd(tmp_path) as sshd:
        socat = f'"socat TCP-LISTEN:^localport,fork,reuseaddr,bind=127.0.0.1 TCP:127.0.0.1:{sshd.port}"'
        lua = f"""
            local through = {tunnel(socat, **LISTENS, localhost='"127.0.0.1"')}
            sync{{
                default.rsyncssh, source = "{source}", host = "{sshd.user}@^localhost",
                targetdir = "{target}", delay = 1, tunnel = through,
                ssh = {{
                    port = "^localport", identityFile = "{sshd.key}",
                    options = {{ StrictHostKeyChecking = "no", UserKnownHostsFile = "/dev/null", LogLevel = "ERROR" }},
                }},
            }}
        """
        with Daemon(tmp_path, "-log", "Tunnel", "-log", "Exec", lua=lua) as daemon:
            arrives(target / "a", "it")
            daemon.wait_for("finished: 0")
            (source / "a").rename(source / "b")
            daemon.wait_for("Moving a -> b")
            arrives(target / "b", "it")
            assert "^local" not in "".join(re.findall(r"Exec: .*", daemon.said()))


def test_a_users_own_shell_command_goes_through_and_names_are_left_alone(box: Box) -> None:
    lua = f"""
        sync{{
            source = "{box.source}", delay = 0,
            tunnel = {box.socat(localhost='"127.0.0.1"')},
            onCreate = 'rsync ^sourcePathname rsync://^localhost:^localport/m/',
        }}
    """
    with box.daemon(lua) as daemon:
        daemon.wait_for("Tunnel1 is UP")
        (box.source / "^localport").write_text("a name")
        arrives(box.target / "^localport", "a name")


def slow_rsync(box: Box) -> Path:
    """An rsync that waits for a file `go` before it starts."""
    slow = box.path / "slow"
    slow.write_text(
        f'#!/bin/sh\n: >"{box.path}/begun"\nwhile ! test -e "{box.path}/go"; do sleep 0.05; done\nexec rsync "$@"\n'
    )
    slow.chmod(0o755)
    return slow


def test_fading_leaves_it_to_the_last_transfer_and_then_kills_it(box: Box) -> None:
    (box.source / "f").write_text("sent while fading")
    lua = box.sync(box.socat(), more=f'rsync = {{ binary = "{slow_rsync(box)}" }}')
    with box.daemon(lua) as daemon:
        wait_until((box.path / "begun").exists, "the transfer to begin")
        daemon.process.terminate()
        daemon.wait_for("waiting for 1 more child processes.")
        assert all(map(is_running, tunnel_pids(daemon)))
        (box.path / "go").touch()
        assert daemon.wait() == 128 + signal.SIGTERM
        assert (box.target / "f").read_text() == "sent while fading"
        wait_until(all_gone(tunnel_pids(daemon)), "the tunnel to end")


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ('onCreate = function(event) error("oh no") end', 255),
        ("onCreate = function(event) terminate(7) end", 7),
        ('onCreate = "exit 1", onStartup = "true", exitcodes = { [0] = "ok", [1] = "die" }', 255),
    ],
)
def test_however_the_daemon_ends_the_tunnel_ends_with_it(box: Box, ending: str, status: int) -> None:
    lua = f'sync{{ source = "{box.source}", delay = 0, tunnel = {box.socat()}, {ending} }}'
    with box.daemon(lua) as daemon:
        daemon.wait_for("Tunnel1 is UP")
        (box.source / "f").touch()
        assert daemon.wait() == status
        assert all_gone(tunnel_pids(daemon))()


def test_a_stubborn_one_is_killed(box: Box) -> None:
    stubborn = '{"sh", "-c", "trap : TERM; echo deaf; while :; do sleep 0.1; done"}'
    lua = f'sync{{ source = "{box.source}", delay = 0, tunnel = {tunnel(stubborn)}, onCreate = "true" }}'
    with box.daemon(lua) as daemon:
        daemon.wait_for("deaf")
        daemon.process.terminate()
        assert daemon.wait() == 128 + signal.SIGTERM
        wait_until(all_gone(tunnel_pids(daemon)), "the tunnel to end")


def test_while_it_is_waited_for_nothing_else_is_done(box: Box) -> None:
    stubborn = '{"sh", "-c", "trap : TERM; while :; do sleep 0.1; done"}'
    lua = f"""
        sync{{
            source = "{box.source}", delay = 0, tunnel = {tunnel(stubborn, readyDelay="0.5")},
            onCreate = function(event)
                spawnShell(event, "sleep 0.5; : >'{box.path}/done'")
                alarm(now(), function() terminate(7) end)
            end,
            collect = function(agent, exitcode) log("Normal", "collected") return "die" end,
        }}
    """
    with box.daemon(lua) as daemon:
        daemon.wait_for("Tunnel1 is UP")
        (box.source / "f").touch()
        assert daemon.wait() == 7
        wait_until((box.path / "done").exists, "what it had started to end")
        assert "collected" not in daemon.said()
        wait_until(all_gone(tunnel_pids(daemon)), "the tunnel to end")


def test_a_reset_makes_it_anew(box: Box) -> None:
    """On a port of the user's own, which must be free again by then."""
    port = free_port()
    check = LISTENS["checkCommand"].replace("^localport", str(port))
    command = f'"socat TCP-LISTEN:{port},fork,reuseaddr,bind=127.0.0.1 TCP:127.0.0.1:{box.port}"'
    lua = f"""
        sync{{
            default.rsync, source = "{box.source}", target = "rsync://127.0.0.1:{port}/m/", delay = 0,
            tunnel = {tunnel(command, **{**LISTENS, "checkCommand": check})},
        }}
    """
    with box.daemon(lua) as daemon:
        daemon.wait_for("Startup of")
        (first,) = tunnel_pids(daemon)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("Startup of", times=2)
        assert not is_running(first)
        assert len(tunnel_pids(daemon)) == 2
        (box.source / "f").write_text("after the reset")
        arrives(box.target / "f", "after the reset")
