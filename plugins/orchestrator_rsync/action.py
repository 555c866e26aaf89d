"""The rsync action: what to hand over, when (spec 4.2). What rsync is told stands in arguments.py and filterlist.py."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any, ClassVar

from orchestrator.api import RSYNC_EXIT_CODES, Action, Agent, Config, ConfigError, Event, EventList, Inlet, etypes
from orchestrator_rsync.arguments import Run, batch_run, computed, full_run, with_slash
from orchestrator_rsync.filterlist import Change, filterlist, guarded
from orchestrator_rsync.options import OPTIONS

Test = Callable[[Event], Any]

NEVER_LARGE = etypes.SPECIAL | {etypes.DELETE, etypes.MOVE}


class Rsync(Action):
    name = "rsync"
    sets = True
    options = OPTIONS
    defaults: ClassVar[dict[str, Any]] = {"delay": 15, "exitcodes": dict(RSYNC_EXIT_CODES)}

    def prepare(self, config: Config) -> None:
        target = config.get("target")
        if not isinstance(target, str) or not target:
            raise ConfigError('default.rsync needs "target" configured')
        prepare_rsync(config)
        config.set("target", with_slash(target))

    def init(self, event: Event) -> None:
        spawn_full(event)

    def full(self, event: Event) -> None:
        spawn_full(event)

    def action(self, inlet: Inlet) -> None:
        limit = inlet.config.get("batchSizeLimit")
        if isinstance(limit, (int, float)) and not isinstance(limit, bool):
            spawn_by_size(inlet, limit)
        else:
            spawn_batch(inlet, inlet.get_events(is_of_a_path))


def prepare_rsync(config: Config) -> None:
    """Compute `config.rsync._computed`. Raises ConfigError where it is there already."""
    table = config.get("rsync")
    if not isinstance(table, Config):
        config.set("rsync", {})
        table = config.get("rsync")
    if table.get("_computed") is not None:
        raise ConfigError("please do not use the internal rsync._computed parameter")
    table.set("_computed", computed(table))


def is_of_a_path(event: Event) -> bool:
    return event.etype not in etypes.SPECIAL


def spawn_full(event: Event) -> None:
    """A run over everything, for an Init, a Full or a Blanket event."""
    inlet = event.inlet
    kind = "startup" if event.etype == etypes.INIT else "full"
    run = full_run(inlet.config, inlet.source, inlet.target, inlet.excludes(), inlet.filter_lines())
    _spawn(inlet, event, run, f"recursive {kind} rsync: ")


def spawn_batch(inlet: Inlet, events: EventList) -> None:
    """A run over what changed; none where nothing did."""
    if not len(events):
        return
    changes = changes_of(events)
    excludes, filters = inlet.excludes(), inlet.filter_lines()
    if (excludes or filters) and any(change.whole for change in changes):
        entries = guarded(changes, excludes, filters)
    else:
        entries = filterlist(changes)
    _spawn(inlet, events, batch_run(inlet.config, inlet.source, inlet.target, entries))


def changes_of(events: EventList) -> list[Change]:
    """A deleted directory goes with all below it; so do both ends of a directory's Move."""
    changes: list[Change] = []
    for event in events:
        is_whole = event.is_dir and event.etype in (etypes.DELETE, etypes.MOVE)
        changes.append(Change(event.raw_path, is_whole))
        if event.etype == etypes.MOVE:
            changes.append(Change(event.destination.raw_path, is_whole))
    return changes


def spawn_by_size(inlet: Inlet, limit: float, test: Test = is_of_a_path) -> None:
    """Files over `limit` bytes in runs of their own, all else together, while processes are free.

    What stands first in the queue goes first, so neither kind can keep the other waiting for ever.
    """
    first = inlet.get_event()
    if first is not None and _is_large(first, limit):
        _spawn_large(inlet, limit, test)
        if inlet.max_processes_reached() is None:
            _spawn_small(inlet, limit, test)
    else:
        _spawn_small(inlet, limit, test)
        _spawn_large(inlet, limit, test)


def _spawn_small(inlet: Inlet, limit: float, test: Test) -> None:
    def is_small(event: Event) -> Any:
        answer = test(event)
        return answer is True and not _is_large(event, limit) if answer != "break" else answer

    spawn_batch(inlet, inlet.get_events(is_small))


def _spawn_large(inlet: Inlet, limit: float, test: Test) -> None:
    while len(found := inlet.get_events(_first_large(limit, test))):
        reached = inlet.max_processes_reached()
        if reached is not None:
            what = "Maximum processes for sync reached" if reached == "sync" else "Maximum process count reached"
            name = next(iter(found)).source_path
            inlet.log("Normal", what, ". Delaying large transfer for sync: ", name)
            return
        spawn_batch(inlet, found)


def _first_large(limit: float, test: Test) -> Test:
    is_taken = False

    def is_first(event: Event) -> Any:
        nonlocal is_taken
        if is_taken:
            return "break"
        answer = test(event)
        if answer is True:
            is_taken = answer = _is_large(event, limit)
        return answer

    return is_first


def _is_large(event: Event, limit: float) -> bool:
    if event.is_dir or event.etype in NEVER_LARGE:
        return False
    try:
        status = os.lstat(event.source_path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > limit


def _spawn(inlet: Inlet, agent: Agent, run: Run, lead: str = "") -> None:
    inlet.log("Normal", lead, run.message)
    inlet.spawn(agent, run.argv, run.stdin)
