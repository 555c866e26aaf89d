"""All that a plugin may import. Small and stable: what stands here is a promise.

A plugin is a Python distribution with an entry point in the group `orchestrator` that names a
module with hook implementations (`@hookimpl`, see hookspecs.py). Most register an `Action`.

Paths are bytes: a file name need not be UTF-8. Config values are str (`surrogateescape` carries
what is not UTF-8), so a program's arguments may mix both.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import pluggy

from orchestrator.config.model import Config, Option, Options, OwnSettings
from orchestrator.config.selection import SELECTION
from orchestrator.descent import opened
from orchestrator.errors import ConfigError, MonitorError
from orchestrator.lifeline import ends_with_daemon
from orchestrator.logic import event as etypes
from orchestrator.logic import patterns
from orchestrator.logic.backoff import Backoff
from orchestrator.logic.change import Change, Found
from orchestrator.logic.delay import Delay
from orchestrator.logic.difference import ATTRIBUTES, CONTENT, EXTRA, MISSING, TYPE, Compared, Difference, Verified
from orchestrator.logic.division import REST, Division, Part
from orchestrator.logic.endpoint import endpoint_of
from orchestrator.logic.layer3 import VARIABLES, Template, translate, translate_words
from orchestrator.logic.maxdelete import DeletionCount, MaxDelete, max_delete
from orchestrator.logic.text import counted, to_bytes, to_text
from orchestrator.logic.verdict import (
    AGAIN,
    COMMON,
    DIE,
    OK,
    PARTIAL,
    RSYNC_EXIT_CODES,
    SHORT,
    SSH_EXIT_CODES,
    JobResult,
    Verdict,
    Wording,
    classify,
)
from orchestrator.monitor.base import Monitor, MonitorKind
from orchestrator.monitor.sources import SourceWatch
from orchestrator.sync.arguments import argument_room, argument_size
from orchestrator.sync.inlet import Agent, Event, EventList, Inlet, of_paths
from orchestrator.sync.knowledge import Resumable
from orchestrator.sync.outcome import Collected, Outcome
from orchestrator.sync.pathlist import remove_list, write_list
from orchestrator.sync.persync import PerSync
from orchestrator.sync.progress import Progress
from orchestrator.sync.retrylist import RetryList, RetryTimer
from orchestrator.sync.scan import is_there
from orchestrator.sync.spawn import Check, Spawn
from orchestrator.sync.target import Target
from orchestrator.sync.variables import variable_value
from orchestrator.sync.verify import CannotVerify, Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.monitor.pollcycle import PollCycle, Tree
    from orchestrator.monitor.treescan import TreeScan
    from orchestrator.process.sshshare import SshConnection
    from orchestrator.sync.observed import ObservedTransfer
else:
    _LATE = {
        "ObservedTransfer": "orchestrator.sync.observed",
        "SshConnection": "orchestrator.process.sshshare",
        "TreeScan": "orchestrator.monitor.treescan",
        "PollCycle": "orchestrator.monitor.pollcycle",
        "Tree": "orchestrator.monitor.pollcycle",
    }

    def __getattr__(name):
        """What few plugins need is loaded when it is asked for: nobody else is to wait for it at the start."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LATE[name]), name)


__all__ = [
    "AGAIN",
    "API_VERSION",
    "ATTRIBUTES",
    "COMMON",
    "CONTENT",
    "DIE",
    "EXTRA",
    "MISSING",
    "OK",
    "PARTIAL",
    "REST",
    "RSYNC_EXIT_CODES",
    "SELECTION",
    "SHORT",
    "SSH_EXIT_CODES",
    "TYPE",
    "VARIABLES",
    "Action",
    "Agent",
    "Backoff",
    "CannotVerify",
    "Change",
    "Check",
    "Collected",
    "Compared",
    "Config",
    "ConfigError",
    "Delay",
    "DeletionCount",
    "Difference",
    "Division",
    "Event",
    "EventList",
    "Found",
    "Inlet",
    "JobResult",
    "MaxDelete",
    "Monitor",
    "MonitorError",
    "MonitorKind",
    "ObservedTransfer",
    "Option",
    "Options",
    "Outcome",
    "OwnSettings",
    "Part",
    "PerSync",
    "PollCycle",
    "Progress",
    "Resumable",
    "RetryList",
    "RetryTimer",
    "SourceWatch",
    "Spawn",
    "SshConnection",
    "Target",
    "Template",
    "Tree",
    "TreeScan",
    "Verdict",
    "Verified",
    "Verifier",
    "Wording",
    "argument_room",
    "argument_size",
    "classify",
    "counted",
    "endpoint_of",
    "ends_with_daemon",
    "etypes",
    "exit_codes_of",
    "hookimpl",
    "is_there",
    "max_delete_of",
    "of_paths",
    "opened",
    "patterns",
    "remove_list",
    "to_bytes",
    "to_text",
    "translate",
    "translate_words",
    "variable_value",
    "write_list",
]

API_VERSION = 1
"""Goes up when a plugin written for an older version could break."""

hookimpl = pluggy.HookimplMarker("orchestrator")


