"""Source and target of a running daemon's syncs are compared, and made equal: `orchestrator verify`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.control import main
from tests.kit.csync2 import Cluster, csync2_binary
from tests.kit.daemon import ROOT, Daemon, wait_until
from tests.kit.need import program
from tests.kit.rsyncd import RsyncDaemon
from tests.kit.sshd import Sshd
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

NAME = b"nl\n\x1b[31m\xff\\#134"
SHOWN = "nl\\n\\x1b[31m\\xff\\#134"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("src", "trg", "native"):
        (tmp_path / name).mkdir()
    for name in (b"f", b"g", b"-dash", NAME):
        (tmp_path / "src" / os.fsdecode(name)).write_bytes(b"1")
    return tmp_path


def settings(box: Path) -> str:
    return f'settings{{ controlSocket = "{box}/socket" }}\n'


def sync(box: Path, more: str = "", target: str = "trg", action: str = "rsync") -> str:
    archive = "rsync = { archive = true }," if action != "native" else ""
    return (
        f'sync{{ default.{action}, name = "{action}", source = "{box}/src", target = "{box}/{target}", '
        f"delay = 0, {archive} {more} }}\n"
    )


def verify(box: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """The exit status, and the lines."""
    status = main(["verify", "--socket", str(box / "socket"), *arguments])
    return status, capsys.readouterr().out.splitlines()


def found(box: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """The results by sync."""
    main(["verify", "--json", "--socket", str(box / "socket"), *arguments])
    return {result["name"]: result for result in json.loads(capsys.readouterr().out)["syncs"]}


def plant(target: Path) -> None:
    """A difference of most kinds, with the times of the directory as they were."""
    status = os.stat(target)
    (target / "extra").write_text("")
    (target / os.fsdecode(NAME)).unlink()
    time = os.stat(target / "f").st_mtime_ns
    (target / "f").write_text("2")  # the same size and time
    os.utime(target / "f", ns=(time, time))
    (target / "g").chmod(0o600)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


PLANTED = [f"missing /{SHOWN}", "extra /extra", "content /f", "attributes /g"]


def change(source: Path) -> None:
    """One of each kind; as many files as before."""
    (source / "d").mkdir()
    (source / "f").rename(source / "d" / "moved")
    (source / "d").rename(source / "e")
    (source / "e" / "moved").rename(source / "f")
    (source / "g").chmod(0o644)
    (source / "f").write_text("3")
    (source / "e").rmdir()


def is_equal(box: Path, target: str) -> bool:
    return snapshot(os.fsencode(box / "src")) == snapshot(os.fsencode(box / target))


def test_differences_are_found_and_repaired(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("rsync")
    lua = settings(box) + sync(box) + sync(box, "", "native", "native")
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", times=2)
        assert verify(box, capsys) == (
            0, ["rsync: no difference of 4 compared", "native: no difference of 4 compared"],
        )  # fmt: skip
        change(box / "src")
        assert verify(box, capsys)[0] == 0, "each change is transferred before it counts"
        before = {target: snapshot(os.fsencode(box / target)) for target in ("trg", "native")}
        for target in before:
            plant(box / target)
        for name, target in (("rsync", "trg"), ("Sync2", "native")):
            status, lines = verify(box, capsys, name)
            shown = "native" if name == "Sync2" else name
            assert status == 1
            assert lines[-1] == f"{shown}: 4 differences of 4 compared"
            assert sorted(lines[:-1]) == sorted(f"{shown}: {one}" for one in PLANTED)
            assert not is_equal(box, target)
        quick = found(box, capsys, "--quick")
        assert [quick[name]["differences"] for name in ("rsync", "native")] == [3, 3]
        assert "Warn: verified rsync: 4 differences of 4 compared: " in daemon.said()

        assert verify(box, capsys, "--repair")[1][-1] == "native: 4 differences of 4 compared; they are queued"
        wait_until(lambda: is_equal(box, "trg") and is_equal(box, "native"), "the repair")
        wait_until(lambda: verify(box, capsys)[0] == 0, "no difference to be left")
        assert {target: snapshot(os.fsencode(box / target)) for target in before} == before


def test_what_a_writer_does_meanwhile_is_no_difference(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("rsync")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (box / "src" / "f").write_text("x" * (number % 50))
            (box / "src" / f"n{number % 20}").write_text(f"{number}")
            (box / "src" / f"n{(number + 7) % 20}").unlink(missing_ok=True)
            stop.wait(0.005)

    with Daemon(box, lua=settings(box) + sync(box)) as daemon:
        daemon.wait_for("Startup of")
        (box / "trg" / "extra").write_text("")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            result = found(box, capsys)["rsync"]
        finally:
            stop.set()
            writer.join()
        assert [one for one in result["listed"] if one["path"] != "/"] == [{"path": "/extra", "kind": "extra"}]
        (box / "trg" / "extra").unlink()
        (box / "src" / "f").touch()  # brings the time of the directory along
        wait_until(lambda: verify(box, capsys)[0] == 0, "the target to be equal")


def test_a_target_that_cannot_be_reached(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (box / "rsync").write_text(
        f'#!/bin/sh\ntest -e {box}/up && exec {program("rsync")} "$@"\necho no route to host >&2; exit 255\n'
    )
    (box / "rsync").chmod(0o755)
    more = f'rsync = {{ archive = true, binary = "{box}/rsync" }}'
    lua = f'settings{{ insist = true, controlSocket = "{box}/socket" }}\n{sync(box, more)}'
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Retrying startup")
        assert verify(box, capsys) == (1, ["rsync: could not be verified: its startup is not done"])
        (box / "up").touch()
        wait_until(lambda: verify(box, capsys)[0] == 0, "the startup")
        (box / "up").unlink()
        status, lines = verify(box, capsys)
        assert (status, len(lines)) == (1, 1)
        assert lines[0] == "rsync: could not be verified: rsync failed (exit code 255): no route to host"


@pytest.mark.parametrize("end", ["client", "daemon"])
def test_a_verification_that_is_ended_leaves_nothing(box: Path, end: str) -> None:
    hang = f'case "$*" in *--dry-run*) touch {box}/begun; exec sleep 1000;; esac'
    (box / "hang").write_text(f'#!/bin/sh\n{hang}\nexec {program("rsync")} "$@"\n')
    (box / "hang").chmod(0o755)
    more = f'rsync = {{ archive = true, binary = "{box}/hang" }}'
    call = "import orchestrator.start; raise SystemExit(orchestrator.start.orchestrator())"
    command = [sys.executable, "-c", call, "verify", "--socket", str(box / "socket")]
    with Daemon(box, lua=settings(box) + sync(box, more)) as daemon:
        daemon.wait_for("Startup of")
        path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        with subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as client:
            wait_until((box / "begun").exists, "the comparison to begin")
            (box / "src" / "new").write_text("")
            wait_until((box / "trg" / "new").exists, "a change that does not wait for it")
            if end == "client":
                client.send_signal(signal.SIGINT)
                client.wait()
                daemon.wait_for("could not verify rsync: nobody waits for it any more")
                wait_until(lambda: not sleepers(box), "the program to end")
            else:
                daemon.process.terminate()
                assert daemon.wait() == 143
                assert client.wait() in (1, 3)
                wait_until(lambda: not sleepers(box), "the program to end")


def sleepers(box: Path) -> list[int]:
    """Processes that sleep in the box."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                is_sleep = file.read() == b"sleep\x001000\x00"
            if is_sleep and os.readlink(f"/proc/{name}/cwd") == str(box):
                found.append(int(name))
        except OSError:
            continue
    return found


