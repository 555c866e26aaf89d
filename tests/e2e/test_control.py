"""A daemon that is asked how it is doing, and a transfer that hangs."""

from __future__ import annotations

import grp
import json
import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import client, main
from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    return tmp_path


def config(box: Path, script: str, settings: str = "") -> str:
    (box / "stub").write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    (box / "stub").chmod(0o755)
    return f"""settings{{insist = true, controlSocket = "{box}/socket", {settings}}}
    sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = 0, rsync = {{binary = "{box}/stub"}}}}
    sync{{default.native, source = "{box}/src", target = "{box}/trg", delay = 0}}"""


def ask(box: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    main(["status", "--json", "--socket", str(box / "socket")])
    return {sync["name"]: sync for sync in json.loads(capsys.readouterr().out)["syncs"]}


def test_each_sync_tells_its_state(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = f"test -e {box}/up && exit 0; echo 'no route to host' >&2; exit 12"
    with Daemon(box, lua=config(box, script)) as daemon:
        daemon.wait_for("Retrying startup")
        daemon.wait_for("Startup of")
        assert stat.S_IMODE(os.stat(box / "socket").st_mode) == 0o600

        def states() -> tuple[object, object]:
            nonlocal syncs
            syncs = ask(box, capsys)
            return syncs["Sync1"]["state"], syncs["Sync2"]["state"]

        def is_retrying() -> bool:
            status = main(["status", "--socket", str(box / "socket")])
            return status == 1 and "Sync1  retrying" in capsys.readouterr().out

        syncs: dict[str, dict[str, object]] = {}
        wait_until(lambda: states() == ("retrying", "in sync"), "a pause between two tries")
        assert syncs["Sync1"]["last_error"]["cause"] == "no route to host"  # type: ignore[index]
        assert syncs["Sync1"]["last_success"] is None
        wait_until(is_retrying, "a pause between two tries")
        (box / "up").write_text("")
        wait_until(lambda: ask(box, capsys)["Sync1"]["state"] == "in sync", "the first sync to succeed")
        assert main(["status", "--socket", str(box / "socket")]) == 0
    assert not (box / "socket").exists()


def test_a_transfer_that_hangs_is_ended_and_tried_again(box: Path) -> None:
    script = f"test -e {box}/once && exit 0; touch {box}/once; exec sleep 1000"
    with Daemon(box, lua=config(box, script, "transferTimeout = 0.5")) as daemon:
        daemon.wait_for("a transfer of Sync1 runs for more than 0.5 s; ending it.")
        daemon.wait_for("Retrying startup of")
        daemon.wait_for(f"Startup of {box}/src/ -> {box}/trg/ finished.", 2)


def test_the_socket_of_a_dead_daemon_is_replaced_and_nothing_else(box: Path) -> None:
    with Daemon(box, lua=config(box, "exit 0")) as daemon:
        daemon.wait_for("Startup of", 2)
        daemon.process.kill()
        daemon.wait()
    assert (box / "socket").is_socket()
    with Daemon(box, lua=config(box, "exit 0")) as daemon:
        daemon.wait_for("Startup of", 4)
    (box / "socket").write_text("precious")
    with Daemon(box, lua=config(box, "exit 0")) as daemon:
        assert daemon.wait() == 255
        assert "Cannot create control socket" in daemon.said()
    assert (box / "socket").read_text() == "precious"


# ---- at its usual place -------------------------------------------------------------------------


class UsersDaemon(Daemon):
    """That of a user who is not root, with a runtime directory in the box."""

    def command(self) -> list[str]:
        (self.box / "run").mkdir(exist_ok=True)
        set_place = ["env", f"XDG_RUNTIME_DIR={self.box}/run"]
        return ["unshare", "--user", "--map-user=4713", *set_place, *super().command()]


def found(box: Path) -> list[client.Found]:
    return client.find([f"{box}/run/lsyncd"])


def found_one(box: Path) -> client.Found:
    wait_until(lambda: len(found(box)) == 1, "one daemon to be found")
    return found(box)[0]


def simple(box: Path, settings: str = "") -> str:
    return f"""settings{{{settings}}}
    sync{{default.native, source = "{box}/src", target = "{box}/trg", delay = 0}}"""


def test_the_life_of_a_socket_at_its_usual_place(box: Path) -> None:
    with UsersDaemon(box, "-log", "Debug", lua=simple(box)) as daemon:
        daemon.wait_for("Startup of")
        one = found_one(box)
        status = os.lstat(one.path)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert stat.S_IMODE((box / "run/lsyncd").stat().st_mode) == 0o700
        with client.connect(one.path) as asked:
            assert (asked.greeting["pid"], asked.greeting["may"]) == (one.pid, "steer")
            asked.ask("subscribe", topics=["reloaded", "ending"])
            following = asked.events()
            daemon.process.send_signal(signal.SIGHUP)
            assert [sync["name"] for sync in next(following)["syncs"]] == ["Sync1"]
            assert asked.ask("status")["daemon"]["reloads"] == 1
            assert os.path.samestat(os.lstat(one.path), status), "a reload lets it be"
            daemon.process.kill()
            daemon.wait()
        assert os.path.exists(one.path)
        assert "no control socket" not in daemon.said()
    with UsersDaemon(box, lua=simple(box)) as daemon:
        daemon.wait_for("Startup of", 2)
        two = found_one(box)
        assert os.listdir(box / "run/lsyncd") == [f"{two.pid}.sock"], "what was left is gone"
        with client.connect(two.path) as asked:
            asked.ask("subscribe", topics=["ending"])
            daemon.process.terminate()
            assert [event["reason"] for event in asked.events()] == ["signal SIGTERM"]
        daemon.wait()
        assert os.listdir(box / "run/lsyncd") == []


def test_a_reload_moves_it_and_takes_it_away(box: Path) -> None:
    with UsersDaemon(box, lua=simple(box)) as daemon:
        one = found_one(box)
        for settings, is_there in ((f'controlSocket = "{box}/socket"', True), ("controlSocket = false", False)):
            (box / "config.lua").write_text(simple(box, settings))
            daemon.process.send_signal(signal.SIGHUP)
            wait_until((lambda: (box / "socket").exists() is is_there), f"the reload to {settings}")  # noqa: B023
            assert not os.path.exists(one.path)
        (box / "config.lua").write_text(simple(box, 'controlGroup = "no such group"'))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for('controlGroup: there is no group "no such group".')
        (box / "config.lua").write_text(simple(box))
        daemon.process.send_signal(signal.SIGHUP)
        assert found_one(box) == one


def test_no_place_for_it_is_a_debug_line(box: Path) -> None:
    (box / "run").mkdir()
    (box / "run/lsyncd").write_text("precious")
    with UsersDaemon(box, "-log", "Debug", lua=simple(box)) as daemon:
        daemon.wait_for("Startup of")
        daemon.wait_for("Debug: no control socket: Not a directory")
    assert (box / "run/lsyncd").read_text() == "precious"


def test_the_group_may_read(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    settings = f'controlSocket = "{box}/socket", controlGroup = "{group}"'
    with Daemon(box, lua=simple(box, settings)) as daemon:
        daemon.wait_for("Startup of")
        wait_until((box / "socket").exists, "the socket")
        status = (box / "socket").lstat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getgid())
        assert main(["status", "--socket", str(box / "socket")]) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [('controlGroup = "no such group"', 'controlGroup: there is no group "no such group".'),
     ("controlSocket = {}", 'setting "controlSocket" must be a string or boolean')],
)  # fmt: skip
def test_a_setting_that_cannot_be_met_ends_the_start(box: Path, settings: str, words: str) -> None:
    with Daemon(box, lua=simple(box, settings)) as daemon:
        assert daemon.wait() == 255
        assert words in daemon.said()
        assert "Startup" not in daemon.said(), "nothing has begun"


def test_asking_nobody_is_one_line(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--socket", str(box / "none")]) == 3
    (box / "file").write_text("")
    assert main(["status", "--socket", str(box / "file")]) == 2
    assert capsys.readouterr().err.count("Error: ") == 2
