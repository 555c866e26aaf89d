"""Paths that rsync could not transfer (exit code 23) are tried again by themselves (spec 6 row 16b).

They wait outside the queue, longer each time, and come back in runs of their own, so they hold up
nothing else. Which they are rsync tells (complaints.py, failing.py); where it is unclear, all of the batch are
tried again: those that were transferred cost a look. A directory of which nothing but the attributes could not be
set has arrived: nothing else can be done about it, and there is one warning.

A file that does not fit on the target (exit code 11) ends rsync before it comes to those behind it. It waits apart
in the queue, with all that are as large; the rest goes on.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from orchestrator.api import AGAIN, OK, EventList, counted, next_pause
from orchestrator_rsync.changes import changes_of
from orchestrator_rsync.complaints import Complaints
from orchestrator_rsync.failing import local_target, of_batch, of_full_run, room_below, roots_of, without_room
from orchestrator_rsync.fullagain import FullAgain
from orchestrator_rsync.leftovers import remove_leftovers
from orchestrator_rsync.looks import Looks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api import Agent, Event, Inlet, Outcome, Verdict
    from orchestrator_rsync.failing import Failing
    from orchestrator_rsync.filterlist import Change

PARTIAL = 23
NO_ROOM = 11
SIGNALLED = 128
MOST_OF_A_FULL_RUN = 1000
"""Paths that are tried again by themselves; where more failed, everything is."""

MOST_WARNED = 1000
"""Directories that there is a warning for."""

_CUT_OFF = re.compile(rb"connection unexpectedly closed \((?!0 bytes)")
"""What rsync says whose other half is gone in the midst of it."""

TOLD = 500
"""Bytes of rsync's stderr in the log line."""


@dataclass
class Run:
    """One run of rsync. `began`: in seconds since 1970."""

    complaints: Complaints = field(default_factory=Complaints)
    began: float = field(default_factory=time.time)


@dataclass
class Lane:
    """One sync's failing paths, with whether all below them is meant.

    `pause` is the last one, in seconds; `is_waiting`: it is not over yet. `looks`: when the sync's runs were. `full`:
    of runs over everything. `broken`: files that rsync was killed over. `warned`: directories whose attributes can't be
    set. `runs`: those under way, by the first change that each serves.
    """

    paths: dict[bytes, bool] = field(default_factory=dict)
    pause: float = 0.0
    is_waiting: bool = False
    looks: Looks = field(default_factory=Looks)
    broken: set[bytes] = field(default_factory=set)
    warned: set[bytes] = field(default_factory=set)
    runs: dict[int, Run] = field(default_factory=dict)
    full: FullAgain = field(default_factory=FullAgain)

    def begin(self, agent: Agent) -> Run:
        """A run begins: what rsync says is to be told to its `complaints`."""
        run = self.runs[agent.delays[0].seq] = Run()
        return run

    def forget(self, run: Run) -> None:
        """The run is over, whoever was told of its end."""
        if self.runs:  # else it was collected, as nearly always
            self.runs = {key: value for key, value in self.runs.items() if value is not run}

    def end_of(self, agent: Agent) -> Run:
        """The run that has just ended."""
        run = self.runs.pop(agent.delays[0].seq, None) or Run()
        run.complaints.end()
        return run

    def holds(self, event: Event) -> bool:
        return event.raw_path in self.paths

    def widened(self, change: Change) -> Change:
        """A path comes back as if modified: what is gone, with all below it, is still to be gone."""
        return change._replace(whole=change.whole or self.paths.get(change.path, False))


class Lanes:
    """The lanes of all syncs of an action."""

    def __init__(self, *, by_paths: bool = True) -> None:
        """`by_paths`: single paths can be tried again, by `spawn_changes`; else only all at once."""
        self._by_paths = by_paths
        self._lanes: WeakKeyDictionary[Inlet, Lane] = WeakKeyDictionary()

    def of(self, inlet: Inlet) -> Lane:
        lane = self._lanes.get(inlet)
        if lane is None:
            lane = self._lanes[inlet] = Lane()
        return lane

    def collect(self, outcome: Outcome, exit_codes: Mapping[int, Verdict] | None) -> list[bytes] | None:
        """A run has ended. Where the user's table says of 23 anything but `ok`, that is what counts.

        Gives the failed paths, as in `Collected`.
        """
        agent, exit_code = outcome.agent, outcome.exit_code
        inlet = agent.inlet
        lane = self.of(inlet)
        run = lane.end_of(agent)
        complaints = run.complaints
        verdict = None if exit_codes is None else exit_codes.get(exit_code)
        if verdict != OK:
            if isinstance(agent, EventList):
                changes = changes_of(agent)
                if exit_code > SIGNALLED or _CUT_OFF.search(outcome.stderr):
                    _clean_up(inlet, lane, changes, run.began)
                if exit_code == NO_ROOM and verdict == AGAIN:
                    return without_room(complaints, changes, inlet.source, roots_of(inlet))
            elif exit_code == NO_ROOM and verdict == AGAIN:
                lane.full.max_size = room_below(complaints, inlet.source, roots_of(inlet))
            return None
        is_partial = False
        if isinstance(agent, EventList):
            is_partial = _collect_batch(lane, agent, outcome, complaints if exit_code == PARTIAL else None)
        elif lane.full.max_size is not None:
            lane.full.max_size = None
            is_partial = True
            _make_again(inlet, lane, outcome.stderr)
        elif exit_code == PARTIAL:
            is_partial = _collect_full(lane, outcome, complaints, self._by_paths)
        else:
            lane.full.succeeded()
        inlet.report_retrying(len(lane.paths) + (lane.full.plan is not None))
        return [] if is_partial else None


