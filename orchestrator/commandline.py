"""lsyncd's command line (spec 1.1): one table has all options and the values that they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import UsageError

USAGE = """
USAGE:
  runs a config file:
    lsyncd [OPTIONS] [CONFIG-FILE]

  default rsync behaviour:
    lsyncd [OPTIONS] -rsync [SOURCE] [TARGET]

  default rsync with mv's through ssh:
    lsyncd [OPTIONS] -rsyncssh [SOURCE] [HOST] [TARGETDIR]

  default local copying mechanisms (cp|mv|rm):
    lsyncd [OPTIONS] -direct [SOURCE] [TARGETDIR]

OPTIONS:
  -delay SECS         Overrides default delay times
  -help               Shows this
  -insist             Continues startup even if it cannot connect
  -log    all         Logs everything (debug)
  -log    scarce      Logs errors only
  -log    [Category]  Turns on logging for a debug category
  -logfile FILE       Writes log to FILE (DEFAULT: uses syslog)
  -lua VERSION        Runs configs with Lua 5.1, 5.2, 5.3 (default), 5.4 or jit
  -monitor NAME       Uses operating systems event monitor NAME
  -nodaemon           Does not detach and logs to stdout/stderr
  -onepass            Sync once and exit
  -pidfile FILE       Writes Lsyncds PID into FILE
  -script FILE        Runs a Lua file before the config file
  -sshopts "OPTIONS"  Passes more options to ssh for -rsyncssh
  -strict             Refuses, as root, a config that others can change
  -version            Prints versions and exits

LICENSE:
  MIT

SEE:
  `man lsyncd` for further information.
"""


@dataclass
class CommandLine:
    """A parsed command line. `settings` override those of the config; `syncs` are pairs of action and config table.

    `program`: the name that the command was called by.
    """

    program: str = "lsyncd"
    arguments: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    config: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    syncs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ssh_options: list[str] = field(default_factory=list)
    lua: str | None = None
    is_strict: bool = False
    asks_help: bool = False
    asks_version: bool = False
    asks_monitors: bool = False


Handler = Callable[[CommandLine, list[str]], None]


def _setting(key: str, value: Any = None) -> Handler:
    def handle(line: CommandLine, values: list[str]) -> None:
        line.settings[key] = value if value is not None else values[0]

    return handle


def _delay(line: CommandLine, values: list[str]) -> None:
    try:
        delay = float(values[0])
    except ValueError:
        delay = -1.0
    if not 0 <= delay < float("inf"):
        raise UsageError(f"delay must be a number >= 0, not '{values[0]}'")
    line.settings["delay"] = int(delay) if delay.is_integer() else delay


def _log(line: CommandLine, values: list[str]) -> None:
    name = values[0]
    if name not in ("all", "scarce") and not name[:1].isupper():
        raise UsageError(f"'{name}' is not a valid logging category")
    line.log.append(name)


def _ssh_options(line: CommandLine, values: list[str]) -> None:
    import shlex

    try:
        line.ssh_options += shlex.split(values[0])
    except ValueError as error:
        raise UsageError(f"sshopts '{values[0]}' cannot be split: {error}") from None


def _runner(line: CommandLine, values: list[str]) -> None:
    raise UsageError("there is no -runner here: this daemon has no Lua part of its own to replace.")


OPTIONS: dict[str, tuple[int, Handler]] = {
    "help": (0, lambda line, values: setattr(line, "asks_help", True)),
    "version": (0, lambda line, values: setattr(line, "asks_version", True)),
    "log": (1, _log),
    "logfile": (1, _setting("logfile")),
    "pidfile": (1, _setting("pidfile")),
    "nodaemon": (0, _setting("nodaemon", True)),
    "onepass": (0, _setting("onepass", True)),
    "delay": (1, _delay),
    "insist": (0, _setting("insist", True)),
    "rsync": (2, lambda line, values: line.syncs.append(("rsync", {"source": values[0], "target": values[1]}))),
    "rsyncssh": (
        3,
        lambda line, values: line.syncs.append(
            ("rsyncssh", {"source": values[0], "host": values[1], "targetdir": values[2]})
        ),
    ),
    "direct": (2, lambda line, values: line.syncs.append(("direct", {"source": values[0], "target": values[1]}))),
    "sshopts": (1, _ssh_options),
    "script": (1, lambda line, values: line.scripts.append(values[0])),
    "runner": (1, _runner),
    "strict": (0, lambda line, values: setattr(line, "is_strict", True)),
    "lua": (1, lambda line, values: setattr(line, "lua", values[0])),
}
"""Option → the number of its values, and its handler. `monitor`, which takes none or one, is not among them."""


def parse(arguments: Sequence[str], program: str = "lsyncd") -> CommandLine:
    """Parse the command line. Raises UsageError, worded as by lsyncd.

    `program`: the name that the command was called by.
    """
    line = CommandLine(program, list(arguments))
    place = 0
    while place < len(arguments):
        argument = arguments[place]
        place += 1
        if not argument.startswith("-"):
            if line.config is not None:
                raise UsageError("There can only be one config file in the command line.")
            line.config = argument
            continue
        name = argument[2:] if argument.startswith("--") else argument[1:]
        if name == "monitor":
            if place < len(arguments) and not arguments[place].startswith("-"):
                line.settings["monitor"] = arguments[place]
                place += 1
            else:
                line.asks_monitors = True
            continue
        if name not in OPTIONS:
            raise UsageError(f"unknown command line option {argument}")
        count, handle = OPTIONS[name]
        values = list(arguments[place : place + count])
        if len(values) < count:
            raise UsageError(f"{name} needs {count} arguments")
        place += count
        handle(line, values)
    if line.config is not None and line.syncs:
        raise UsageError("There cannot be command line syncs and a config file together.")
    for action, config in line.syncs:
        if action == "rsyncssh" and line.ssh_options:
            config["ssh"] = {"_extra": line.ssh_options}
    return line
