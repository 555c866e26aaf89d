"""A daemon started on a big tree that is turned upside down meanwhile: nothing is missed while watches are set, nor of
what happens while the queue is full.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit import churner
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.overflow import flood, stopped
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings{{ insist = true }}
sync{{ default.{action}, source = "{box}/src", target = "{box}/trg", delay = 0.2 {more} }}
"""

SEEDS = max(1, int(os.environ.get("CHURN_SEEDS", "1")) // 20)


@pytest.mark.churn
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize(("action", "more"), [("native", ""), ("rsync", ", startupProcesses = 3")])
def test_what_happens_while_watches_are_set_is_not_missed(tmp_path: Path, action: str, more: str, seed: int) -> None:
    program("rsync")
    for name in ("src/big", "out", "trg"):
        (tmp_path / name).mkdir(parents=True)
    churner.plant(os.fsencode(tmp_path), 60, 40)
    command = [sys.executable, churner.__file__, str(tmp_path), str(seed), "0.0003"]
    churn = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert churn.stdin is not None

    def is_equal() -> bool:
        try:
            return snapshot(os.fsencode(tmp_path / "src")) == snapshot(os.fsencode(tmp_path / "trg"))
        except OSError:  # a transfer is under way
            return False

    try:
        wait_until(lambda: os.listdir(tmp_path / "out"), "the first changes")
        with Daemon(tmp_path, lua=CONFIG.format(action=action, more=more, box=tmp_path)) as daemon:
            daemon.wait_for("Startup of")
            with stopped(daemon):
                flood(tmp_path / "src")
                then = os.stat(tmp_path / "out").st_mtime_ns
                wait_until(lambda: os.stat(tmp_path / "out").st_mtime_ns != then, "changes that nobody hears of")
            daemon.wait_for("OVERFLOW")
            before = daemon.said().count("Calling ")
            daemon.wait_for("Calling ", before + 3)
            churn.stdin.close()
            churn.wait()
            wait_until(is_equal, f"equal trees with seed {seed}; it said:\n{daemon.said()[-3000:]}", 60)
            watched = sum(1 for _ in os.walk(tmp_path / "src"))
            daemon.wait_for_watches(watched)
    finally:
        churn.kill()
        churn.wait()