def test_a_sync_of_functions_cannot_be_verified(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lua = settings(box) + f'sync{{ name = "own", source = "{box}/src", onCreate = "true", delay = 0 }}'
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("--- Startup ---")
        wait_until((box / "socket").exists, "the socket")
        status, (line,) = verify(box, capsys)
        assert status == 1
        assert line.startswith("own: could not be verified: it is transferred by functions of the config")


def test_a_program_of_the_users_by_a_crontab_in_toml(box: Path) -> None:
    toml = f"""[[sync]]
action = "command"
source = "{box}/src"
command = ["true"]
verify = "* * * * * *"
verifyCommand = ["sh", "-c", "test -e {box}/bad && echo 'missing f' && exit 1; exit 0"]
"""
    with Daemon(box, toml=toml) as daemon:
        daemon.wait_for("Normal: verified Sync1: no difference")
        (box / "bad").touch()
        daemon.wait_for("Warn: verified Sync1: 1 difference: missing /f")


def test_by_ssh(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("rsync")
    (box / "src" / "type").mkdir()
    with Sshd(box) as sshd:
        lua = settings(box) + (
            f'sync{{ default.rsyncssh, name = "far", source = "{box}/src", host = "{sshd.user}@127.0.0.1", '
            f'targetdir = "{box}/trg", delay = 0, sshShare = 60, rsync = {{ archive = true }}, ssh = {{ '
            f'port = {sshd.port}, identityFile = "{sshd.key}", '
            f'options = {{ UserKnownHostsFile = "{sshd.known_hosts}" }} }} }}'
        )
        with Daemon(box, lua=lua) as daemon:
            daemon.wait_for("Startup of")
            change(box / "src")
            assert verify(box, capsys) == (0, ["far: no difference of 5 compared"])
            plant(box / "trg")
            (box / "trg" / "type").rmdir()
            (box / "trg" / "type").write_text("")
            lines = verify(box, capsys, "--repair")[1]
            assert "far: type /type/" in lines
            assert {f"far: {one}" for one in PLANTED} <= set(lines)
            wait_until(lambda: is_equal(box, "trg"), "the repair")
            wait_until(lambda: verify(box, capsys)[0] == 0, "no difference to be left")


def test_by_csync2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Cluster(tmp_path / "cluster", 2, auto="first") as cluster:
        here, other = cluster.nodes
        for name in (b"f", b"g", NAME):
            (here.tree / os.fsdecode(name)).write_bytes(b"1")
        lua = settings(tmp_path) + (
            f"sync{{ default.csync2, source = '{here.tree}', syncid = 'web', delay = 0, csync2 = {{ "
            f"binary = '{csync2_binary()}', hostname = '{here.name}', database = '{here.database}', "
            f"config_dir = '{cluster.system}', port = {cluster.port} }} }}"
        )
        with Daemon(tmp_path, lua=lua) as daemon:
            daemon.wait_for("Startup of 'web' instance finished")
            assert verify(tmp_path, capsys) == (0, ["Sync1: no difference"])
            (other.tree / "f").write_text("other")
            (other.tree / "extra").write_text("")
            (other.tree / os.fsdecode(NAME)).unlink()
            other.csync2("-cr", str(other.tree))  # its own csync2 notes that
            status, lines = verify(tmp_path, capsys)
            assert status == 1
            assert sorted(lines[:-1]) == ["Sync1: content /f", "Sync1: extra /extra", f"Sync1: missing /{SHOWN}"]
            verify(tmp_path, capsys, "--repair")
            wait_until(lambda: (other.tree / "f").read_text() == "1", "the repair, as this host wins conflicts")
            wait_until((other.tree / os.fsdecode(NAME)).exists, "the repair")
            other.stop()
            status, lines = verify(tmp_path, capsys)
            assert status == 1
            assert "csync2 could not compare everything: Connection to remote host" in lines[-1]


def test_over_the_socket(box: Path) -> None:
    """The events of a request, and of one that follows them."""
    program("rsync")
    with Daemon(box, lua=settings(box) + sync(box)) as daemon:
        daemon.wait_for("Startup of")
        plant(box / "trg")

        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            for connection in (one, other):
                connection.connect(str(box / "socket"))
            with one.makefile("rw") as asker, other.makefile("rw") as follower:
                asker.readline()
                follower.readline()
                topics = {"id": 1, "command": "subscribe", "topics": ["difference", "verified"]}
                print(json.dumps(topics), file=follower, flush=True)
                assert json.loads(follower.readline())["result"] == {}
                print('{"id": "a", "command": "verify", "syncs": ["r*"]}', file=asker, flush=True)
                lines = [json.loads(asker.readline()) for _ in range(5)]
                followed = [json.loads(follower.readline()) for _ in range(5)]
        assert [line.get("event") for line in lines] == ["difference"] * 4 + [None]
        assert {line["id"] for line in lines} == {"a"}
        assert sorted(f"{line['kind']} {line['path']}" for line in followed[:4]) == sorted(
            f"{line['kind']} {line['path']}" for line in lines[:4]
        )
        (result,) = lines[-1]["result"]["syncs"]
        assert followed[-1]["sync"] == result["name"] == "rsync"
        assert (followed[-1]["event"], followed[-1]["is_equal"], followed[-1]["differences"]) == ("verified", False, 4)


def test_through_a_tunnel(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("socat")
    with RsyncDaemon(box, box / "trg") as rsyncd:
        listen = "TCP-LISTEN:^localport,fork,reuseaddr,bind=127.0.0.1"
        tunnel = (
            f'tunnel{{ mode = "pool", readyDelay = 0.2, command = {{ "socat", "{listen}", '
            f'"TCP:127.0.0.1:{rsyncd.port}" }}, checkMaxFailed = 1000, '
            'checkCommand = { "socat", "-u", "OPEN:/dev/null", "TCP:127.0.0.1:^localport" } }'
        )
        lua = settings(box) + (
            f'sync{{ default.rsync, name = "far", source = "{box}/src", target = "rsync://^localhost:^localport/m/", '
            f"delay = 0, tunnel = {tunnel}, rsync = {{ archive = true }} }}"
        )
        with Daemon(box, lua=lua) as daemon:
            daemon.wait_for("Startup of")
            plant(box / "trg")
            assert sorted(verify(box, capsys)[1][:-1]) == sorted(f"far: {one}" for one in PLANTED)
