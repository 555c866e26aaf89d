"""What runs ends with the daemon, however that ends: by the real kernel, shell and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import wait_until
from tests.kit.processes import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterator

DAEMON = """
import os, subprocess, sys
from orchestrator import lifeline
from orchestrator.clock import MonotonicClock
from orchestrator.log import Log
from orchestrator.masterloop import Loop
from orchestrator.process.processes import Processes
loop, box = Loop(), sys.argv[1]
processes = Processes(loop, Log())
lifeline.open_lifeline()
def run(script, **more):
    done = []
    child = processes.spawn([b"sh", b"-c", script.encode()], on_exit=lambda *result: done.append(result), **more)
    return child.pid, done
def wait(done):
    while not done:
        loop.turn(1)
for line in sys.stdin:
    exec(line)
    print(flush=True)
"""


class Machine:
    """A process that starts programs as the daemon does; told by lines of Python what to do."""

    def __init__(self, box: Path) -> None:
        self.box = box
        self.process = subprocess.Popen(
            [sys.executable, "-c", DAEMON, str(box)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "\n"

    def pid(self, name: str) -> int:
        """That a script has written to a file, when it has."""
        path = self.box / name
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"), name)
        return int(path.read_text())

    def watcher(self) -> int:
        self("pass")  # it runs
        (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(child)

    def end(self) -> None:
        """What it has started may have its pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.end()
    for path in tmp_path.glob("*.pid"):
        try:
            os.kill(int(path.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            pass


def run(name: str, box: Path, script: str = "exec sleep 1000", **more: object) -> str:
    return f"run('echo $$ >{box}/{name}; {script}', **{more!r})"


@pytest.mark.parametrize("is_transfer", [True, False])
def test_a_program_ends_with_a_killed_daemon(machine: Machine, tmp_path: Path, is_transfer: bool) -> None:
    """`is_transfer` False: a tunnel, which leads a session of its own."""
    machine(run("one.pid", tmp_path, is_transfer=is_transfer))
    pid = machine.pid("one.pid")
    machine.kill()
    wait_until(lambda: has_ended(pid), "its end")


def test_what_a_program_has_started_ends_with_it(machine: Machine, tmp_path: Path) -> None:
    inner = f'sh -c "echo \\$\\$ >{tmp_path}/inner.pid; exec sleep 1000"; true'
    machine(run("outer.pid", tmp_path, inner.replace("\\", "\\\\").replace("'", "\\'")))
    pids = [machine.pid("outer.pid"), machine.pid("inner.pid")]
    machine.kill()
    wait_until(lambda: all(map(has_ended, pids)), "their end")


def test_what_a_command_has_left_behind_stays(machine: Machine, tmp_path: Path) -> None:
    """A config's command may start something that is to stay; and its own number may be another's by now."""
    left = f"(echo >/dev/null; exec sleep 1000) & echo $! >{tmp_path}/left.pid"
    machine(f"pid, done = {run('gone.pid', tmp_path, left)}; wait(done)")
    machine(run("one.pid", tmp_path))
    left_behind, pid = machine.pid("left.pid"), machine.pid("one.pid")
    machine.kill()
    wait_until(lambda: has_ended(pid), "the end of what ran")
    assert not has_ended(left_behind)


def test_a_number_that_is_another_s_by_now_is_left_alone(machine: Machine, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        machine(f"lifeline.begins({stranger.pid})")
        machine(run("one.pid", tmp_path))
        pid = machine.pid("one.pid")
        machine.kill()
        wait_until(lambda: has_ended(pid), "the end of what ran")
        assert stranger.poll() is None
        stranger.kill()


def test_what_does_not_end_is_killed(machine: Machine, tmp_path: Path) -> None:
    machine(run("one.pid", tmp_path, 'trap "" TERM; while :; do sleep 1000; done'))
    pid = machine.pid("one.pid")
    machine.kill()
    wait_until(lambda: has_ended(pid), "its end")


def test_a_job_s_own_program_ends_with_the_daemon(machine: Machine, tmp_path: Path) -> None:
    machine("from orchestrator.api import ends_with_daemon")
    machine("one, two = (subprocess.Popen(['sleep', '1000']) for _ in range(2))")
    machine("open(f'{box}/one.pid', 'w').write(f'{one.pid}\\n'); open(f'{box}/two.pid', 'w').write(f'{two.pid}\\n')")
    machine("held = ends_with_daemon(one.pid); held.__enter__()")
    machine("with ends_with_daemon(two.pid): pass")
    one, two = machine.pid("one.pid"), machine.pid("two.pid")
    machine.kill()
    wait_until(lambda: has_ended(one), "the end of what was still watched")
    assert not has_ended(two)


@pytest.mark.parametrize("harm", ["KILL", "STOP"])
def test_a_watcher_that_is_no_more_harms_nobody(machine: Machine, tmp_path: Path, harm: str) -> None:
    watcher = machine.watcher()
    assert b"lsyncd" not in Path(f"/proc/{watcher}/cmdline").read_bytes(), "who counts daemons would count it"
    os.kill(watcher, getattr(signal, f"SIG{harm}"))
    machine("pid, done = run('exit 0'); wait(done)")
    machine("for _ in range(30_000): lifeline.begins(1)")  # more than a pipe takes
    os.kill(watcher, signal.SIGKILL)


def test_it_is_gone_when_nothing_is_left(machine: Machine) -> None:
    watcher = machine.watcher()
    machine("pid, done = run('exit 0'); wait(done)")
    machine.end()
    wait_until(lambda: has_ended(watcher), "its end")
