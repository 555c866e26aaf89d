"""The settings of a daemon: one table of every key, its type and meaning (spec 2.2, 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator.config.model import Config, Option
from orchestrator.config.numbers import number
from orchestrator.config.types import PATH_MAX, shown
from orchestrator.errors import ConfigError
from orchestrator.logic.maxdelete import MaxDelete, max_delete

STALE_AFTER: Final = 600
"""Seconds, where neither setting nor key says another number."""

SETTINGS: Final[Mapping[str, Option]] = {
    "logfile": Option((str,), None, "log to this file; opened anew when it was rotated"),
    "pidfile": Option((str,), None, "file with the daemon's process id, locked while it lives"),
    "nodaemon": Option((bool,), False, "stay in the foreground"),
    "onepass": Option((bool,), False, "do the startup of every sync once, then exit"),
    "statusFile": Option((str,), None, "file with a report of syncs, delays and watches"),
    "statusInterval": Option((float,), 10, "seconds between two writes of the status file at least; 0: each time"),
    "statusHeartbeat": Option(
        (float,), None, "seconds until the status file is written anew though nothing has changed; not set: never"
    ),
    "logfacility": Option(
        (str, int), None, "syslog facility: a name, or its number from 1 to 23 (3: daemon, 16 to 23: local0 to local7)"
    ),
    "logident": Option((str,), None, "syslog ident"),
    "logSync": Option(
        (bool,), False, "`[NAME] ` of the sync before what is logged of it, and before what its transfers say"
    ),
    "logPaths": Option((str,), "all", "which paths of a transfer the log lists: all, or short: the first ten"),
    "insist": Option(
        (bool,), False, "keep trying when a startup fails with a temporary error, or a source is not there yet"
    ),
    "inotifyMode": Option(
        (str,), "CloseWrite", "CloseWrite, Modify, CloseWrite or Modify, CloseWrite only: when a written file counts"
    ),
    "maxProcesses": Option((int,), None, "processes over all syncs"),
    "maxStartups": Option((int,), None, "syncs that do their startups at once; not set: all"),
    "maxDelays": Option((float,), None, "pending changes of a sync that make it act before its delay is over"),
    "delay": Option((float,), None, "seconds from a change to its transfer, for every sync"),
    "transferTimeout": Option(
        (float,), None, "seconds after which a transfer is ended and tried again; not set: never"
    ),
    "staleAfter": Option(
        (float, bool),
        STALE_AFTER,
        "seconds after which a sync counts as stuck: its oldest change is older, or a transfer has moved nothing for"
        " so long; 0 or false: never",
    ),
    "maxDelete": Option(
        (int, str), None, 'files that a full run may delete at most, or their percentage ("10%"); not set: any number'
    ),
    "sshShare": Option(
        (float,),
        None,
        "seconds that an ssh connection shared by all transfers to a host stays open unused; not set: none",
    ),
    "controlSocket": Option(
        (str, bool),
        None,
        "socket that the command `orchestrator` asks; not set: in a directory of the user's; false: none",
    ),
    "controlGroup": Option((str,), None, "group whose members may ask the daemon, but not steer it"),
    "monitor": Option((str,), None, "where events come from: inotify, fanotify, poll, auto"),
    "pollInterval": Option((float,), 30, "seconds between two looks at what is polled, at least"),
    "reload": Option((str,), "all", "what HUP makes anew: all syncs, or those that the config has changed"),
    "stateDir": Option(
        (str,), None, "directory with what the targets are known to have, so a restart transfers only what has changed"
    ),
    "plugins": Option((dict,), None, "settings of plugins: a table for each, by its name"),
    "watchLimit": Option(
        (str,), "terminate", "out of inotify watches: terminate, or degrade: the directories without one are polled"
    ),
}


@dataclass
class Settings:
    """Checked settings. Names as in the config, in snake case. Times are in seconds."""

    logfile: str | None = None
    pidfile: str | None = None
    nodaemon: bool = False
    onepass: bool = False
    status_file: str | None = None
    status_interval: float = 10
    status_heartbeat: float | None = None
    logfacility: str | int | None = None
    logident: str | None = None
    log_sync: bool = False
    log_paths: str = "all"
    insist: bool = False
    inotify_mode: str = "CloseWrite"
    max_processes: int | None = None
    max_startups: int | None = None
    max_delays: float | None = None
    delay: float | None = None
    monitor: str | None = None
    poll_interval: float = 30
    watch_limit: str = "terminate"
    transfer_timeout: float | None = None
    ssh_share: float | None = None
    control_socket: str | Literal[False] | None = None
    """A file; False: none; None: at its usual place."""
    control_group: str | None = None
    stale_after: float | Literal[False] | None = None
    max_delete: int | str | None = None
    reload: str = "all"
    state_dir: str | None = None
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def delete_limit(self) -> MaxDelete | None:
        """The parsed `max_delete`; None where it is not set."""
        return max_delete(self.max_delete)


PATHS: Final = frozenset({"logfile", "pidfile", "statusFile", "controlSocket", "stateDir"})

_CHOICES: Final = {"watchLimit": ("terminate", "degrade"), "reload": ("all", "changed"), "logPaths": ("all", "short")}

_FIELDS: Final = {"statusFile": "status_file", "statusInterval": "status_interval", "inotifyMode": "inotify_mode"} | {
    "statusHeartbeat": "status_heartbeat",
    "maxProcesses": "max_processes",
    "maxStartups": "max_startups",
    "maxDelays": "max_delays",
    "pollInterval": "poll_interval",
    "watchLimit": "watch_limit",
    "logSync": "log_sync",
    "logPaths": "log_paths",
    "transferTimeout": "transfer_timeout",
    "sshShare": "ssh_share",
    "controlSocket": "control_socket",
    "controlGroup": "control_group",
    "staleAfter": "stale_after",
    "maxDelete": "max_delete",
    "stateDir": "state_dir",
}


def settings_by_name(settings: Settings) -> dict[str, Any]:
    """The settings in force by the names that configs use."""
    return {key: getattr(settings, _FIELDS.get(key, key)) for key in SETTINGS}


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Settings from the values of config and command line. Raises ConfigError for an invalid one."""
    settings = Settings()
    for key, value in values.items():
        if value is not None:
            setattr(settings, _FIELDS.get(key, key), checked_setting(key, value))
    return settings


