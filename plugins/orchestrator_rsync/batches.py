"""What goes together into one run: changes, large files, and paths that failed before (spec 4.2, 6 row 16b)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.api import Event, etypes
from orchestrator_rsync.arguments import Run, batch_run, full_run, is_on, rsync_table
from orchestrator_rsync.changes import changes_of
from orchestrator_rsync.filterlist import filterlist, guarded, temporaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api import Agent, Check, EventList, Inlet
    from orchestrator_rsync.lane import Lane

Test: TypeAlias = "Callable[[Event], Any]"

NEVER_LARGE = etypes.SPECIAL | {etypes.DELETE, etypes.MOVE}


def is_of_a_path(event: Event) -> bool:
    return event.etype not in etypes.SPECIAL


def spawn_full(event: Event, lane: Lane) -> None:
    """A run over everything, for an Init, a Full or a Blanket event. `lane`: the sync's."""
    inlet = event.inlet
    kind = "startup" if event.etype == etypes.INIT else "full"
    run = full_run(inlet.config, inlet.source, inlet.target, inlet.excludes(), inlet.filter_lines())
    announce = f"recursive {kind} rsync: ".encode() + run.message
    check = None
    if inlet.max_delete is not None:
        from orchestrator_rsync.deletions import capped, check_of  # late: few have a use for it

        check = check_of(inlet, announce)
        run = run if check is None else run._replace(argv=capped(run.argv))
    if check is None:
        inlet.log("Normal", announce)
    lane.full.begin()
    _spawn(inlet, event, run, lane, check)


def spawn_changes(inlet: Inlet, lane: Lane, test: Test = is_of_a_path) -> None:
    """Runs for what is due and passes the test, while processes are free.

    What failed before never shares a run with what did not. Whichever stands first in the queue goes
    first, so neither can keep the other waiting for ever.
    """
    if not lane.paths:
        _spawn_fresh(inlet, lane, test)
        return
    first = inlet.get_event()
    is_failing = first is not None and lane.holds(first)
    for failing in (is_failing, not is_failing):
        if inlet.max_processes_reached() is not None:
            return
        if failing:
            _spawn_batch(inlet, inlet.get_events(_both(test, lane.holds)), lane)
        else:
            _spawn_fresh(inlet, lane, _both(test, lambda event: not lane.holds(event)))


def _spawn_fresh(inlet: Inlet, lane: Lane, test: Test) -> None:
    """By size, where `batchSizeLimit` says so: larger files in runs of their own, all else together."""
    limit = inlet.config.get("batchSizeLimit")
    if not isinstance(limit, (int, float)) or isinstance(limit, bool):
        _spawn_batch(inlet, inlet.get_events(test), lane)
        return
    is_small = _both(test, lambda event: not _is_large(event, limit))
    first = inlet.get_event()
    if first is not None and _is_large(first, limit):
        _spawn_large(inlet, lane, limit, test)
        if inlet.max_processes_reached() is None:
            _spawn_batch(inlet, inlet.get_events(is_small), lane)
    else:
        _spawn_batch(inlet, inlet.get_events(is_small), lane)
        _spawn_large(inlet, lane, limit, test)


def _spawn_large(inlet: Inlet, lane: Lane, limit: float, test: Test) -> None:
    while len(found := inlet.get_events(_first(_both(test, lambda event: _is_large(event, limit))))):
        reached = inlet.max_processes_reached()
        if reached is not None:
            what = "Maximum processes for sync reached" if reached == "sync" else "Maximum process count reached"
            name = next(iter(found)).source_path
            inlet.log("Normal", what, ". Delaying large transfer for sync: ", name)
            return
        _spawn_batch(inlet, found, lane)


def _spawn_batch(inlet: Inlet, events: EventList, lane: Lane) -> None:
    """A run over these changes; none where there are none."""
    if not len(events):
        return
    ignores_times = _is_fooled(inlet) and any(map(lane.looks.may_hide, events))
    if ignores_times and any(event.etype == etypes.ATTRIB for event in events):
        # a file whose attributes alone have changed is not to be sent whole: the one kind goes now, the other next
        are_attribs = next(iter(events)).etype == etypes.ATTRIB
        wanted = {delay for delay in events.delays if (delay.etype == etypes.ATTRIB) == are_attribs}
        events = inlet.get_events(lambda event: event.delay in wanted)
        ignores_times = not are_attribs
    changes = changes_of(events)
    if lane.paths:
        changes = [lane.widened(change) for change in changes]
    excludes, filters = inlet.excludes(), inlet.filter_lines()
    leftovers = temporaries(change.path for change in changes if change.path in lane.broken) if lane.broken else []
    if (excludes or filters) and (leftovers or any(change.whole for change in changes)):
        entries = guarded(changes, excludes, filters)
    else:
        entries = filterlist(changes)
    entries += leftovers
    run = batch_run(inlet.config, inlet.source, inlet.target, entries, ignores_times=ignores_times)
    inlet.log("Normal", run.message)
    _spawn(inlet, events, run, lane)


def _spawn(inlet: Inlet, agent: Agent, run: Run, lane: Lane, check: Check | None = None) -> None:
    inlet.spawn(agent, run.argv, run.stdin, lane.looks.begin(), check)


def _is_fooled(inlet: Inlet) -> bool:
    """Whether rsync decides by size and time."""
    table = rsync_table(inlet.config)
    return table is None or not (is_on(table.get("checksum")) or is_on(table.get("ignore_times")))


def _both(test: Test, more: Callable[[Event], bool]) -> Test:
    """Passes what passes both; a "break" of the first stays one."""

    def passes(event: Event) -> Any:
        answer = test(event)
        return more(event) if answer is True else answer

    return passes


def _first(test: Test) -> Test:
    """Passes the first that passes, and looks no further."""
    is_found = False

    def passes(event: Event) -> Any:
        nonlocal is_found
        if is_found:
            return "break"
        answer = test(event)
        is_found = answer is True
        return answer

    return passes


def _is_large(event: Event, limit: float) -> bool:
    if event.is_dir or event.etype in NEVER_LARGE:
        return False
    try:
        status = os.lstat(event.source_path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > limit
