"""Programs that are run to see whether they work."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from orchestrator.process.jobs import NICE, nicely
from orchestrator.process.trial import try_program

if TYPE_CHECKING:
    from pathlib import Path


def test_one_that_leaves_somebody_behind_is_not_waited_for(tmp_path: Path) -> None:
    """In a session of its own, with its stderr open: it is no part of what can be killed."""
    script = f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 1000' & while [ ! -s {tmp_path}/pid ]; do :; done"
    trial = try_program([b"sh", b"-c", os.fsencode(script)], dict(os.environ), 3.0)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert trial.code is None


def test_a_helper_is_never_made_more_important() -> None:
    found: dict[int, int] = {}

    def work(stop: threading.Event) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def run(nice: int) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
        result = nicely(work)(threading.Event())
        assert isinstance(result, int)
        found[nice] = result

    for nice in (5, 15):
        thread = threading.Thread(target=run, args=(nice,))
        thread.start()
        thread.join()
    assert found == {5: NICE, 15: 15}
