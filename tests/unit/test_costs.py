"""What things cost, counted in operations, never by a clock: growth shows on any machine."""

from __future__ import annotations

import gc
import math
import os
import resource
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.clock import MonotonicClock
from orchestrator.config.lua.loader import Installed, LuaConfig
from orchestrator.log import Log
from orchestrator.logic.event import CREATE, DELETE, MODIFY, MOVE
from orchestrator.logic.filters import Filters
from orchestrator.logic.queue import Queue
from orchestrator.masterloop import Loop
from orchestrator.monitor.base import MonitorKind
from orchestrator.monitor.inotify import InotifyMonitor
from orchestrator.plugins import make_manager
from orchestrator.process.processes import Processes
from orchestrator.runner import Runner
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from tests.kit.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

SIZES = (500, 4000)
STEEPEST = 1.1
"""The growth exponent that is allowed: n events cost n^1.1 at most."""


def steps(work: Callable[[], None]) -> int:
    """Calls of functions, Python's and C's, that the work makes."""
    count = 0

    def note(frame: FrameType, event: str, argument: CodeType | None) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def exponent(cost: Callable[[int], int]) -> float:
    small, large = SIZES
    return math.log(cost(large) / cost(small)) / math.log(large / small)


def queue_with(count: int, *, sets: bool, active: bool = False) -> Queue:
    queue = Queue(sets=sets, on_move=False)
    for number in range(count):
        queue.add(CREATE, 0.0, b"/d%d/f%d" % (number % 7, number))
    if active:
        queue.activate(list(queue))
    return queue


def adds(count: int, sets: bool) -> int:
    queue = queue_with(count, sets=sets, active=True)

    def work() -> None:
        for number in range(count):
            queue.add(MODIFY, 0.0, b"/d%d/f%d" % (number % 7, number))

    return steps(work)


@pytest.mark.row(2)
@pytest.mark.parametrize("sets", [True, False])
def test_a_change_costs_the_same_whatever_waits(sets: bool) -> None:
    assert exponent(lambda count: adds(count, sets)) < STEEPEST


