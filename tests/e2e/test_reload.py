"""A reload while the daemon is at work, with real transfers (spec 1.5)."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

HANGING = """#!/bin/sh
[ -e {box}/hang ] && {{ echo $$ >>{box}/hung; kill -STOP $$; }}
exec rsync "$@"
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / "src" / name).mkdir(parents=True)
        (tmp_path / "trg" / name).mkdir(parents=True)
    (tmp_path / "rsync").write_text(HANGING.format(box=tmp_path))
    (tmp_path / "rsync").chmod(0o755)
    return tmp_path


def sync(box: Path, name: str, more: str = "") -> str:
    return (
        f'sync{{ default.rsync, name = "{name}", source = "{box}/src/{name}", target = "{box}/trg/{name}", delay = 0,'
        f" {more} }}\n"
    )


def hang(daemon: Daemon, box: Path, name: str) -> int:
    """Change a file of a sync whose rsync then stands still; its process id."""
    (box / "hang").touch()
    (box / "src" / name / "hung").write_text("hung")
    wait_until(lambda: (box / "hung").exists() and (box / "hung").read_text().endswith("\n"), "the transfer to hang")
    (box / "hang").unlink()
    return int((box / "hung").read_text())


@pytest.mark.row(35)
def test_a_hung_transfer_holds_up_its_own_sync_alone(box: Path) -> None:
    more = f'init = false, rsync = {{ binary = "{box}/rsync" }}'
    with Daemon(box, lua=sync(box, "one", more) + sync(box, "two")) as daemon:
        daemon.wait_for("finished.")
        pid = hang(daemon, box, "one")
        (box / "src/one/before").write_text("before")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("finished.", 2)
        (box / "src/one/after").write_text("after")
        (box / "src/two/after").write_text("after")
        wait_until((box / "trg/two/after").exists, "the other sync's transfer")
        assert not any((box / "trg/one").iterdir())
        os.kill(pid, signal.SIGCONT)
        for name in ("hung", "before", "after"):
            wait_until((box / "trg/one" / name).exists, f"{name} of the sync without a startup")
