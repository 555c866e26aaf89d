"""What a killed daemon has left running is found by its session, and waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from orchestrator.masterloop import Loop
from orchestrator.process.orphans import Orphans
from tests.kit.daemon import wait_until


def leader_of(*children: str) -> tuple[int, list[int]]:
    """A session leader with some children, killed; its pid and theirs."""
    starting = "".join(f"{child} >/dev/null & echo $!; " for child in children)
    leader = subprocess.Popen(
        ["sh", "-c", f"{starting} echo; sleep 100 >/dev/null"],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert leader.stdout is not None
    pids = [int(leader.stdout.readline()) for _ in children]
    assert leader.stdout.readline() == "\n"
    leader.stdout.close()
    leader.kill()
    leader.wait()
    return leader.pid, pids


def test_the_last_one_s_end_is_reported_once() -> None:
    leader, (first, second) = leader_of("sleep 100", "sleep 100")
    gone: list[bool] = []
    loop = Loop()
    try:
        orphans = Orphans(loop, leader, lambda: gone.append(True))
        rest = len(orphans) - 2  # the leader's own last child
        os.kill(first, signal.SIGKILL)
        while len(orphans) > 1 + rest:
            loop.turn(10)
        assert not gone
        os.killpg(leader, signal.SIGKILL)
        while len(orphans):
            loop.turn(10)
        assert gone == [True]
    finally:
        loop.close()
        wait_until(lambda: not os.path.exists(f"/proc/{second}"), "its end")


def test_nobody_is_waited_for_where_the_leader_lives_or_none_is_left() -> None:
    loop = Loop()
    leader = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        assert len(Orphans(loop, leader.pid, lambda: None)) == 0
        leader.kill()
        leader.communicate()
        assert len(Orphans(loop, leader.pid, lambda: None)) == 0
        assert len(Orphans(loop, os.getsid(0), lambda: None)) == 0, "our own session"
    finally:
        leader.kill()
        leader.communicate()
        loop.close()


def test_closed_it_leaves_no_descriptor() -> None:
    leader, _ = leader_of("sleep 100")
    loop = Loop()
    try:
        before = len(os.listdir("/proc/self/fd"))
        orphans = Orphans(loop, leader, lambda: None)
        assert len(orphans)
        orphans.close()
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        os.killpg(leader, signal.SIGKILL)
        loop.close()
