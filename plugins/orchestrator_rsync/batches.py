"""Which changes go together into one run: changes, large files, and paths that failed before (spec 4.2, 6 row 16b)."""

from __future__ import annotations

import os
import stat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.api import REST, Event, etypes, of_paths
from orchestrator_rsync.arguments import (
    Invocation,
    RsyncOptions,
    announced,
    asking_run,
    batch_run,
    deleting_leftovers,
    full_run,
    listed_run,
    rsync_options,
)
from orchestrator_rsync.backups import dated, protecting
from orchestrator_rsync.changes import changes_of
from orchestrator_rsync.failing import local_target
from orchestrator_rsync.filterlist import filterlist, guarded, temporaries
from orchestrator_rsync.listing import Deletions, Names, alike, is_large
from orchestrator_rsync.parts import part_run
from orchestrator_rsync.sharing import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.api import Agent, Check, Delay, EventList, Inlet
    from orchestrator_rsync.arguments import Argument
    from orchestrator_rsync.filterlist import ChangedPath
    from orchestrator_rsync.shell import Login
    from orchestrator_rsync.syncruns import SyncRuns

Test: TypeAlias = "Callable[[Event], Any]"

_IS_WHOLE = attrgetter("whole")

LITTLE = 1 << 20
"""Bytes that rsync may read for nothing rather than be started once more."""

NEVER_LARGE = etypes.SPECIAL | {etypes.DELETE, etypes.MOVE}


def spawn_full(event: Event, runs: SyncRuns) -> None:
    """A run over everything, for an Init, a Full or a Blanket event, or over a part of it. `runs`: the sync's."""
    inlet = event.inlet
    kind = "startup" if event.etype == etypes.INIT else "full"
    filters = inlet.rule_lines() if inlet.filter_lines() else []
    run = full_run(inlet.config, inlet.source, inlet.target, inlet.excludes(), filters)
    announce = f"recursive {kind} rsync: ".encode() + run.message
    part = inlet.part_of(event)
    is_first = part is None or part.number == REST
    if part is not None:
        run = part_run(inlet, part, run.message)
    run = run._replace(argv=with_backups(inlet, run.argv, runs.quick_check.now()))
    max_size = runs.full_retry.max_size if is_first else runs.max_sizes.get(event.delay.seq)
    if max_size is not None:
        run = run._replace(argv=[*run.argv[:-2], f"--max-size={max_size}", *run.argv[-2:]])
    if runs.quick_check.unequal:
        run = run._replace(argv=[*run.argv[:-2], "--checksum", *run.argv[-2:]])
    check = None
    if inlet.max_delete is not None:
        from orchestrator_rsync.deletions import capped, check_of, limit_of  # late: few have a use for it

        limit = limit_of(inlet)
        if part is None:
            check = check_of(inlet, announce)
        elif limit is not None:
            from orchestrator_rsync.partdeletions import check_of_part

            check = check_of_part(inlet, part, announce if is_first else b"", runs.allowances, limit)
        run = run if check is None else run._replace(argv=capped(run.argv))
    if is_first:
        if check is None:
            inlet.log("Normal", announce)
        runs.full_retry.begin()
    _spawn(inlet, event, run, runs, rsync_options(inlet.config).login, check)


def spawn_changes(inlet: Inlet, runs: SyncRuns, test: Test = of_paths) -> None:
    """Runs for what is due and passes the test, while processes are free.

    Paths that failed before never share a run with others. Whichever stands first in the queue goes
    first, so neither can keep the other waiting for ever.
    """
    if not runs.retry_list:
        _spawn_fresh(inlet, runs, test)
        return
    first = inlet.get_event()
    is_failing = first is not None and runs.has_failed(first)
    for failing in (is_failing, not is_failing):
        if inlet.max_processes_reached() is not None:
            return
        if failing:
            _spawn_batch(inlet, inlet.get_events(_both(test, runs.has_failed)), runs)
        else:
            _spawn_fresh(inlet, runs, _both(test, lambda event: not runs.has_failed(event)))


def _spawn_fresh(inlet: Inlet, runs: SyncRuns, test: Test) -> None:
    """By size, where `batchSizeLimit` says so: larger files in runs of their own, all else together."""
    options = rsync_options(inlet.config)
    limit = options.batch_size_limit
    if limit is None:
        _spawn_batch(inlet, inlet.get_events(test), runs, options)
        return
    is_small = _both(test, lambda event: not _is_large(event, limit))
    first = inlet.get_event()
    if first is not None and _is_large(first, limit):
        _spawn_large(inlet, runs, limit, test)
        if inlet.max_processes_reached() is None:
            _spawn_batch(inlet, inlet.get_events(is_small), runs)
    else:
        _spawn_batch(inlet, inlet.get_events(is_small), runs)
        _spawn_large(inlet, runs, limit, test)


