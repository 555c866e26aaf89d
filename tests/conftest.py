"""What holds for every test: none leaves threads, children or descriptors behind; no run leaves a process behind.

A process that a test started, however it detached, carries the mark of the run in its environment.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic import secrets
from tests.kit import mounttable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# its tests are run where it is installed (e2e/test_sample_plugin.py)
collect_ignore = ["sample_plugin"]

GRACE = 2.0
"""Seconds in which what is about to end may do so."""

MARK = "LSYNCD_TEST_RUN"
# workers of pytest-xdist are children of the process that set it
os.environ.setdefault(MARK, uuid.uuid4().hex)

mounttable.take_own()

# A run in the background of a shell script ignores SIGINT, and so would every daemon that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Under nohup they would ignore SIGHUP. We still do, but what we start does not: nobody inherits a handler.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda signum, frame: None)


def descriptors() -> set[str]:
    """Open descriptors, with what they are: a number may be used again."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:  # the one that listdir itself had open
            continue
    return found


def children() -> set[str]:
    """Pids of our children, zombies too."""
    found: set[str] = set()
    for task in os.listdir("/proc/self/task"):
        try:
            found |= set(Path(f"/proc/self/task/{task}/children").read_text().split())
        except FileNotFoundError:  # the thread has ended
            continue
    return found


def threads() -> set[str]:
    return {f"{thread.name} ({thread.ident})" for thread in threading.enumerate() if thread.is_alive()}


KINDS: dict[str, Callable[[], set[str]]] = {
    "threads": threads,
    "children": children,
    "descriptors": descriptors,
    "working directory": lambda: {os.getcwd()},
}


@pytest.fixture(autouse=True)
def secrets_of_a_test_are_its_own() -> Iterator[None]:
    """A value that one test's config calls secret is masked in no other test's output."""
    declared = set(secrets._declared)
    yield
    secrets._declared.clear()
    secrets._declared.update(declared)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fails a test after which there are more threads, children or descriptors than before."""
    before = {kind: look() for kind, look in KINDS.items()}
    yield
    deadline = time.monotonic() + GRACE
    while left := {kind: more for kind, look in KINDS.items() if (more := look() - before[kind])}:
        gc.collect()
        if time.monotonic() > deadline:
            pytest.fail("left behind: " + "; ".join(f"{kind} {', '.join(sorted(left[kind]))}" for kind in left))
        time.sleep(0.01)


def survivors() -> dict[int, str]:
    """Processes with the mark of this run, but for ourselves: pid → what it is, and of which test."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "backslashreplace")
        except OSError:  # gone meanwhile, or somebody else's
            continue
        if mark in environment and command:
            test = next((item for item in environment if item.startswith(b"PYTEST_CURRENT_TEST=")), b"?")
            found[int(entry.name)] = f"{command.strip()} [{test.partition(b'=')[2].decode()}]"
    return found


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the process that leads the run, when the workers have left."""
    if hasattr(session.config, "workerinput"):
        return
    deadline = time.monotonic() + GRACE
    while (left := survivors()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid, what in left.items():
        print(f"\nleft behind by the tests, and killed: {pid} {what}")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
