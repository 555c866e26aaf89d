"""The keys that every sync has, whatever its action (spec 2.3, 4.2): one table for checks and documents."""

from __future__ import annotations

from typing import Final

from orchestrator.config.model import Option, Options

SYNC_KEYS: Final[Options] = {
    "source": Option((str,), None, "directory to watch; required"),
    "target": Option((str,), None, "where it goes"),
    "name": Option((str,), None, "name in logs and status; SyncN for the N-th sync"),
    "delay": Option((float,), None, "seconds from a change to its transfer"),
    "maxDelays": Option((float,), 1000, "pending changes that make the sync act before its delay is over"),
    "maxProcesses": Option((int,), 1, "processes of this sync at a time"),
    "exclude": Option((list, str), None, "pattern, or list of patterns, of paths that stay home"),
    "excludeFrom": Option((str,), None, "file with exclude patterns, one a line"),
    "filter": Option((list, str), None, "rules `+ PATTERN` and `- PATTERN`; the first that matches decides"),
    "filterFrom": Option((str,), None, "file with filter rules, one a line"),
    "exitcodes": Option((dict,), None, "exit code → ok, again, die"),
    "batchSizeLimit": Option((int,), None, "bytes; larger files go one by one in runs of their own"),
    "crontab": Option((list, str), None, "rules for full runs: second minute hour day month weekday"),
    "verify": Option(
        (list, str), None, "rules of crontab for comparing source and target; the seconds may be left out"
    ),
    "monitor": Option((str,), None, "where events come from"),
    "settle": Option((float,), None, "seconds that a file must not have changed before it is transferred"),
    "staleAfter": Option(
        (float, bool), None, "seconds after which it counts as stuck; 0 or false: never; not set: as the setting says"
    ),
    "resume": Option((bool,), True, "false: a restart is a run over everything also with the setting stateDir"),
    "targetMarker": Option(
        (str,),
        None,
        "name of a file that must be in the target, or nothing is transferred: where that may be unmounted",
    ),
    "tunnel": Option((dict, str), None, "the tunnel that transfers go through"),
    "init": Option((), None, "function for the startup; false: none"),
    "full": Option((), None, "function for a full run"),
    "action": Option((), None, "function that takes what is due (layer 1)"),
    "collect": Option((), None, "function that judges the end of a process"),
    "prepare": Option((), None, "function that checks and completes the config"),
    "checkgauge": Option((dict,), None, "keys that the check accepts"),
    "onAttrib": Option((), None, "handler of changed attributes (layer 2: a function, layer 3: a string)"),
    "onCreate": Option((), None, "handler of what is new"),
    "onModify": Option((), None, "handler of changed content"),
    "onDelete": Option((), None, "handler of what is gone"),
    "onMove": Option((), None, "handler of moves; true: layer 1 takes Moves"),
    "onStartup": Option((), None, "handler of the startup"),
    "onFull": Option((), None, "handler of a full run"),
    "onBatchStart": Option((), None, "called before a batch is transferred"),
    "onBatchEnd": Option((), None, "called when a batch has been transferred, or has failed"),
    "_source": Option((str,), None, "the source as it was written; set by the daemon"),
}