def _collect_batch(lane: Lane, events: EventList, outcome: Outcome, complaints: Complaints | None) -> bool:
    """Whether anything of it failed: the lane tries that again."""
    if complaints is None and not (lane.paths or lane.broken):
        return False  # as nearly always
    inlet = events.inlet
    changes = [lane.widened(change) for change in changes_of(events)]
    lane.broken.difference_update(change.path for change in changes)
    failing: list[Change] = []
    if complaints is not None:
        found = None if complaints.is_unclear else of_batch(complaints.named, changes, roots_of(inlet))
        failing = changes if found is None else found.changes
        _warn_of_attributes(inlet, lane, found, outcome.stderr)
    for change in changes:
        lane.paths.pop(change.path, None)
    lane.paths.update(failing)
    if failing:
        _wait(inlet, lane, outcome.stderr)
    elif not lane.paths:
        lane.pause = 0.0
    return bool(failing)


def _clean_up(inlet: Inlet, lane: Lane, changes: list[Change], began: float) -> None:
    """rsync was killed, or its other half, and may have left half a file. On another host the next run removes it."""
    files = [change.path for change in changes if change.path[-1:] != b"/"]
    target = local_target(inlet)
    if target is None:
        lane.broken.update(files)
    else:
        remove_leftovers(target, inlet.source, files, began)


def _collect_full(lane: Lane, outcome: Outcome, complaints: Complaints, by_paths: bool) -> bool:
    """Whether anything failed: the lane tries that again, or everything."""
    inlet = outcome.agent.inlet
    found = None if complaints.is_unclear else of_full_run(complaints.named, inlet.source, roots_of(inlet))
    if found is None or len(found.changes) > (MOST_OF_A_FULL_RUN if by_paths else 0):
        _make_again(inlet, lane, outcome.stderr)
        return True
    lane.full.succeeded()
    _warn_of_attributes(inlet, lane, found, outcome.stderr)
    if found.changes:
        lane.paths.update(found.changes)
        _wait(inlet, lane, outcome.stderr)
    return bool(found.changes)


def _warn_of_attributes(inlet: Inlet, lane: Lane, found: Failing | None, stderr: bytes) -> None:
    """Once for each directory: rsync tries, and complains, with each run that touches it."""
    directories = [] if found is None else [path for path in found.directories if path not in lane.warned]
    if not directories or len(lane.warned) > MOST_WARNED:
        return
    lane.warned.update(directories)
    more = f" (and of {len(directories) - 1} more)" if len(directories) > 1 else ""
    inlet.log(
        "Warn",
        "rsync could not set all attributes of the directory ", directories[0],
        f"{more} on the target; what is in it has been transferred, and nothing is tried again",
        _told(stderr),
    )  # fmt: skip


def _make_again(inlet: Inlet, lane: Lane, stderr: bytes) -> None:
    pause = lane.full.failed(inlet)
    if pause is not None:
        words = f"rsync could not transfer everything; one more full run in {counted(round(pause), 'second')}"
        inlet.log("Warn", words, _told(stderr))


def _wait(inlet: Inlet, lane: Lane, stderr: bytes) -> None:
    if lane.is_waiting:
        return
    pause = next_pause(lane.pause, float(inlet.config.get("delay") or 0.0))
    if pause > lane.pause:
        inlet.log(
            "Warn",
            f"rsync could not transfer everything; "
            f"{counted(len(lane.paths), 'path is', 'paths are')} tried again in {counted(round(pause), 'second')}",
            _told(stderr),
        )
    lane.pause = pause
    lane.is_waiting = True

    def again() -> None:
        lane.is_waiting = False
        for path in list(lane.paths):
            inlet.retry(path)

    inlet.after(pause, again)


def _told(stderr: bytes) -> bytes:
    text = stderr.strip()
    return b": " + text[-TOLD:] if text else b""
