"""A host that cannot be reached, with a real sshd and a real rsync daemon: syncs that go there wait together."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.ports import free_port
from tests.kit.rsyncd import RsyncDaemon
from tests.kit.sshd import Sshd
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("a", "b", "c")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    for name in (*NAMES, "far"):
        (tmp_path / name).mkdir()
        (tmp_path / "trg" / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def sshd(box: Path) -> Iterator[Sshd]:
    with Sshd(box) as server:
        yield server


def over_ssh(sshd: Sshd, name: str) -> str:
    return f"""sync{{default.rsyncssh, name = "{name}", source = "{sshd.box}/{name}", delay = 0,
        host = "{sshd.user}@127.0.0.1", targetdir = "{sshd.box}/trg/{name}",
        ssh = {{port = {sshd.port}, identityFile = "{sshd.key}",
               options = {{UserKnownHostsFile = "{sshd.known_hosts}", BatchMode = "yes"}}}}}}
    """


def equal(box: Path, name: str) -> bool:
    return snapshot(os.fsencode(box / name)) == snapshot(os.fsencode(box / "trg" / name))


def ask(box: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    main(["status", "--json", "--socket", str(box / "socket")])
    return {sync["name"]: sync for sync in json.loads(capsys.readouterr().out)["syncs"]}


def retries(said: str) -> int:
    return len(re.findall(r"Retrying|Unknown exitcode", said))


@pytest.mark.row(13)
def test_syncs_of_a_host_that_goes_down_wait_together_and_go_on_together(
    sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    box = sshd.box
    settings = f'settings{{insist = true, controlSocket = "{box}/socket"}}\n'
    local = f'sync{{default.native, name = "far", source = "{box}/far", target = "{box}/trg/far", delay = 0}}\n'
    syncs = "".join(over_ssh(sshd, name) for name in NAMES)
    with Daemon(box, "-log", "Exec", lua=settings + syncs + local) as daemon:
        daemon.wait_for("Startup of", 4)
        sshd.stop()
        begun = len(daemon.said())
        for name in (*NAMES, "far"):
            (box / name / "f").write_text(name)
        daemon.wait_for(f"127.0.0.1:{sshd.port} cannot be reached; all syncs that go there wait together.")
        wait_until(lambda: equal(box, "far"), "the sync that goes elsewhere")
        wait_until(lambda: retries(daemon.said()[begun:]) == 3, "three steps: after 1, 2 and 4 seconds")
        down = daemon.said()[begun:]
        assert retries(down) == 3, "one line for a step, not for a sync"
        assert down.count("cannot be reached") == 1
        tries = re.findall(r"Exec: rsync ", down)
        assert len(tries) <= 5, f"three at first, at most, then one at a time: {down}"
        states = ask(box, capsys)
        for name in NAMES:
            assert states[name]["state"] == "retrying"
            assert states[name]["unreachable"]["host"] == f"127.0.0.1:{sshd.port}"  # type: ignore[index]
            assert states[name]["waiting"] in (1, 2), "created and written"
        assert (states["far"]["state"], states["far"]["unreachable"]) == ("in sync", None)
        failed = [sync["last_error"] for sync in states.values() if sync["last_error"] is not None]
        assert failed
        assert {error["cause"] for error in failed} == {  # type: ignore[index]
            f"ssh: connect to host 127.0.0.1 port {sshd.port}: Connection refused"
        }
        sshd.start()
        wait_until(lambda: all(equal(box, name) for name in NAMES), f"all files; it said:\n{daemon.said()}", 25)
        daemon.wait_for("can be reached again.")
        wait_until(lambda: {sync["state"] for sync in ask(box, capsys).values()} == {"in sync"}, "all to be in sync")
        (box / "a/g").write_text("")
        wait_until(lambda: equal(box, "a"), "the next change, at once", 7)


def test_a_move_finds_the_host_down_as_well(sshd: Sshd) -> None:
    box = sshd.box
    (box / "a/old").write_text("data")
    with Daemon(box, lua="settings{insist = true}\n" + over_ssh(sshd, "a")) as daemon:
        daemon.wait_for("Startup of")
        inode = (box / "trg/a/old").stat().st_ino
        sshd.stop()
        (box / "a/old").rename(box / "a/new")
        daemon.wait_for("Retrying (list): 255")  # it is asked what its mv is like, before the first move
        (box / "a/more").write_text("")
        sshd.start()
        wait_until(lambda: equal(box, "a"), f"the move and the file; it said:\n{daemon.said()}")
        assert (box / "trg/a/new").stat().st_ino == inode, "transferred instead of moved"


@pytest.mark.parametrize("insist", [True, False])
def test_a_host_that_is_down_at_the_start(sshd: Sshd, insist: bool) -> None:
    box = sshd.box
    (box / "a/f").write_text("data")
    sshd.stop()
    with Daemon(box, lua=f"settings{{insist = {str(insist).lower()}}}\n" + over_ssh(sshd, "a")) as daemon:
        if not insist:
            assert daemon.wait() == 255
            assert 'Terminating since "insist" is not set.' in daemon.said()
            return
        daemon.wait_for("Retrying startup")
        sshd.start()
        daemon.wait_for("finished: 0")
        assert equal(box, "a")


def test_an_rsync_daemon_that_comes_and_one_sync_with_trouble_of_its_own(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()

    def sync(name: str, module: str) -> str:
        target = f'target = "rsync://127.0.0.1:{port}/{module}/{name}"'
        return f'sync{{default.rsync, name = "{name}", source = "{box}/{name}", {target}, delay = 0}}\n'

    settings = f'settings{{insist = true, controlSocket = "{box}/socket"}}\n'
    with Daemon(box, lua=settings + sync("a", "m") + sync("b", "m") + sync("c", "nosuch")) as daemon:
        daemon.wait_for(f"rsync://127.0.0.1:{port} cannot be reached")
        for name in NAMES:
            (box / name / "f").write_text(name)
        with RsyncDaemon(box, box / "trg", port):
            wait_until(lambda: equal(box, "a") and equal(box, "b"), f"both; it said:\n{daemon.said()}")
            wait_until(lambda: ask(box, capsys)["a"]["state"] == "in sync", "the first")
            for number in range(3):
                (box / f"a/{number}").write_text("")
                wait_until(lambda: equal(box, "a"), f"a change, at once; it said:\n{daemon.said()}", 7)
            state = ask(box, capsys)["c"]
            assert state["state"] == "retrying"
            assert "Unknown module" in state["last_error"]["cause"]  # type: ignore[index]
