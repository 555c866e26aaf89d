"""The config keys of default.csync2, and what a sync's config makes of them: one csync2 command line.

Decides which program, configuration and database are meant; does not run anything.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.api import AGAIN, OK, ConfigError, Option, Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api import Config

OPTIONS: Options = {
    "syncid": Option((str,), None, "csync2's -C name; csync2_<syncid>.cfg must exist in its system directory"),
    "csync2": {
        "binary": Option(
            (str,), "csync2", "the program; looked up in PATH, /usr/sbin and /usr/local/sbin", path="program"
        ),
        "hostname": Option((str,), None, "this host's name in the csync2 configuration (-N)"),
        "database": Option((str,), None, "database directory or URL (-D)", path="file"),
        "config_dir": Option((str,), None, "csync2's system directory (CSYNC2_SYSTEM_DIR)", path="file"),
        "port": Option((int, str), None, "TCP port of the other hosts' csync2 (-p)"),
        "dry_run": Option((bool,), False, "only tell what would be transferred (-d)"),
        "verbose": Option((bool,), False, "log all that csync2 says"),
        "_extra": Option((list,), None, "more arguments, as they are"),
    },
}

EXIT_CODES: Mapping[int, str] = {0: OK, 1: AGAIN}
"""csync2 knows no other: 1 is `some unspecified errors`."""

DEFAULTS: Mapping[str, Any] = {"delay": 1, "maxProcesses": 1, "exitcodes": EXIT_CODES}

SYSTEM_DIRS = ("/etc", "/etc/csync2", "/usr/local/etc", "/usr/local/etc/csync2")
"""Where csync2 may have been built to look: Debian's, SUSE's, and those of `./configure`."""

DATABASE_DIR = "/var/lib/csync2"

_SYNCID = re.compile("[a-z0-9]+")
_SBIN = ("/usr/sbin", "/usr/local/sbin")


class Csync2Settings(NamedTuple):
    """The command line and the environment of one sync's csync2.

    `command` is everything but the mode and its paths, `environment` what differs from ours. No two
    csync2 of the same `database` may run at once.
    """

    syncid: str
    command: tuple[bytes, ...]
    environment: Mapping[str, str]
    database: tuple[str, ...]
    dry_run: bool
    verbose: bool


def settings_of(config: Config) -> Csync2Settings:
    """Read and check a sync's config. Raises ConfigError with one line."""
    syncid = config.get("syncid")
    if not syncid:
        raise ConfigError("Missing 'syncid' parameter.")
    table = config.get("csync2")

    def get(key: str) -> Any:
        return table.get(key) if table is not None else None

    directory = _system_dir(syncid, get("config_dir"))
    path = _config_file(directory, syncid)
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ConfigError(f"Invalid 'syncid' parameter: {path}: {error.strerror}") from None
    if not _SYNCID.fullmatch(syncid):
        raise ConfigError(f"Invalid 'syncid' parameter: {syncid}: csync2 takes lower case letters and digits only")

    command = [_binary(get("binary") or "csync2"), "-C", syncid]
    for flag, key in (("-N", "hostname"), ("-D", "database"), ("-p", "port")):
        if get(key) is not None:
            command += [flag, _argument(get(key))]
    extra = get("_extra")
    command += map(_argument, extra.list() if extra is not None else [])
    return Csync2Settings(
        syncid=syncid,
        command=tuple(map(os.fsencode, command)),
        environment={"CSYNC2_SYSTEM_DIR": directory},
        database=_database(get("database"), get("hostname"), syncid),
        dry_run=bool(get("dry_run")),
        verbose=bool(get("verbose")),
    )


def _argument(value: str | int | float) -> str:
    """Older Luas know no integers: a port may come as 30865.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _config_file(directory: str, syncid: str) -> str:
    return os.path.join(directory, f"csync2_{syncid}.cfg")


def _system_dir(syncid: str, configured: str | None) -> str:
    """csync2 cannot be asked where it was built to look, so the first place that holds the file is meant."""
    named = configured or os.environ.get("CSYNC2_SYSTEM_DIR")
    if named:
        return named
    return next((place for place in SYSTEM_DIRS if os.path.exists(_config_file(place, syncid))), SYSTEM_DIRS[0])


def _binary(name: str) -> str:
    """csync2 lies in sbin, which is missing in many a PATH."""
    if "/" in name:
        return name
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SBIN]
    return next((path for path in (os.path.join(place, name) for place in places) if os.access(path, os.X_OK)), name)


def _database(database: str | None, hostname: str | None, syncid: str) -> tuple[str, ...]:
    """The key by which databases differ: csync2 keeps a file for each host name and syncid in its directory.

    A URL may name one database for several syncids, so there the URL alone counts.
    """
    if database and not database.startswith("/"):
        return (database,)
    return (os.path.normpath(database or DATABASE_DIR), hostname or os.uname().nodename, syncid)
