"""The daemon with native: whatever happens to the source, and to the daemon, the target equals it in the end."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.mirrors import Tree, differences
from tests.kit.trees import write

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings{{ nodaemon = true, statusFile = "{box}/status" }}
sync{{ default.native, source = "{box}/source", target = "{box}/target", delay = {delay} }}
"""


def config(box: Path, delay: float) -> str:
    return CONFIG.format(box=box, delay=delay)


def start(box: Path, delay: float) -> Daemon:
    return Daemon(box, lua=config(box, delay))


def assert_equal_soon(box: Path) -> None:
    source, target = os.fsencode(box / "source"), os.fsencode(box / "target")
    left: list[bytes] = []

    def is_equal() -> bool:
        left[:] = differences(source, target)
        return not left

    try:
        wait_until(is_equal, "the target to equal the source", 20)
    except AssertionError:
        raise AssertionError(left) from None


@pytest.mark.parametrize("seed", range(5))
def test_churn(tmp_path: Path, seed: int) -> None:
    """Changes of all kinds, while the daemon runs, is stopped, goes on, is killed and started again."""
    chance = random.Random(seed)
    delay = chance.choice([0, 0.1, 0.5])
    source = Tree(os.fsencode(tmp_path / "source"), seed)
    source.grow()
    (tmp_path / "target").mkdir()
    for _ in range(2):
        with start(tmp_path, delay) as daemon:
            daemon.wait_for("finished.")
            for _ in range(6):
                os.kill(daemon.process.pid, chance.choice([signal.SIGSTOP, signal.SIGCONT]))
                source.change(12)
                time.sleep(chance.random() * 0.2)
            os.kill(daemon.process.pid, signal.SIGCONT)
            assert_equal_soon(tmp_path)
            source.change(20)
            os.killpg(daemon.process.pid, signal.SIGKILL)
            daemon.wait()
        (tmp_path / "console").unlink()
        source.change(10)
    with start(tmp_path, delay) as daemon:
        daemon.wait_for("finished.")
        assert_equal_soon(tmp_path)


def test_told_to_reset_or_to_end_during_the_startup(tmp_path: Path) -> None:
    """It is broken off, which is no failure: a reset goes on with the new config, an end has the signal's status."""
    for number in range(3000):
        write(os.fsencode(tmp_path / f"source/{number % 30}/{number}"))
    with start(tmp_path, 0.1) as daemon:
        daemon.wait_for("recursive startup")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("recursive startup", 2)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait() == 128 + signal.SIGTERM
        assert "Error" not in daemon.said()
    (tmp_path / "console").unlink()
    with start(tmp_path, 0.1) as daemon:
        daemon.wait_for("recursive startup")
        daemon.process.send_signal(signal.SIGHUP)
        assert_equal_soon(tmp_path)
