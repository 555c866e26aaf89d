"""A long time of changes in a tree that grows and shrinks: nothing piles up. `make soak` takes an hour."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.trees import text_of

SECONDS = float(os.environ.get("SOAK_SECONDS", "6"))

CONFIG = """
settings {{ statusFile = "{box}/status", statusInterval = 1 }}
sync {{ default.native, source = "{box}/src", target = "{box}/trg", delay = 0 }}
sync {{ source = "{box}/src", delay = 0, maxProcesses = 3,
       onCreate = "true ^path", onModify = "true ^path", onDelete = "true ^path" }}
"""


class Held:
    """What the daemon holds: descriptors, threads, children, watches, MB of memory."""

    def __init__(self, daemon: Daemon) -> None:
        proc = Path(f"/proc/{daemon.process.pid}")
        tasks = list((proc / "task").iterdir())
        self.descriptors = len(list((proc / "fd").iterdir()))
        self.threads = len(tasks)
        self.children = sum(len(text_of(task / "children").split()) for task in tasks)
        self.watches = sum(text_of(info).count("inotify wd:") for info in (proc / "fdinfo").iterdir())
        self.memory = int(text_of(proc / "status").partition("VmRSS:")[2].split()[0]) / 1024

    def counts(self) -> tuple[int, ...]:
        return self.descriptors, self.threads, self.children, self.watches


def grow_and_shrink(box: Path, turn: int) -> None:
    for number in range(20):
        directory = box / f"src/d{turn % 3}/e{number}/f"
        directory.mkdir(parents=True)
        for name in range(5):
            (directory / f"{name}").write_text(str(turn))
    shutil.rmtree(box / f"src/d{turn % 3}")


def settle(box: Path, daemon: Daemon) -> Held:
    wait_until(lambda: list((box / "trg").iterdir()) == list((box / "src").iterdir()) == [], "both to be empty", 60)
    wait_until(
        lambda: Held(daemon).children == 0 and text_of(box / "status").count("There are 0 delays") == 2, "rest", 60
    )
    return Held(daemon)


@pytest.mark.soak
def test_nothing_piles_up(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path)) as daemon:
        daemon.wait_for("Startup of")
        for turn in range(6):
            grow_and_shrink(tmp_path, turn)
        before = settle(tmp_path, daemon)
        end, turn = time.monotonic() + SECONDS, 6
        while time.monotonic() < end:
            grow_and_shrink(tmp_path, turn)
            turn += 1
            if turn % 10 == 0:
                settle(tmp_path, daemon)
        after = settle(tmp_path, daemon)
        assert after.counts() == before.counts()
        assert after.memory < before.memory * 1.25 + 8
