"""A startup in parts, several at a time (`startupProcesses`, spec 3.5).

First a job looks how large the tree is, and where most of it lies; the Init waits for that. Then the Init is done: with
all but the parts' subtrees (the rest). Until then every change waits, as at any startup. Once it went well each part
has a delay of its own in the queue, which holds the changes below its subtrees alone, and is retried alone.

A tree that is too small, or that lies in one directory, is not divided: then all of it is done with the Init.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from orchestrator.logic.division import REST, divide
from orchestrator.logic.event import ACTIVE, INIT, PART, WAIT
from orchestrator.logic.text import counted
from orchestrator.sync.progress import UNKNOWN, Progress
from orchestrator.sync.treesize import count_tree

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from orchestrator.logic.delay import Delay
    from orchestrator.logic.division import Directory, Division, Part
    from orchestrator.process.child import Child
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.parts import Parts

PROGRESS: Final = 10.0
"""Seconds between two lines about how far it is."""

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class DividedStartup:
    """Of one sync. `processes`: how many parts run at a time. `is_far`: the target is on another host. `division`: the
    parts; None: there are none, or they are not known yet."""

    def __init__(self, parts: Parts, processes: int) -> None:
        self._host = parts.host
        self._log = parts.log
        self._inlet = parts.inlet
        self._queue = parts.queue
        self._life = parts.life
        self._processes = processes
        self.is_far = False
        self._is_counted = False
        self._is_looking = False
        self.division: Division | None = None
        self._looker: Child | None = None
        self._waiting: dict[Delay, Part] = {}  # parts that are not done, running ones, too
        self._done: list[Part] = []

    def is_under_way(self, now: float) -> bool:
        """Whether the tree is being looked through, or was and the Init is to follow, or a part is due."""
        return self._is_looking or self.next_due(now) is not None

    def part_of(self, delay: Delay) -> Part | None:
        """The part that an Init, or one of the parts' delays, stands for; None: everything."""
        if delay.etype == INIT:
            return None if self.division is None else self.division.parts[REST]
        return self._waiting.get(delay)

    # ---- before it ----------------------------------------------------------------------------

    def looks_first(self, init: Delay) -> bool:
        """Whether the startup waits until the tree has been looked through: that is begun if need be."""
        if self._is_counted:
            self._is_looking = False
            return False
        found: list[Directory | None] = []
        source, excludes = self._inlet.source, self._inlet.matcher()

        # its docstring is shown by `orchestrator check`
        def look(stop: threading.Event) -> int:
            """look how large the tree is: if it is worth it, what follows is done in parts, several at a time"""
            found.append(count_tree(source, excludes, stop))
            return 0

        self._queue.activate([init])
        self._is_looking = True
        self._looker = self._host.processes.run_job(look, partial(self._looked, init, found))
        self._looker.serves = self._inlet.name
        return True

    def _looked(self, init: Delay, found: list[Directory | None], child: Child, exit_code: int) -> None:
        """Where it could not be looked through, nothing is divided."""
        self._looker = None
        self._is_looking = self._life.goes_on()
        if self._is_looking:
            tree = found[0] if found and exit_code == 0 else None
            self.adopt(None if tree is None else divide(tree, self._processes, is_far=self.is_far))
        if init in self._queue:
            self._queue.retry(init, init.alarm)

    def leave(self) -> None:
        """The sync is replaced or dropped: nobody needs to know how large the tree is."""
        if self._looker is not None:
            self._host.processes.kill(self._looker)

    def adopt(self, division: Division | None) -> None:
        """The parts are known from now on; None: it is one run."""
        self.division = division
        self._is_counted = True
        if division is not None:
            self._host.alarms.add(self._host.clock.now() + PROGRESS, self._tell)

    # ---- its parts ----------------------------------------------------------------------------

    def next_alarm(self) -> float | None:
        """When a part is due; None: none is, or as many run as may."""
        waiting = [part.alarm for part in self._waiting if part.status == WAIT]
        return min(waiting) if waiting and self._has_room() else None

    def next_due(self, now: float) -> Delay | None:
        """The part to offer next."""
        if not self._waiting or not self._has_room():
            return None
        return next((part for part in self._waiting if part.status == WAIT and part.alarm <= now), None)

    def _has_room(self) -> bool:
        return sum(part.status == ACTIVE for part in self._waiting) < self._processes

    def ends_with(self, agent: Agent) -> bool:
        """Whether nothing is left of the startup when this has gone well."""
        if not any(delay.etype in (INIT, PART) for delay in agent.delays):
            return True
        if self.division is not None and not self._done and not self._waiting:
            return False  # the rest
        return all(delay in agent.delays for delay in self._waiting)

    def goes_on_after(self, delays: Iterable[Delay]) -> bool:
        """These have gone well. Whether parts are left of the startup."""
        division = self.division
        for delay in delays:
            if delay.etype == INIT and division is not None:
                parts = division.parts[REST + 1 :]
                numbers = [part.number for part in parts]
                held = self._queue.divide(self._host.clock.now(), numbers, division.concerned, delay.since)
                self._waiting = {held[part.number]: part for part in parts}
                self._done.append(division.parts[REST])
            elif delay.etype == PART and delay in self._waiting:
                self._done.append(self._waiting.pop(delay))
        return bool(self._waiting)

    def parts_done(self) -> tuple[int, int]:
        """How many parts are done, and how many there are."""
        return len(self._done), 1 if self.division is None else len(self.division.parts)

    def progress(self) -> Progress:
        """How far it is, by the parts that are done. Files: entries of directories, these included."""
        if self.division is None:
            return UNKNOWN
        done, whole = [part.size for part in self._done], self.division.size
        entries, content = sum(size.entries for size in done), sum(size.content for size in done)
        return Progress(entries, whole.entries, content, whole.content)

    def _tell(self) -> None:
        division = self.division
        if division is None or (self._done and not self._waiting) or self._life.is_stopped or self._life.is_leaving:
            return
        done = self.progress()
        self._log(
            "Normal",
            f"{self._inlet.name}: {len(self._done)} of {counted(len(division.parts), 'part')} of the startup done, "
            f"{done.files_done} of {counted(division.size.entries, 'file')}, "
            f"{_shown(done.bytes_done or 0)} of {_shown(division.size.content)}.",
        )
        self._host.alarms.add(self._host.clock.now() + PROGRESS, self._tell)


def _shown(content: float) -> str:
    """Bytes, in a unit in which there are less than a thousand of them."""
    unit = 0
    while content >= 1000 and unit < len(_UNITS) - 1:
        content, unit = content / 1000, unit + 1
    return f"{content:.{1 if unit else 0}f} {_UNITS[unit]}"
