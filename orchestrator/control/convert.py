"""`orchestrator convert CONFIG`: a Lua config that has no functions, as TOML (spec 6 "Beyond").

The output means the same as the config, or nothing is printed: the TOML is loaded in its turn, and its syncs, tunnels
and settings are compared with those that the Lua config made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.model import Config, Option
from orchestrator.config.settings import SETTINGS
from orchestrator.control.dry import DryRun
from orchestrator.control.tomltext import NotToml, table
from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.logic.message import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from orchestrator.config.model import Options
    from orchestrator.control.dry import Note
    from orchestrator.control.output import Output
    from orchestrator.sync.sync import Sync

DROPPED: Final[Mapping[str, str]] = {
    "later": "has no counterpart in TOML",
    "call": "calls a module in C, which TOML cannot",
    "load": "is a module in C, which TOML has not",
    "popen": "gives what holds here and now; --for-real runs it and writes that down",
}
"""Kind of note → why TOML cannot express it. All others change something each time the config is loaded."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the TOML. Returns the exit status."""
    return convert(options.config, output, options.lua, for_real=options.for_real, elsewhere=options.elsewhere)


def convert(
    path: str, output: Output, lua: str | None = None, *, for_real: bool = False, elsewhere: bool = False
) -> int:
    """Print the TOML. 1 where something cannot be expressed: each is named on stderr, and nothing is printed.

    Values that the config reads from its surroundings (a variable of the environment, a file, the date) are written
    down as they are here and now, with a comment and a warning. `for_real`: so is the output of commands.
    """
    if not os.path.exists(path):
        raise UsageError(f"Cannot find config file at '{path}'.")
    with DryRun(path, lua, for_real=for_real, elsewhere=elsewhere) as run:
        run.load()
        frozen = [note for note in run.notes if note.kind == "read" or (for_real and note.kind == "popen")]
        problems = [_lost(note) for note in run.notes if note not in frozen]
        words = [f"{note.place}: what {_named_note(note)} gave here and now is written down" for note in frozen]
        lines = [printable(f"# {word}") for word in dict.fromkeys(words)]
        try:
            lines += _settings(run)
            for tunnel in run.config.tunnels:
                lines += [*table(_plain(tunnel, {}, ""), ("tunnel",), is_item=True), ""]
        except NotToml as reason:
            problems.append(f"{run.path}: {reason}.")
        for sync in run.config.syncs:
            try:
                lines += [*_sync(run, sync), ""]
            except NotToml as reason:
                problems.append(f"{_named(run, sync)} cannot be expressed in TOML: {reason}.")
        text = "\n".join(lines).rstrip("\n")
        problems = problems or _differences(run, text, elsewhere=elsewhere)
    for problem in dict.fromkeys(problems):
        output.complain(f"Error: {problem}")
    if problems:
        return 1
    for word in dict.fromkeys(words):
        output.complain(f"Warn: {word}.")
    output.raw(text)
    return 0


def _named_note(note: Note) -> str:
    return f'io.popen("{note.text}")' if note.kind == "popen" else note.text


def _lost(note: Note) -> str:
    why = DROPPED.get(note.kind, f"changes something each time the config is loaded ({note.kind}), which TOML cannot")
    return f"{note.place}: {_named_note(note)} {why}."


def _named(run: DryRun, sync: Sync) -> str:
    return f"{run.config.place_of(sync)}: {sync.name} ({os.fsdecode(sync.source)})"


# ---- what is written ------------------------------------------------------------------------------


def _settings(run: DryRun) -> list[str]:
    values = {key: value for key, value in run.config.own_settings().items() if value is not None}
    for key, value in values.items():
        if key == "plugins":
            continue
        if not isinstance(value, (str, int, float)):
            raise NotToml(f'the setting "{key}" is {_kind(value)}')
        values[key] = _as_setting(value, SETTINGS[key].types)
    return [*table(values, ("settings",)), ""] if values else []


def _as_setting(value: Any, types: tuple[type, ...]) -> Any:
    """As the daemon understands it, so that nobody need know Lua to do the same."""
    if bool in types and (types == (bool,) or isinstance(value, bool) or value == "false"):
        return value not in (False, "false")
    return _fitting(value, types)


def _sync(run: DryRun, sync: Sync) -> Iterator[str]:
    action, own = run.config.own_config(sync)
    values = {"action": action} if action is not None else {}
    tunnel = sync.config.get("tunnel")
    if isinstance(tunnel, Config):
        values["tunnel"] = tunnel.get("name")
    yield from table(values | _plain(own, _options(run, action), ""), ("sync",), is_item=True)


