"""Paths that rsync could not transfer (exit code 23) are tried again by themselves (spec 6 row 16b).

They wait outside the queue, longer each time, and come back in runs of their own, so they hold up
nothing else. rsync does not say in a form to rely on which paths of a batch it was that failed, so
all of the batch are tried again: those that were transferred cost a look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from orchestrator.api import OK, EventList, next_pause
from orchestrator_rsync.changes import changes_of
from orchestrator_rsync.fullagain import FullAgain
from orchestrator_rsync.looks import Looks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api import Agent, Event, Inlet, Verdict
    from orchestrator_rsync.filterlist import Change

PARTIAL = 23
_CUT_OFF = re.compile(rb"connection unexpectedly closed \((?!0 bytes)")
"""What rsync says whose other half is gone in the midst of it."""

TOLD = 500
"""Bytes of rsync's stderr in the log line."""


@dataclass
class Lane:
    """One sync's failing paths, with whether all below them is meant.

    `pause` is the last one, in seconds; `is_waiting`: it is not over yet. `looks`: when the sync's runs were. `full`:
    of runs over everything.
    """

    paths: dict[bytes, bool] = field(default_factory=dict)
    pause: float = 0.0
    is_waiting: bool = False
    looks: Looks = field(default_factory=Looks)
    broken: set[bytes] = field(default_factory=set)
    full: FullAgain = field(default_factory=FullAgain)

    def holds(self, event: Event) -> bool:
        return event.raw_path in self.paths

    def widened(self, change: Change) -> Change:
        """A path comes back as if modified: what is gone, with all below it, is still to be gone."""
        return change._replace(whole=change.whole or self.paths.get(change.path, False))


class Lanes:
    """The lanes of all syncs of an action."""

    def __init__(self) -> None:
        self._lanes: WeakKeyDictionary[Inlet, Lane] = WeakKeyDictionary()

    def of(self, inlet: Inlet) -> Lane:
        lane = self._lanes.get(inlet)
        if lane is None:
            lane = self._lanes[inlet] = Lane()
        return lane

    def collect(self, agent: Agent, exit_code: int, exit_codes: Mapping[int, Verdict] | None) -> None:
        """A run has ended. Where the user's table says of 23 anything but `ok`, that is what counts."""
        inlet = agent.inlet
        lane = self.of(inlet)
        if exit_codes is None or exit_codes.get(exit_code) != OK:
            if isinstance(agent, EventList) and _CUT_OFF.search(inlet.stderr):
                lane.broken.update(change.path for change in changes_of(agent) if change.path[-1:] != b"/")
            return
        if exit_code == PARTIAL:
            inlet.report_partial()
        if not isinstance(agent, EventList):
            if exit_code == PARTIAL:
                _make_again(inlet, lane)
            else:
                lane.full.succeeded()
        elif exit_code == PARTIAL:
            lane.broken.clear()
            lane.paths.update((change.path, change.whole) for change in map(lane.widened, changes_of(agent)))
            _wait(inlet, lane)
        elif lane.paths or lane.broken:
            lane.broken.clear()
            for change in changes_of(agent):
                lane.paths.pop(change.path, None)
            if not lane.paths:
                lane.pause = 0.0
        inlet.report_retrying(len(lane.paths) + (lane.full.plan is not None))


def _make_again(inlet: Inlet, lane: Lane) -> None:
    pause = lane.full.failed(inlet)
    if pause is not None:
        words = f"rsync could not transfer everything; one more full run in {pause:.0f} seconds"
        inlet.log("Warn", words, _told(inlet.stderr))


def _wait(inlet: Inlet, lane: Lane) -> None:
    if lane.is_waiting:
        return
    pause = next_pause(lane.pause, float(inlet.config.get("delay") or 0.0))
    if pause > lane.pause:
        inlet.log(
            "Warn",
            f"rsync could not transfer everything; {len(lane.paths)} paths are tried again in {pause:.0f} seconds",
            _told(inlet.stderr),
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