def _spawn_large(inlet: Inlet, runs: SyncRuns, limit: float, test: Test) -> None:
    while len(found := inlet.get_events(_first(_both(test, lambda event: _is_large(event, limit))))):
        reached = inlet.max_processes_reached()
        if reached is not None:
            what = "Maximum processes for sync reached" if reached == "sync" else "Maximum process count reached"
            name = next(iter(found)).source_path
            inlet.log("Normal", what, ". Delaying large transfer for sync: ", name)
            return
        _spawn_batch(inlet, found, runs)


def _spawn_batch(inlet: Inlet, events: EventList, runs: SyncRuns, options: RsyncOptions | None = None) -> None:
    """A run over these changes; none where there are none. `options`: the config's."""
    if not events.delays:
        return
    options, source = options or rsync_options(inlet.config), inlet.source
    quick_check = runs.quick_check
    racy = quick_check.racy(source, events.delays) if options.does_quick_check else quick_check.unlike(events.delays)
    by_checksum = len(racy) == len(events.delays)
    if racy and not by_checksum:
        events, by_checksum = _of_one_kind(inlet, events, racy)
    changes = changes_of(events, options)
    has_failed = bool(runs.retry_list)
    if has_failed:
        changes = [runs.widened(change) for change in changes]
    run: Invocation | None = None
    if options.listed is not False and (options.listed or is_large(source, changes)):
        if options.unfit:
            _say_unfit(inlet, runs, options)
        else:
            names = _names(inlet, changes, runs, options)
            found = {change: None if change.path in runs.broken else names.of(change) for change in changes}
            if names.wants_deletions and runs.missing.is_unknown:
                _ask(inlet, runs, options)
                return
            events, changes, run = _of_one_way(inlet, events, changes, found, names.gone, runs, options, by_checksum)
    if run is not None:
        run = announced(run, filterlist(changes))
    elif runs.broken or any(map(_IS_WHOLE, changes)):
        run = _guarded_run(inlet, changes, runs, options, by_checksum)
    else:
        run = batch_run(options, source, filterlist(changes), by_checksum=by_checksum)
    if options.has_backups:
        run = run._replace(argv=with_backups(inlet, run.argv, runs.quick_check.now()))
    is_repeated = has_failed and all(map(runs.has_failed, events))
    # a list that is tried again was logged before, and may be many times
    announce = run.message + b"\n".join(inlet.log_lines(run.entries, is_short=is_repeated))
    _spawn(inlet, events, run, runs, options.login, announce=announce)


def _guarded_run(
    inlet: Inlet, changes: list[ChangedPath], runs: SyncRuns, options: RsyncOptions, by_checksum: bool
) -> Invocation:
    """A filter list with what a killed rsync has left, and where excluded files must be spared."""
    leftovers = temporaries(change.path for change in changes if change.path in runs.broken)
    rules = inlet.rule_lines() if leftovers or any(map(_IS_WHOLE, changes)) else []
    entries = guarded(changes, rules) if rules else filterlist(changes)
    deletes = not leftovers or options.deletes
    run = batch_run(options, inlet.source, entries + leftovers if deletes else entries, by_checksum=by_checksum)
    return run if deletes else deleting_leftovers(run, leftovers)


def remarks(options: RsyncOptions) -> Sequence[str]:
    """Lines about how changes travel."""
    if options.listed is False:
        return ()
    if options.unfit:
        return (f"changes go by filter lists: {_words(options)} would mean something else with a list of names",)
    when = "always" if options.listed else "where directories are large, or changes many"
    return (f"changes go by a list of names {when} (rsync.listed)",)


def _words(options: RsyncOptions) -> str:
    return " ".join(f"--{name}" for name in options.unfit)


def _say_unfit(inlet: Inlet, runs: SyncRuns, options: RsyncOptions) -> None:
    if not runs.has_said_unfit:
        runs.has_said_unfit = True
        words = f"rsync gets filter lists for {inlet.name}: {_words(options)} would mean something else with names."
        inlet.log("Debug", words)


def _names(inlet: Inlet, changes: list[ChangedPath], runs: SyncRuns, options: RsyncOptions) -> Names:
    if not options.deletes:
        deletions = Deletions.NONE
    elif "backup" in options.names or not (runs.missing.are_deleted or runs.missing.is_unknown):
        deletions = Deletions.BY_RULES
    elif runs.missing.is_unknown:
        deletions = Deletions.UNKNOWN
    else:
        deletions = Deletions.BY_NAME
    return Names(
        inlet.source,
        (change.path.rstrip(b"/") for change in changes if change.whole),
        is_wary=options.listed is None,
        follows_links=options.follows_links,
        deletions=deletions,
    )


