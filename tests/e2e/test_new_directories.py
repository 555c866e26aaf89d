"""What a transfer brings of a directory before the daemon watches it, and what is gone by then, goes on the target."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """\
#!/bin/sh
# rsync, from the moment on that `go` is there, until `end` is there
: >'{box}/begun'
until [ -e '{box}/go' ]; do sleep 0.02; done
'{rsync}' "$@"
code=$?
: >'{box}/went'
until [ -e '{box}/end' ]; do sleep 0.02; done
exit $code
"""


@pytest.mark.parametrize("action", ["rsync", "direct"])
def test_a_directory_that_a_transfer_sees_before_the_daemon(tmp_path: Path, action: str) -> None:
    box = tmp_path
    (box / "src").mkdir()
    (box / "trg").mkdir()
    slow = box / "slow"
    slow.write_text(SLOW.format(box=box, rsync=program("rsync")))
    slow.chmod(0o755)
    lua = (
        f'sync {{ default.{action}, source = "{box}/src", target = "{box}/trg", delay = 0, '
        f'rsync = {{ binary = "{slow}" }} }}'
    )
    with Daemon(box, lua=lua) as daemon:
        wait_until((box / "begun").exists, "the startup's rsync to be started")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        (box / "src/d/e").mkdir(parents=True)
        for name in ("d/f", "d/e/f"):
            (box / "src" / name).write_text("is gone before the daemon looks")
        (box / "go").touch()
        wait_until((box / "went").exists, "the startup's rsync")
        assert (box / "trg/d/e/f").exists()
        for name in ("d/f", "d/e/f"):
            (box / "src" / name).unlink()
        (box / "src/d/g").write_text("is there")
        os.kill(daemon.process.pid, signal.SIGCONT)
        (box / "end").touch()
        wait_until(
            lambda: snapshot(os.fsencode(box / "trg")) == {b"d": None, b"d/e": None, b"d/g": b"is there"},
            f"nothing but what is in the source; it said:\n{daemon.said()}",
        )
