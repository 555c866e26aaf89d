"""Random changes of all kinds against a daemon that is stopped, killed, and whose transfers are killed.

`make churn` takes thousands of seeds (CHURN_SEEDS, for each action). A seed that fails says how it is run again.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.kit.churn import Churn, picture, told
from tests.kit.churned import MIRRORS, Mirror
from tests.kit.daemon import Daemon, wait_until
from tests.kit.processes import descendants, has_ended
from tests.kit.states import is_recorded

IN_CI = {
    "rsync": 6,
    "rsync-listed": 5,
    "native": 10,
    "direct": 8,
    "rsyncssh": 5,
    "rsyncssh-listed": 4,
    "csync2": 4,
    # rsync with several at once; native with another monitor
    "rsync-sized": 4,
    "fanotify": 6,
}
"""Seeds: fifty in all, fewer where each takes longer; `make churn` takes as many as one likes."""

SEEDS = int(os.environ.get("CHURN_SEEDS", "0"))
FIRST = int(os.environ.get("CHURN_FIRST", "0"))
CASES = [(action, seed) for action, count in IN_CI.items() for seed in range(FIRST, FIRST + (SEEDS or count))]
RESUMING = {"rsync": 1, "native": 1, "rsync-sized": 0, "rsyncssh": 0, "csync2": 0, "command": 0}
"""Seeds of the test with recorded states."""

RESUMED = [(action, seed) for action, count in RESUMING.items() for seed in range(FIRST, FIRST + (SEEDS or count))]
DEADLINE = 60.0


def kill_one(daemon: Daemon, chance: random.Random) -> None:
    """Kill something that runs for the daemon, as the kernel does when memory is short."""
    running = descendants(daemon.process.pid)
    if running:
        try:
            os.kill(chance.choice(running), signal.SIGKILL)
        except ProcessLookupError:
            pass


def has_resumed(daemon: Daemon, times: int) -> bool:
    return daemon.said().count("Normal: resuming ") >= times


class Run:
    """One seed."""

    def __init__(self, box: Path, action: str, seed: int, mirror: Mirror) -> None:
        self.box = box
        self.name = f"{action}-{seed}"
        self.mirror = mirror
        self.chance = random.Random(f"faults {seed}")
        self.status = box / "status"
        source, outside = os.fsencode(mirror.source), os.fsencode(box / "outside")
        self.churn = Churn(source, outside, seed, one_link=mirror.one_link, sizes_differ=mirror.sizes_differ)
        self.config = mirror.config(self.chance.choice([0, 0, 0.2]), self.status)

    def disturb(self, daemon: Daemon, *, is_doomed: bool = False) -> None:
        """Changes, while the daemon runs, stands still, or loses a transfer.

        `is_doomed`: it is killed afterwards. What is fragile is let be then: nobody would know what happened to it.
        """
        for _ in range(4):
            os.kill(daemon.process.pid, self.chance.choice([signal.SIGSTOP, signal.SIGCONT]))
            for _ in range(8):
                self.churn.change(1)
                time.sleep(self.chance.choice([0, 0, 0.005, 0.05]))  # a pace, nothing is waited for
            is_let_be = self.mirror.is_fragile and (is_doomed or self.is_starting(daemon))
            if self.chance.random() < 0.5 and not is_let_be:
                kill_one(daemon, self.chance)

    def is_alone(self, daemon: Daemon) -> bool:
        return all(map(has_ended, descendants(daemon.process.pid)))

    def kill(self, daemon: Daemon) -> None:
        """As a lack of memory does, or a fault of ours."""
        is_at_rest = not self.mirror.is_fragile
        while not is_at_rest:
            os.kill(daemon.process.pid, signal.SIGCONT)
            wait_until(lambda: self.is_alone(daemon), "what runs to end")
            os.kill(daemon.process.pid, signal.SIGSTOP)
            is_at_rest = self.is_alone(daemon)
        daemon.process.kill()
        daemon.wait()

    def is_starting(self, daemon: Daemon) -> bool:
        return daemon.said().rpartition("--- Startup")[2].count("Startup of") == 0

    def started(self, daemon: Daemon) -> None:
        self.status.unlink(missing_ok=True)
        wait_until(lambda: self.status.exists() or daemon.process.poll() is not None, "the status file")

    def finish(self, daemon: Daemon) -> None:
        os.kill(daemon.process.pid, signal.SIGCONT)
        end = time.monotonic() + DEADLINE
        while not self.is_equal():
            if time.monotonic() > end or daemon.process.poll() is not None:
                self.fail(daemon)
            time.sleep(0.05)
        assert os.listdir(self.churn.sentinel) == [b"a"]
        assert Path(os.fsdecode(self.churn.sentinel), "a").read_bytes() == b"not to be touched"

    def pictures(self) -> list[dict[bytes, object]]:
        mirror = self.mirror
        return [
            picture(os.fsencode(tree), modes=mirror.modes, times=mirror.times)
            for tree in (mirror.source, mirror.target)
        ]

    def is_equal(self) -> bool:
        if not self.status.exists() or b"There are 0 delays" not in self.status.read_bytes():
            return False
        source, target = self.pictures()
        return source == target

    def fail(self, daemon: Daemon) -> None:
        seed = self.name.rpartition("-")[2]
        pytest.fail(
            f"not equal with {self.name}; again: CHURN_FIRST={seed} CHURN_SEEDS=1 pytest -m churn -k {self.name}\n"
            f"{told(*self.pictures())}\n\nit did:\n" + "\n".join(self.churn.log) + f"\n\nit said:\n{daemon.said()}"
        )


@pytest.mark.churn
@pytest.mark.parametrize(("action", "seed"), CASES, ids=[f"{action}-{seed}" for action, seed in CASES])
def test_the_target_equals_the_source_in_the_end(tmp_path: Path, action: str, seed: int) -> None:
    restarts = seed % 2 == 1
    with MIRRORS[action](tmp_path, restarts) as mirror:
        run = Run(tmp_path, action, seed, mirror)
        mirror.target.mkdir(exist_ok=True)
        run.churn.change(20)
        if restarts:
            with Daemon(tmp_path, lua=run.config) as daemon:
                run.started(daemon)
                run.disturb(daemon, is_doomed=True)
                run.kill(daemon)
                run.churn.change(8)
        with Daemon(tmp_path, lua=run.config) as daemon:
            run.started(daemon)
            run.disturb(daemon)
            run.finish(daemon)


@pytest.mark.row(42)
@pytest.mark.churn
@pytest.mark.parametrize(("action", "seed"), RESUMED, ids=[f"{action}-{seed}" for action, seed in RESUMED])
def test_a_killed_daemon_is_resumed_with_what_changed(tmp_path: Path, action: str, seed: int) -> None:
    """No run over everything but the first, whenever it is killed, and whatever changes while there is no daemon."""
    with MIRRORS[action](tmp_path, False) as plain:
        mirror = replace(plain, settings=f'stateDir = "{tmp_path}/state", {plain.settings}')
        run = Run(tmp_path, action, seed, mirror)
        mirror.target.mkdir(exist_ok=True)
        run.churn.change(20)
        with Daemon(tmp_path, lua=run.config) as daemon:
            wait_until(lambda: is_recorded(tmp_path / "state"), "the state of the first run")
            run.disturb(daemon, is_doomed=True)
            run.kill(daemon)
        for before in range(2):
            run.churn.change(8)
            with Daemon(tmp_path, lua=run.config) as daemon:
                wait_until(partial(has_resumed, daemon, before + 1), "the restart")
                run.disturb(daemon, is_doomed=True)
                run.kill(daemon)
        with Daemon(tmp_path, lua=run.config) as daemon:
            run.started(daemon)
            run.disturb(daemon)
            run.finish(daemon)
            starts = [line for line in daemon.said().splitlines() if "Normal: resuming " in line]
            assert len(starts) == 3, daemon.said()
            assert "not resuming" not in daemon.said().partition(" finished.")[2]