def _options(run: DryRun, action: str | None) -> Options:
    """Every key of a sync."""
    return {**SYNC_KEYS, **(run.manager.actions()[action].options if action is not None else {})}


def _plain(config: Config, options: Options, where: str) -> dict[str, Any]:
    """A table with its values as TOML takes them. Raises NotToml that names the key."""
    values: dict[str, Any] = {}
    for key, value in sorted(config.items()):
        name, option = f"{where}{key}", options.get(key)
        if key == "tunnel" and not where and isinstance(value, Config):
            continue  # by its name
        if isinstance(value, Config):
            values[key] = _table(value, option, name)
        elif isinstance(value, (str, int, float)):
            values[key] = _fitting(value, option.types) if isinstance(option, Option) else value
        else:
            raise NotToml(f'"{name}" is {_kind(value)}')
    return values


def _table(value: Config, option: Option | Options | None, name: str) -> Any:
    items, numbered = value.list(), value.int_items()
    if isinstance(option, Mapping) or value.items():
        if numbered:
            raise NotToml(f'"{name}" has a list beside its keys')
        return _plain(value, option if isinstance(option, Mapping) else {}, f"{name}.")
    if len(items) == len(numbered):
        return [_list_item(item, name) for item in items]
    return {str(code): verdict for code, verdict in numbered}


def _list_item(item: Any, name: str) -> Any:
    if isinstance(item, Config) or not isinstance(item, (str, int, float)):
        raise NotToml(f'a value in "{name}" is {_kind(item)}')
    return item


def _fitting(value: Any, types: tuple[type, ...]) -> Any:
    """The value of one of these types that a Lua user meant: all but false is true, numbers are strings and back."""
    if types == (bool,):
        return value is not False
    if isinstance(value, str) and types and str not in types and not isinstance(value, bool):
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, float) and value.is_integer() and int in types:
        return int(value)
    return value


def _kind(value: Any) -> str:
    return "a table" if isinstance(value, Config) else "a function, which TOML has not"


# ---- whether it means the same ----------------------------------------------------------------------


def _differences(run: DryRun, text: str, *, elsewhere: bool) -> list[str]:
    """Each difference between the TOML and the config, a line each."""
    try:
        data = text.encode("utf-8")
        fd = os.memfd_create("toml", os.MFD_CLOEXEC)
        with open(fd, "wb") as file, DryRun(f"/proc/self/fd/{fd}", elsewhere=elsewhere) as other:
            file.write(data)
            file.flush()
            other.log.is_quiet = True
            other.load(is_toml=True)
            return [*_compared(run, other)]
    except OrchestratorError as error:
        reason = str(error).replace(f"/proc/self/fd/{fd}", "line ").replace("line :", "line ")
        return [f"{run.path}: what would be made of it does not load: {reason}"]


def _compared(run: DryRun, other: DryRun) -> Iterator[str]:
    if run.settings != other.settings:
        yield f"{run.path}: the settings would not be the same."
    if [tunnel.options for tunnel in run.host.tunnels] != [tunnel.options for tunnel in other.host.tunnels]:
        yield f"{run.path}: the tunnels would not be the same."
    if len(run.config.syncs) != len(other.config.syncs):
        yield f"{run.path}: it would have {len(other.config.syncs)} syncs, not {len(run.config.syncs)}."
        return
    for ours, theirs in zip(run.config.syncs, other.config.syncs, strict=True):
        options = _options(run, run.config.action_of[ours.number])
        one = _canonical(run.config.effective_config(ours), options)
        two = _canonical(other.config.effective_config(theirs), options)
        different = sorted(key for key in {*one, *two} if one.get(key) != two.get(key))
        if different:
            keys = ", ".join(f'"{key}"' for key in different)
            yield f"{_named(run, ours)} would not be the same in TOML: {keys} is not what its own tables make of it."
        elif (ours.name, ours.source, ours.options) != (theirs.name, theirs.source, theirs.options):
            yield f"{_named(run, ours)} would not be the same in TOML."


def _canonical(config: Config, options: Options) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for key, value in [*config.items(), *config.int_items()]:
        option = options.get(key) if isinstance(key, str) else None
        if isinstance(value, Config):
            values[key] = _canonical(value, option if isinstance(option, Mapping) else {})
        else:
            values[key] = _fitting(value, option.types) if isinstance(option, Option) else value
    return values
