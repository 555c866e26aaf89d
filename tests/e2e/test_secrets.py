"""Passwords that a config holds are shown nowhere: log, status, status file, check (issue: privileges and files)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
from tests.kit.daemon import ROOT, Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = ("hunter2", "correct horse", "s3same", "xyzzy", "plugh")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("src", "trg", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/rsync").write_text(
        "#!/bin/sh\ncat >/dev/null\necho 'cannot reach rsync://u:hunter2@host/m' >&2\nexit 10\n"
    )
    (tmp_path / "bin/rsync").chmod(0o755)
    return tmp_path


def config(box: Path) -> str:
    return f"""
    settings{{insist = true, controlSocket = "{box}/socket", statusFile = "{box}/status", statusInterval = 0,
              logfile = "{box}/log"}}
    sync{{default.rsync, name = "url", source = "{box}/src", target = "rsync://u:hunter2@127.0.0.1/m", delay = 0,
          rsync = {{rsh = "sshpass -p 'correct horse' ssh", _extra = {{"--password=s3same"}}}}}}
    sync{{name = "shell", source = "{box}/src", onCreate = "RSYNC_PASSWORD=xyzzy true ^path"}}
    sync{{name = "words", source = "{box}/src", onCreate = "/usr/bin/env SSHPASS=plugh true ^path"}}
    sync{{name = "missing", source = "{box}/src", onCreate = "/no/such/program --token=xyzzy ^path"}}
    """


def test_nowhere(box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{box}/bin:{os.environ['PATH']}"
    with Daemon(box, "-log", "all", lua=config(box), environment={"PATH": path}) as daemon:
        daemon.wait_for("Retrying startup of")
        (box / "src/f").write_text("")
        daemon.wait_for("Failed executing")
        daemon.wait_for("Finished Create", 2)
        main(["status", "--socket", str(box / "socket")])
        main(["status", "--json", "--socket", str(box / "socket")])
        told = capsys.readouterr().out
        assert "rsync://u:***@127.0.0.1/m" in told
        assert "cannot reach rsync://u:***@host/m" in told
        wait_until(lambda: "There are" in (box / "status").read_text(), "the status file")
        shown = daemon.said() + (box / "log").read_text() + told + (box / "status").read_text()
        assert "--rsh=sshpass -p *** ssh" in shown
        assert [secret for secret in SECRETS if secret in shown] == []


def test_nor_in_a_check(box: Path) -> None:
    (box / "config.lua").write_text(config(box))
    checked = subprocess.run(
        [sys.executable, "-c", "from orchestrator.control import main; main()", "check", box / "config.lua"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    shown = checked.stdout + checked.stderr
    assert "rsync://u:***@127.0.0.1/m" in shown
    assert "RSYNC_PASSWORD=***" in shown
    assert [secret for secret in SECRETS if secret in shown] == []
