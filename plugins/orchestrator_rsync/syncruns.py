"""The runs of rsync, and the paths of theirs that are tried again by themselves (spec 6 row 16b).

Paths that rsync could not transfer (exit code 23) wait outside of the queue, longer each time, and come back in runs of
their own, so they hold up nothing else. rsync names them (complaints.py, failing.py); where it is unclear which they
are, all of the batch are tried again: those that were transferred cost a comparison. A directory of which nothing but
the attributes could not be set has arrived: nothing else can be done about it, and there is one warning.

A file that does not fit on the target (exit code 11) ends rsync before it comes to those behind it. It waits apart
in the queue, with all that are as large; the rest goes on.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from orchestrator.api import AGAIN, OK, Collected, Event, EventList, PerSync, RetryList, counted, etypes
from orchestrator_rsync.changes import changes_of
from orchestrator_rsync.complaints import Complaints
from orchestrator_rsync.failing import local_target, of_batch, of_full_run, room_below, roots_of, without_room
from orchestrator_rsync.filterlist import ChangedPath
from orchestrator_rsync.fullretry import FullRetry
from orchestrator_rsync.leftovers import remove_leftovers
from orchestrator_rsync.missing import MissingNames
from orchestrator_rsync.parts import Allowances
from orchestrator_rsync.quickcheck import QuickCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api import Agent, Inlet, Outcome, Verdict
    from orchestrator_rsync.failing import Failing

PARTIAL = 23
NO_ROOM = 11
SIGNALLED = 128
MOST_OF_A_FULL_RUN = 1000
"""Paths that are tried again by themselves; where more failed, everything is."""

MOST_WARNED = 1000
"""Directories that there is a warning for."""

_CUT_OFF = re.compile(rb"connection unexpectedly closed \((?!0 bytes)")
"""rsync's message where its other half has ended in the midst of the work."""

SHOWN = 500
"""Bytes of rsync's stderr in the log line."""


class RsyncRun:
    """One run of rsync. `began`: in seconds since 1970."""

    __slots__ = ("began", "complaints")

    def __init__(self) -> None:
        self.complaints = Complaints()
        self.began = time.time()


class SyncRuns:
    """The runs of one sync, and all that they leave for the next ones.

    `retry_list`: the failing paths, with whether all below them is meant. `full_retry`: when everything is tried again.
    `quick_check`: when the runs were. `broken`: files that rsync was killed over, on another host or with
    another daemon. `warned`: directories whose attributes can't be set.
    `has_said_unfit`: the log has why no names are listed. `missing`: whether
    listed names can be deleted. Of the parts of a startup: `allowances`: what each may delete; `max_sizes`: bytes of
    the largest file of its next run, by its place in the queue.
    """

    def __init__(self, delay: float) -> None:
        """`delay` in seconds: the first pause until failing paths are tried again."""
        self.retry_list: RetryList[bool] = RetryList(delay)
        self.full_retry = FullRetry(delay)
        self.quick_check = QuickCheck()
        self.allowances = Allowances()
        self.max_sizes: dict[int, int | None] = {}
        self.broken: set[bytes] = set()
        self.warned: set[bytes] = set()
        self.has_said_unfit = False
        self.missing = MissingNames()
        self._running: dict[int, RsyncRun] = {}  # by the first change that each serves

    def begin(self, agent: Agent) -> RsyncRun:
        """A run begins; feed its `complaints` with what rsync writes to stderr."""
        run = self._running[agent.delays[0].seq] = RsyncRun()
        return run

    def forget(self, run: RsyncRun) -> None:
        """The run is over, even if `end_of` was not called: a config may have a `collect` of its own."""
        if self._running:  # else it was collected, as nearly always
            self._running = {key: value for key, value in self._running.items() if value is not run}

    def end_of(self, agent: Agent) -> RsyncRun:
        """The run that has just ended."""
        run = self._running.pop(agent.delays[0].seq, None) or RsyncRun()
        run.complaints.end()
        return run

    def has_failed(self, event: Event) -> bool:
        """Whether the path of this event failed before."""
        return event.raw_path in self.retry_list.notes

    def widened(self, change: ChangedPath) -> ChangedPath:
        """The change, with all below it where that failed: a path comes back as if modified."""
        return change._replace(whole=change.whole or self.retry_list.notes.get(change.path, False))