def _ask(inlet: Inlet, runs: SyncRuns, options: RsyncOptions) -> None:
    """Have rsync show what it can do; the changes go afterwards."""
    run = asking_run(options, inlet.source, runs.missing.ask())
    argv, connection = shared(inlet, run.argv)
    nothing = inlet.get_events(lambda event: "break")
    inlet.spawn(nothing, argv, run.stdin, runs.missing.unanswered, through=connection)


def _of_one_way(
    inlet: Inlet,
    events: EventList,
    changes: list[ChangedPath],
    found: Mapping[ChangedPath, bytes | None],
    gone: Sequence[ChangedPath],
    runs: SyncRuns,
    options: RsyncOptions,
    by_checksum: bool,
) -> tuple[EventList, list[ChangedPath], Invocation | None]:
    """The part of these that goes first, and its run with a list of names; None: by a filter list.

    That is the way that the first of them goes. Where the target may take two names for the same, what is deleted
    under one and comes under the other goes by a filter list, with which rsync deletes first. `found`: how a list
    names each change, if it can. `gone`: those of them that are to be deleted.
    """
    unlisted = {alike(change.path) for change, name in found.items() if name is None}
    if gone:
        lost = set(gone)
        here = {alike(change.path) for change, name in found.items() if name and change not in lost}
        unlisted |= here.intersection(alike(change.path) for change in gone)
    pending = iter(changes)
    listed: set[Delay] = set()
    for delay in events.delays:
        ends = [next(pending)] if delay.path2 is None else [next(pending), next(pending)]
        if not unlisted or not any(found[change] is None or alike(change.path) in unlisted for change in ends):
            listed.add(delay)
    is_listed = events.delays[0] in listed
    if 0 < len(listed) < len(events.delays):
        wanted = listed if is_listed else set(events.delays) - listed
        events = inlet.get_events(lambda event: event.delay in wanted)
        changes = list(map(runs.widened, changes_of(events, options)))
    names = dict.fromkeys(name for change in changes if (name := found[change])) if is_listed else {}
    if not names:
        return events, changes, None
    deletes = not set(gone).isdisjoint(changes)
    return events, changes, listed_run(options, inlet.source, list(names), by_checksum=by_checksum, deletes=deletes)


def with_backups(inlet: Inlet, argv: list[Argument], now: float) -> list[Argument]:
    """The arguments of a run whose backups are put where the date says, and none of them is deleted. `now`: seconds
    since 1970."""
    options = rsync_options(inlet.config)
    if not options.has_backups:
        return argv  # as nearly always
    lead, *rest = dated(argv, now)
    place = local_target(inlet) or inlet.target.partition(b":")[2]
    return [lead, *protecting(options.words, place if place.startswith(b"/") else None), *rest]


def _spawn(
    inlet: Inlet,
    agent: Agent,
    run: Invocation,
    runs: SyncRuns,
    login: Login | None,
    check: Check | None = None,
    announce: bytes = b"",
) -> None:
    is_over = runs.quick_check.begin()
    begun = runs.begin(agent)

    def end() -> None:
        runs.forget(begun)
        is_over()

    argv, connection = (run.argv, None) if login is None else shared(inlet, run.argv)
    inlet.spawn(agent, argv, run.stdin, end, check, begun.complaints.feed, announce, connection)


def _of_one_kind(inlet: Inlet, events: EventList, racy: Sequence[Delay]) -> tuple[EventList, bool]:
    """What of these goes first, and whether by checksum: some of them, the racy ones, rsync's quick check may miss.

    A checksum reads the file on both sides, and one that is equal is not written again: where two mirror
    each other, that would be a change to the other one. What the quick check is right about is not to be read
    for the sake of others, unless it is little; what is no file (a deletion, a directory) goes with either.
    """
    to_check = set(racy)
    plain: dict[Delay, int] = {}
    total = 0
    for event in events:
        size = _size_of(event)
        if event.delay in to_check:
            total += size or 0
        elif size is not None:
            plain[event.delay] = size
    if sum(plain.values()) <= max(total, LITTLE):
        return events, True
    by_checksum = next(iter(events)).delay not in plain
    others = plain.keys() if by_checksum else to_check
    wanted = {delay for delay in events.delays if delay not in others}
    events = inlet.get_events(lambda event: event.delay in wanted)
    return events, any(delay in to_check for delay in events.delays)


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
    size = None if event.etype in NEVER_LARGE else _size_of(event)
    return size is not None and size > limit


def _size_of(event: Event) -> int | None:
    """Bytes of a regular file; None for what is none, or is gone."""
    if event.is_dir:
        return None
    try:
        status = os.lstat(event.source_path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
