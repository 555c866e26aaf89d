"""Random changes of all kinds against a daemon that is stopped, killed, and whose transfers are killed.

`make churn` takes thousands of seeds (CHURN_SEEDS); a seed that fails is run again by
`CHURN_SEEDS=N pytest -m churn -k 'ACTION-SEED'`.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.mirrors import Tree
from tests.kit.need import program
from tests.kit.trees import snapshot

SEEDS = int(os.environ.get("CHURN_SEEDS", "2"))

ACTIONS = {
    "rsync": "default.rsync, rsync = { archive = true, hard_links = true }",
    "native": "default.native",
}

CONFIG = """
settings {{ insist = true }}
sync {{ {action}, source = "{box}/src", target = "{box}/trg", delay = {delay} }}
"""


def kill_transfers(daemon: Daemon) -> None:
    """Kill what runs for the daemon, as the kernel does when memory is short."""
    for task in Path(f"/proc/{daemon.process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.mark.churn
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("action", ACTIONS)
def test_the_target_equals_the_source_in_the_end(tmp_path: Path, action: str, seed: int) -> None:
    program("rsync")
    chance = random.Random(seed)
    source = Tree(os.fsencode(tmp_path / "src"), seed)
    source.grow()
    (tmp_path / "trg").mkdir()
    text = CONFIG.format(action=ACTIONS[action], box=tmp_path, delay=chance.choice([0, 0.2, 1]))

    def is_equal() -> bool:
        return snapshot(os.fsencode(tmp_path / "src")) == snapshot(os.fsencode(tmp_path / "trg"))

    with Daemon(tmp_path, lua=text) as daemon:
        daemon.wait_for("finished.")
        for _ in range(5):
            os.kill(daemon.process.pid, chance.choice([signal.SIGSTOP, signal.SIGCONT]))
            source.change(10)
            if chance.random() < 0.5:
                kill_transfers(daemon)
        daemon.process.kill()
        daemon.wait()
        source.change(10)
    with Daemon(tmp_path, lua=text) as daemon:
        daemon.wait_for("finished.", 2)
        source.change(20)
        wait_until(is_equal, f"equal trees with seed {seed}; it said:\n{daemon.said()[-3000:]}", 60)