class Runs:
    """The runs of all syncs of an action."""

    def __init__(self, *, by_paths: bool = True) -> None:
        """`by_paths`: single paths can be tried again, by `spawn_changes`; else only all at once."""
        self._by_paths = by_paths
        self.of = PerSync(lambda inlet: SyncRuns(inlet.delay)).of
        """The runs of one sync, of its inlet."""

    def has_answered(self, outcome: Outcome) -> bool:
        """Whether a run that serves no change was the one that asks what rsync can do (see missing.py)."""
        inlet = outcome.agent.inlet
        if outcome.agent.delays or not self.of(inlet).missing.answered(outcome.exit_code):
            return False
        inlet.wake()  # the deletions that waited for it
        return True

    def collect(self, outcome: Outcome, exit_codes: Mapping[int, Verdict] | None) -> Collected:
        """A run has ended. Where the user's table says of 23 anything but `ok`, that is what counts."""
        agent, exit_code = outcome.agent, outcome.exit_code
        inlet = agent.inlet
        runs = self.of(inlet)
        run = runs.end_of(agent)
        complaints = run.complaints
        if outcome.lost_connection:
            if isinstance(agent, EventList):
                _clean_up(inlet, runs, changes_of(agent), run.began)
            return Collected(AGAIN)
        verdict = None if exit_codes is None else exit_codes.get(exit_code)
        if exit_code == 0:
            runs.missing.got_through()
        if verdict != OK:
            if isinstance(agent, EventList):
                changes = changes_of(agent)
                if exit_code > SIGNALLED or _CUT_OFF.search(outcome.stderr):
                    _clean_up(inlet, runs, changes, run.began)
                if exit_code == NO_ROOM and verdict == AGAIN:
                    return Collected(failed=without_room(complaints, changes, inlet.source, roots_of(inlet)))
            elif exit_code == NO_ROOM and verdict == AGAIN:
                max_size = room_below(complaints, inlet.source, roots_of(inlet))
                if agent.etype == etypes.PART:
                    runs.max_sizes[agent.delay.seq] = max_size
                else:
                    runs.full_retry.max_size = max_size
            return Collected()
        collected = Collected()
        if isinstance(agent, EventList):
            collected = _collect_batch(runs, agent, outcome, complaints if exit_code == PARTIAL else None)
        elif agent.etype == etypes.PART:
            collected = _collect_part(runs, outcome, complaints)
        elif runs.full_retry.max_size is not None:
            runs.full_retry.max_size = None
            collected = _retry_everything(inlet, runs, outcome.stderr)
        elif exit_code == PARTIAL:
            collected = _collect_full(runs, outcome, complaints, self._by_paths)
        else:
            runs.quick_check.unequal.clear()
            runs.full_retry.succeeded()
        inlet.report_retrying(len(runs.retry_list) + runs.full_retry.is_planned)
        return collected


def _collect_batch(runs: SyncRuns, events: EventList, outcome: Outcome, complaints: Complaints | None) -> Collected:
    """The changes of it that failed are tried again."""
    if complaints is None and not (runs.retry_list.notes or runs.broken or runs.quick_check.unequal):
        return Collected()  # as nearly always
    inlet = events.inlet
    changes = [runs.widened(change) for change in changes_of(events)]
    runs.broken.difference_update(change.path for change in changes)
    failing: list[ChangedPath] = []
    found: Failing | None = None
    if complaints is not None:
        found = None if complaints.is_unclear else of_batch(complaints.named, changes, roots_of(inlet))
        failing = changes if found is None else found.changes
        _warn_of_attributes(inlet, runs, found, outcome.stderr)
    failed = {change.path for change in failing}
    runs.quick_check.unequal.difference_update(change.path for change in changes if change.path not in failed)
    _retry_paths(runs, outcome, changes, failing)
    return _collected(failing, found)