class Action:
    """How one kind of sync transfers. Lua sees it as `default.<name>`.

    One Action serves all syncs of its kind: it keeps no state of a sync in itself. Only `action`
    must be written. Every method runs on the loop's thread and must not wait for anything: it
    spawns a process (`inlet.spawn`) or a job, and hears of its end in `collect`.
    """

    name: ClassVar[str]
    """Lua's `default.<name>`, TOML's `action = "<name>"`."""

    sets: ClassVar[bool] = True
    """True: a spawn brings paths up to date, whatever happened to them, so changes of one path
    combine by the whole matrix of spec 3.4. False: each kind of change is handed over."""

    chains_moves: ClassVar[bool] = False
    """True: Moves are done as renames on the target, each in its turn, so one that meets another, or the directory
    that it goes into being made, waits and stays a Move. One that fails is brought over otherwise (`Inlet.split`,
    `Inlet.split_behind`). False: a Move that meets anything becomes a Delete and a Create, as in lsyncd."""

    mirrors_source: ClassVar[bool] = False
    """True: mode, owner and the like of the source directory itself are brought over, too; changes of them come as
    Attrib of `/`. Other actions hear nothing of them, as in lsyncd."""

    options: ClassVar[Options] = {}
    """Config keys beside those every sync has, with defaults; unknown keys are refused."""

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Values for keys that every sync has (`delay`, `maxProcesses`, `exitcodes`, …)."""

    wording: ClassVar[Wording] = COMMON
    """The log lines about how a transfer ended, where the common rule judges it (spec 3.7)."""

    checks_types: ClassVar[bool] = True
    """Whether the types of `options` hold in Lua too; lsyncd's own actions take what they get."""

    def prepare(self, config: Config) -> None:
        """Check and complete a sync's config. Raise ConfigError with one clear line."""

    def endpoint(self, config: Config) -> str | None:
        """The host, or service of a host, that the transfers of a sync go to; None: none that others could share.

        While it cannot be reached (`again` after one of rsync's or ssh's exit codes for that), all syncs with
        the same endpoint wait together. Asked once, after `prepare`. See `endpoint_of`.
        """
        return None

    def target(self, config: Config) -> Target | None:
        """The place that the transfers of a sync write to; None: none that the core could look after.

        Asked once, after `prepare`. Source and target must not lie within each other, and nothing is transferred to a
        target that is gone, or another one than before (spec 6 rows 29, 30).
        """
        return None

    def undivided(self, config: Config) -> str | None:
        """Why the startup of a sync is never made in parts; None: it may be.

        Asked once, after `prepare`, of actions that have the option `startupProcesses`, where that is more than 1.
        """
        return None

    def remarks(self, config: Config) -> Sequence[str]:
        """Lines for `orchestrator check` about what the programs that it shows do not say. Asked after `prepare`."""
        return ()

    def resumable(self, config: Config) -> Resumable | None:
        """The promise of an action about its transfers, by which a restart transfers only what has changed since
        (setting `stateDir`). None: nothing, every start is a run over everything.

        Asked once, after `prepare`. It is a promise: after a list of changes that went well, each of their paths is on
        the target as it is in the source; after a startup or full run, everything is. See also `Collected.unsettled`.
        """
        return None

    def resumes(self, inlet: Inlet, cut_off: Sequence[bytes], until: float | None) -> None:
        """Instead of a startup, what has changed since the last daemon ended comes as a list of changes.

        `until`: when its last transfer was over, in seconds since 1970; None: that is unknown, as it was killed,
        perhaps while it transferred some of the paths `cut_off`.
        """

    def init(self, event: Event) -> None:
        """Bring the target up to the source at startup, or the part of it that `Inlet.part_of` names. Left waiting, the
        event is dropped."""

    def full(self, event: Event) -> None:
        """Bring everything up to date once more (crontab, after an overflow)."""
        self.init(event)

    def action(self, inlet: Inlet) -> None:
        """Something is due: take it from the inlet and spawn, or discard it."""
        raise NotImplementedError

    def verify(self, inlet: Inlet, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        """A function that compares source and target by the sync's own rules, and changes nothing.

        `paths`: None for everything; else these alone, without what is below them (leading slash; a directory's ends
        with one). `quick`: by size and time, not by content. What the comparison needs of the config it gets here: it
        is called in a worker thread. For programs see `Inlet.read_program` and `Inlet.through_tunnel`. Raises
        CannotVerify.
        """
        raise CannotVerify(f"the action {self.name} cannot compare source and target")

    def repairs(self, inlet: Inlet, differences: Sequence[Difference]) -> None:
        """A verification has found differences, and changes of their paths follow (of actions without `sets`: a full
        run), though nothing may have changed in the source."""

    def collect(self, outcome: Outcome) -> Verdict | Collected | None:
        """The verdict on a transfer that has ended; None: that of the common rule (spec 3.7) over `exit_codes`.

        A `Collected` says more: which paths failed, and why.
        """
        return None

    def exit_codes(self, agent: Agent) -> Mapping[int, Verdict] | None:
        """The table for the common rule; None: 0 is ok and all else die."""
        return exit_codes_of(agent.inlet.config, "exitcodes")


def max_delete_of(config: Config) -> MaxDelete | None:
    """`maxDelete` of a config itself, whatever the setting says. Raises ConfigError: for `prepare`."""
    try:
        return max_delete(config.get("maxDelete"))
    except ValueError as error:
        raise ConfigError(f'Parameter "maxDelete" {error}.') from None


def exit_codes_of(config: Config, key: str) -> Mapping[int, Verdict] | None:
    """An exit code table of a config (`exitcodes = {[0] = "ok", [5] = "again"}`), None where there is none."""
    return config.derived(_read_exit_codes, key)


def _read_exit_codes(config: Config, key: str) -> Mapping[int, Verdict] | None:
    table = config.get(key)
    return MappingProxyType(dict(table.int_items())) if isinstance(table, Config) else None