@pytest.mark.parametrize(
    ("path", "most"),
    [
        (lambda number: b"/project/src/a file with a name %d" % number, 400),
        (lambda number: b"/project/src/module %d/a file with a name %d" % (number // 20, number), 400),
        (lambda number: b"/a/b/c/d/e/f/g/h %d/a file with a name %d" % (number // 20, number), 400),
        (lambda number: b"/project/src/module %d/f" % number, 400),
        (lambda number: b"/project/src/module %d/deep/er/f" % number, 400),
    ],
    ids=["in one directory", "20 in each", "deep", "one in each", "one in each tree"],
)
def test_a_pending_change_takes_few_bytes_beside_its_path(path: Callable[[int], bytes], most: int) -> None:
    count = 3000
    paths = [path(number) for number in range(count)]
    queue = Queue(sets=True, on_move=False)
    gc.collect()
    tracemalloc.start()
    try:
        for number, changed in enumerate(paths):
            queue.add(MODIFY, float(number), changed)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 100 < taken / count < most


def test_taking_and_finishing_a_batch_costs_by_its_size() -> None:
    def cost(count: int) -> int:
        queue = queue_with(count, sets=True)

        def work() -> None:
            taken = queue.select(None)
            queue.activate(taken)
            for delay in taken:
                queue.remove(delay)

        return steps(work)

    assert exponent(cost) < STEEPEST


def test_taking_one_after_the_other_costs_by_their_number() -> None:
    def cost(count: int) -> int:
        queue = queue_with(count, sets=False)

        def work() -> None:
            while (delay := queue.first_due(1.0, 10**9)) is not None:
                queue.activate([delay])
                queue.remove(delay)

        return steps(work)

    assert exponent(cost) < STEEPEST


def test_deleting_a_directory_with_much_pending_below_costs_once() -> None:
    def cost(count: int) -> int:
        queue = Queue(sets=True, on_move=False)
        for number in range(count):
            queue.add(CREATE, 0.0, b"/d/f%d" % number)
        return steps(lambda: queue.add(DELETE, 0.0, b"/d/"))

    assert cost(SIZES[1]) <= cost(SIZES[0]) + 50


@pytest.mark.parametrize("below", [b"/d/f%d", b"/%d"])
def test_a_move_costs_the_same_however_many_others_it_meets(below: bytes) -> None:
    def cost(count: int) -> int:
        queue = Queue(sets=True, on_move=True, chains_moves=True)
        for number in range(count):
            queue.add(MOVE, 0.0, b"/from%d" % number, below % number)
        return steps(lambda: queue.add(MOVE, 0.0, b"/d/", b"/e/") and None)

    assert cost(SIZES[1]) <= cost(SIZES[0]) + 50


def test_five_hundred_patterns_cost_as_one() -> None:
    def cost(count: int) -> int:
        filters = Filters()
        for number in range(count):
            filters.add_exclude(b"*.t%d" % number)
        filters.excludes_path(b"/warm")  # compiled once
        return steps(lambda: [filters.excludes_path(b"/some/dir/file%d" % number) for number in range(100)] and None)

    assert cost(500) <= cost(1) * 1.1


def test_watching_reads_each_directory_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        (tmp_path / f"src/a{number % 6}/b{number}").mkdir(parents=True)
    read: list[bytes] = []
    scandir = os.scandir

    def counted(path: bytes) -> object:
        read.append(os.path.realpath(path))  # it is read through a descriptor
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    monitor = InotifyMonitor("CloseWrite", lambda directory: True, lambda *parts: None)
    try:
        monitor.watch(os.fsencode(tmp_path) + b"/src/")
        assert len(monitor.watched()) == 67
        assert len(read) == len(set(read)) <= 67
    finally:
        monitor.close()


CONFIGS = {
    "lua": 'settings{logfile = "BOX/log", nodaemon = true}\n'
    'sync{default.rsync, source = "BOX/src", target = "BOX/trg", delay = 0, rsync = {binary = "/bin/true"}}',
    "toml": '[settings]\nlogfile = "BOX/log"\nnodaemon = true\n[[sync]]\naction = "rsync"\nsource = "BOX/src"\n'
    'target = "BOX/trg"\ndelay = 0\nrsync.binary = "/bin/true"',
}

MOST_CALLS = 345
"""Of Python's functions, from the write of a file to the end of its transfer; some 40 of them are the log's, for two
lines."""
MOST_CALLS_TO_THE_START = 150


class Running:
    """A config's sync at work, without a daemon's process; `finish` turns the loop until nothing is left to do."""

    def __init__(self, box: Path, language: str, text: str) -> None:
        for name in ("src/a/b", "trg"):
            (box / name).mkdir(parents=True)
        file = box / f"config.{language}"
        file.write_text(text.replace("BOX", str(box)))
        clock, manager = MonotonicClock(), make_manager()
        self.log, self.loop = Log(clock), Loop()
        hooks = Hooks(manager.hook, self.log, clock.now)
        self.host = Host(clock, self.log, Processes(self.loop, self.log, clock), hooks)
        self.config = LuaConfig(self.host, self.loop, Installed(manager.actions(), ["inotify"]), {})
        self.config.run_file(str(file))
        settings = self.config.finish()
        self.config.lock()
        self.log.configure(nodaemon=True, logfile=settings.logfile)
        self.log.detach()
        monitors = {"inotify": MonitorKind("inotify", InotifyMonitor)}
        self.runner = Runner(self.host, self.loop, self.config, settings, monitors)
        self.runner.start(lambda: None)
        (self.sync,) = self.runner.syncs
        self.finish()

    def turn(self) -> None:
        if self.loop.turn(self.runner.timeout()):
            self.runner.touch()
        self.runner.cycle()

    def finish(self) -> None:
        while len(self.sync.queue) or len(self.sync.transfers):
            self.turn()

    def close(self) -> None:
        self.runner.close()
        self.host.processes.close()
        self.log.close()
        self.loop.close()


@pytest.mark.parametrize("language", CONFIGS)
def test_a_change_and_its_transfer_cost_few_calls(tmp_path: Path, language: str) -> None:
    calls = spawned = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls, spawned
        calls += event == "call"
        if event == "c_call" and getattr(argument, "__name__", "") == "posix_spawnp":
            spawned = calls

    found = []
    with closing(Running(tmp_path, language, CONFIGS[language])) as running:
        for number in range(40):  # how many turns it takes is the kernel's to say: the best counts
            (tmp_path / "src/a/b/f").write_text(str(number))
            calls = 0
            sys.setprofile(note)
            try:
                running.turn()
                running.finish()
            finally:
                sys.setprofile(None)
            found.append((calls, spawned))
            if number >= 7 and min(found)[0] <= MOST_CALLS:
                break
    assert (tmp_path / "log").read_text().count("Finished a list") == len(found)
    assert min(found)[0] <= MOST_CALLS, found
    assert min(spawned for _, spawned in found) <= MOST_CALLS_TO_THE_START, found


def test_what_has_changed_is_known_before_a_transfer_is_collected(tmp_path: Path) -> None:
    """Whether anything is unread costs one system call; a change that comes in the same moment is not missed."""
    with closing(Running(tmp_path, "lua", CONFIGS["lua"])) as running:
        running.host.processes.before_end()
        assert len(running.sync.queue) == 0
        (tmp_path / "src/f").touch()
        running.host.processes.before_end()
        assert len(running.sync.queue) == 1
        running.finish()


def test_it_is_known_also_where_poll_refuses(tmp_path: Path) -> None:
    """The process may have fewer descriptors by now than it has (prlimit(1))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(Running(tmp_path, "lua", CONFIGS["lua"])) as running:
        (tmp_path / "src/f").touch()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            running.host.processes.before_end()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(running.sync.queue) == 1
        running.finish()


def test_an_idle_daemon_does_not_wake_up(tmp_path: Path) -> None:
    (tmp_path / "src/d").mkdir(parents=True)
    text = f"""settings{{statusFile = "{tmp_path}/status", statusInterval = 0}}
    sync{{default.native, source = "{tmp_path}/src", target = "{tmp_path}/trg", delay = 0}}"""
    with Daemon(tmp_path, lua=text) as daemon:
        daemon.wait_for("Startup of")
        before = settled(daemon)
        for _ in range(20):
            # other work for two seconds or so: the daemon has no part in it
            sum(number * number for number in range(1_000_000))
        assert wakeups(daemon) == before


def wakeups(daemon: Daemon) -> int:
    """Voluntary context switches of all threads."""
    tasks = Path(f"/proc/{daemon.process.pid}/task").iterdir()
    return sum(
        int((task / "status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for task in tasks
    )


def settled(daemon: Daemon) -> int:
    """The number once it has stopped to grow for a while."""
    last = -1
    while (now := wakeups(daemon)) != last:
        last = now
        for _ in range(5):
            sum(number * number for number in range(1_000_000))
    return last