def _clean_up(inlet: Inlet, runs: SyncRuns, changes: list[ChangedPath], began: float) -> None:
    """rsync was killed, or its other half, and may have left half a file. On another host the next run removes it."""
    files = [change.path for change in changes if change.path[-1:] != b"/"]
    target = local_target(inlet)
    if target is None:
        runs.broken.update(files)
    else:
        remove_leftovers(target, inlet.source, files, began)


def _collect_full(runs: SyncRuns, outcome: Outcome, complaints: Complaints, by_paths: bool) -> Collected:
    """The paths that failed are tried again, or everything is."""
    inlet = outcome.agent.inlet
    found = None if complaints.is_unclear else of_full_run(complaints.named, inlet.source, roots_of(inlet))
    if found is None or len(found.changes) > (MOST_OF_A_FULL_RUN if by_paths else 0):
        return _retry_everything(inlet, runs, outcome.stderr)
    runs.full_retry.succeeded()
    runs.quick_check.unequal.intersection_update(change.path for change in found.changes)
    _warn_of_attributes(inlet, runs, found, outcome.stderr)
    _retry_paths(runs, outcome, [], found.changes)
    return _collected(found.changes, found)


def _collect_part(runs: SyncRuns, outcome: Outcome, complaints: Complaints) -> Collected:
    """The paths of a part that failed are tried again, or all of the part is."""
    agent = outcome.agent
    has_left_out = runs.max_sizes.pop(agent.delays[0].seq, None) is not None
    if not has_left_out and outcome.exit_code != PARTIAL:
        return Collected()
    inlet = agent.inlet
    part = inlet.part_of(agent) if isinstance(agent, Event) else None
    is_unclear = complaints.is_unclear or has_left_out
    found = None if is_unclear else of_full_run(complaints.named, inlet.source, roots_of(inlet))
    if part is not None and (found is None or len(found.changes) > MOST_OF_A_FULL_RUN):
        failing = [ChangedPath(subtree, whole=True) for subtree in part.subtrees]
    else:
        failing = found.changes if found is not None else []
        _warn_of_attributes(inlet, runs, found, outcome.stderr)
    _retry_paths(runs, outcome, [], failing)
    return _collected(failing, found)


def _collected(failing: list[ChangedPath], found: Failing | None) -> Collected:
    """The answer for a run of which these changes failed: all else has arrived, but for what directories lack."""
    unsettled = [*(change.path for change in failing), *(found.directories if found is not None else ())]
    return Collected(failed=[] if failing else None, unsettled=unsettled or None)


def _warn_of_attributes(inlet: Inlet, runs: SyncRuns, found: Failing | None, stderr: bytes) -> None:
    """Once for each directory: rsync tries, and complains, with each run that touches it."""
    directories = [] if found is None else [path for path in found.directories if path not in runs.warned]
    if not directories or len(runs.warned) > MOST_WARNED:
        return
    runs.warned.update(directories)
    more = f" (and of {len(directories) - 1} more)" if len(directories) > 1 else ""
    inlet.log(
        "Warn",
        "rsync could not set all attributes of the directory ", directories[0],
        f"{more} on the target; what is in it has been transferred, and nothing is tried again",
        _end_of(stderr),
    )  # fmt: skip


def _retry_everything(inlet: Inlet, runs: SyncRuns, stderr: bytes) -> Collected:
    """Nobody knows which paths failed."""
    pause = runs.full_retry.failed(inlet)
    if pause is not None:
        words = f"rsync could not transfer everything; one more full run in {counted(round(pause), 'second')}"
        inlet.log("Warn", words, _end_of(stderr))
    return Collected(failed=[])


def _retry_paths(runs: SyncRuns, outcome: Outcome, tried: list[ChangedPath], failing: list[ChangedPath]) -> None:
    inlet = outcome.agent.inlet
    pause = runs.retry_list.update(inlet, (change.path for change in tried), dict(failing))
    if pause is not None:
        inlet.log(
            "Warn",
            f"rsync could not transfer everything; {counted(len(runs.retry_list), 'path is', 'paths are')}"
            f" tried again in {counted(round(pause), 'second')}",
            _end_of(outcome.stderr),
        )


def _end_of(stderr: bytes) -> bytes:
    text = stderr.strip()
    return b": " + text[-SHOWN:] if text else b""
