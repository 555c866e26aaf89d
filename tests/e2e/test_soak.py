"""A long time of changes in a tree that grows and shrinks, with resets: nothing piles up.

`make soak` takes an hour (SOAK_SECONDS); SOAK_EVENTS=100000 goes on until the kernel has had so many events to tell.
The figures are printed at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.processes import is_lifeline
from tests.kit.trees import text_of

SECONDS = float(os.environ.get("SOAK_SECONDS", "5"))
EVENTS = int(os.environ.get("SOAK_EVENTS", "0"))

SYNCS = 5
CONFIG = """
settings {{ statusFile = "{box}/status", statusInterval = 1 }}
sync {{ default.native, source = "{box}/src", target = "{box}/trg/native", delay = 0 }}
sync {{ default.rsync, source = "{box}/src", target = "{box}/trg/rsync", delay = 0 }}
-- layers 1 to 3; one process for each change only in a part of the tree
sync {{ source = "{box}/src", delay = 0, init = false, action = function(inlet)
    local changes = inlet.getEvents(function(event) return event.etype ~= "Full" end)
    local paths = changes.getPaths()
    spawn(changes, "true", "<", table.concat(paths, "\\n"))
end, collect = function(agent, exitcode) return "ok" end }}
sync {{ source = "{box}/few", delay = 0, maxProcesses = 3,
    onCreate = function(event) log("Mine", event.path, event.sourcePathname) spawn(event, "true", event.target) end,
    onDelete = function(event) alarm(now() + 0.1, function(time, path) log("Mine", path) end, event.path) end,
    target = "{box}/trg" }}
sync {{ source = "{box}/few", delay = 0, maxProcesses = 3,
    onCreate = "true ^path", onModify = "true ^path", onDelete = "true ^path" }}
local function tick(time) alarm(time + 0.05, tick) end
alarm(now() + 0.05, tick)
"""


class Held:
    """What the daemon holds: descriptors, threads, children, watches, MB of memory."""

    def __init__(self, daemon: Daemon) -> None:
        proc = Path(f"/proc/{daemon.process.pid}")
        tasks = list((proc / "task").iterdir())
        self.descriptors = len(list((proc / "fd").iterdir()))
        self.threads = len(tasks)
        children = [child for task in tasks for child in text_of(task / "children").split()]
        self.children = len([child for child in children if not is_lifeline(child)])
        self.watches = sum(text_of(info).count("inotify wd:") for info in (proc / "fdinfo").iterdir())
        self.memory = int(text_of(proc / "status").partition("VmRSS:")[2].split()[0]) / 1024

    def counts(self) -> tuple[int, ...]:
        return self.descriptors, self.threads, self.children, self.watches

    def __str__(self) -> str:
        return (
            f"{self.descriptors} descriptors, {self.threads} threads, {self.children} children, "
            f"{self.watches} watches, {self.memory:.1f} MB"
        )


class World:
    """The trees, and how much has happened in them. `events`: of the kernel, as each watch tells of them once."""

    def __init__(self, box: Path) -> None:
        self.box = box
        self.turns = 0
        self.events = 0
        self.resets = 0
        for directory in ("src", "few", "trg/native", "trg/rsync"):
            (box / directory).mkdir(parents=True)

    def turn(self) -> None:
        """The tree grows, then most of it goes."""
        self.turns += 1
        self.grow_and_shrink(self.box / f"src/d{self.turns % 3}", 20, 5)
        self.grow_and_shrink(self.box / f"few/d{self.turns % 3}", 1, 2)

    def grow_and_shrink(self, top: Path, directories: int, files: int) -> None:
        for number in range(directories):
            directory = top / f"e{number}/f"
            directory.mkdir(parents=True)
            for name in range(files):
                (directory / f"{name}").write_text(str(self.turns))
        shutil.rmtree(top)
        # each directory: created, deleted; each file: created, written, deleted
        self.events += (1 + 2 * directories) * 2 + directories * files * 3

    def is_empty(self) -> bool:
        return not any(any((self.box / name).iterdir()) for name in ("src", "few", "trg/native", "trg/rsync"))

    def is_at_rest(self, daemon: Daemon) -> bool:
        status = text_of(self.box / "status")
        return self.is_empty() and status.count("There are 0 delays") == SYNCS and Held(daemon).children == 0

    def settle(self, daemon: Daemon) -> Held:
        # seen twice: what is between two reports has not been seen
        for _ in range(2):
            wait_until(lambda: self.is_at_rest(daemon), f"rest; it said:\n{daemon.said()[-2000:]}", 60)
        looks: list[Held] = []  # one alone may be in the midst of a status file's writing

        def is_same_again() -> bool:
            looks.append(Held(daemon))
            return len({held.counts() for held in looks[-5:]}) == 1 and len(looks) >= 5

        wait_until(is_same_again, "descriptors and watches to stay the same")
        return looks[-1]

    def work(self, daemon: Daemon, seconds: float, events: int = 0) -> None:
        """For so long, and until there were so many events in all."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or self.events < events:
            self.turn()
            if self.turns % 10 == 0:
                self.settle(daemon)
            if self.turns % 100 == 0:
                self.reset(daemon)

    def reset(self, daemon: Daemon) -> None:
        """In the midst of it."""
        self.resets += 1
        self.turn()
        os.kill(daemon.process.pid, signal.SIGHUP)
        daemon.wait_for("--- HUP signal, resetting ---", self.resets)
        self.turn()
        daemon.wait_for("--- Startup ---", self.resets + 1)


@pytest.mark.soak
def test_nothing_piles_up(tmp_path: Path) -> None:
    program("rsync")
    world = World(tmp_path)
    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path)) as daemon:
        daemon.wait_for("Startup of", 2)
        for _ in range(15):  # as much as it holds in the midst of its work, it keeps
            world.turn()
        world.reset(daemon)
        world.work(daemon, min(60, SECONDS / 10))
        before = world.settle(daemon)
        world.work(daemon, SECONDS, EVENTS)
        after = world.settle(daemon)
        transfers = daemon.said().count("Finished")
        print(f"{world.turns} turns, {world.events} events, {transfers} transfers told, {world.resets} resets")
        print(f"before: {before}\nafter:  {after}")
        assert after.counts() == before.counts()
        assert after.memory < before.memory * 1.25 + 8