def checked_setting(key: str, value: Any) -> Any:
    """The checked and converted value of a setting. Raises ConfigError for an invalid one."""
    if key == "plugins":
        return _checked_table(key, value)
    checked = _checked(key, value, SETTINGS[key].types)
    if key in _CHOICES and checked not in _CHOICES[key]:
        choices = " or ".join(f'"{choice}"' for choice in _CHOICES[key])
        raise ConfigError(f'setting "{key}" must be {choices}, not {shown(value)}.')
    if key == "maxDelete":
        _check_max_delete(checked)
    if isinstance(checked, str):
        _check_text(key, checked)
    return checked


def _checked_table(key: str, value: Any) -> Any:
    """The table; what is in it is checked by who knows its keys."""
    if isinstance(value, (Config, Mapping)):
        return value
    raise ConfigError(f'setting "{key}" must be a table, not {shown(value)}.')


def _checked(key: str, value: Any, types: tuple[type, ...]) -> Any:
    """The value, converted as lsyncd does: numbers given as strings, and strings given as numbers."""
    if types == (bool,):
        return value not in (False, "false")
    if bool in types and isinstance(value, bool):
        return None if value else False
    if bool in types and value == "false":
        return False
    if isinstance(value, bool):
        raise ConfigError(f'setting "{key}" must be a {_names(types)}, not {str(value).lower()}.')
    if float in types or (int in types and str not in types):
        try:
            result = number(key, value)
        except ValueError as error:
            raise ConfigError(f'setting "{key}" {error}.') from None
        if float in types:
            return result
        return None if math.isinf(result) else int(result)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f'setting "{key}" must be a {_names(types)}, not {shown(value)}.')
    if int in types and isinstance(value, (int, float)):
        return int(value)
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigError(f'setting "{key}" must be a {_names(types)}, not {shown(value)}.')


def _check_text(key: str, text: str) -> None:
    if "\0" in text:
        raise ConfigError(f'setting "{key}" must not hold a NUL byte.')
    if key in PATHS and len(text.encode("utf-8", "surrogateescape")) >= PATH_MAX:
        raise ConfigError(f'setting "{key}" must be shorter than {PATH_MAX} bytes.')


def _check_max_delete(value: Any) -> None:
    try:
        max_delete(value)
    except ValueError as error:
        raise ConfigError(f'setting "maxDelete" {error}, not {shown(value)}.') from None


def _names(types: tuple[type, ...]) -> str:
    return " or ".join({str: "string", int: "number", float: "number", bool: "boolean"}[kind] for kind in types)
