"""A daemon that is asked how it is doing, and a transfer that hangs."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
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
    main(["status", "--json", str(box / "socket")])
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
            return main(["status", str(box / "socket")]) == 1 and "Sync1: retrying" in capsys.readouterr().out

        syncs: dict[str, dict[str, object]] = {}
        wait_until(lambda: states() == ("retrying", "in sync"), "a pause between two tries")
        assert syncs["Sync1"]["last_error"]["cause"] == "no route to host"  # type: ignore[index]
        assert syncs["Sync1"]["last_success"] is None
        wait_until(is_retrying, "a pause between two tries")
        (box / "up").write_text("")
        wait_until(lambda: ask(box, capsys)["Sync1"]["state"] == "in sync", "the first sync to succeed")
        assert main(["status", str(box / "socket")]) == 0
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


def test_asking_nobody_is_one_line(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(box / "none")]) == 3
    (box / "file").write_text("")
    assert main(["status", str(box / "file")]) == 2
    assert capsys.readouterr().err.count("Error: ") == 2
