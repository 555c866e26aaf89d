"""TOML configs: read, checked and handed over as plain tables. Another way to call the same `sync`.

Knows nothing of Lua. TOML has no functions, which leaves layers 3 and 4; strings in onCreate and
its like are translated as in a Lua config. Errors name file, line and key. A file may `include` others: each is
checked by itself, and together they are one config.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import tomli

from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.model import DictConfig, Option, Options
from orchestrator.config.settings import SETTINGS
from orchestrator.config.tomlplaces import Path, Places
from orchestrator.config.tomlplaces import shown as shown_path
from orchestrator.config.types import KINDS, fits, kinds, like
from orchestrator.errors import ConfigError
from orchestrator.logic.verdict import AGAIN, DIE, OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from orchestrator.config.model import OwnSettings

NOT_IN_TOML = frozenset({"checkgauge", "collect", "full", "prepare", "_source"})
"""Keys whose only sensible value is a function, or a table for one."""

EXIT_CODES = frozenset({"exitcodes", "rsyncExitCodes", "sshExitCodes"})
"""Tables whose keys are numbers, which TOML writes as strings. One of another name is recognised by its contents."""

WHOLE_NUMBERS = range(-(2**63), 2**63)

HANDLER = re.compile(r"on[A-Z]")
BATCH_HANDLERS = frozenset({"onBatchStart", "onBatchEnd"})


@dataclass
class TomlSync:
    """One `[[sync]]`: its action (None: layer 3), its keys, and where it stands."""

    action: str | None
    values: dict[str, Any]
    place: str


@dataclass
class TomlConfig:
    """The contents of a file and of those that it includes. Each table of settings, and each tunnel, has its place."""

    settings: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    tunnels: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    syncs: list[TomlSync] = field(default_factory=list)


def read(
    path: str,
    actions: Mapping[str, Options],
    problems: Mapping[str, str] | None = None,
    plugins: Mapping[str, OwnSettings] | None = None,
    on_include: Callable[[str], None] = lambda path: None,
) -> TomlConfig:
    """Read and check a file, and all that it includes; `actions`: the options of every action. Raises ConfigError.

    `problems`: why a plugin, by its name, could not be loaded. `plugins`: those that have settings. `on_include` is
    called with the path of each included file before it is read, and may raise ConfigError.
    """
    config = TomlConfig()
    set_at: dict[str, str] = {}
    read_files: set[str] = set()
    pending = [(path, "")]
    while pending:
        file, included_at = pending.pop()
        # also the way out of a circle
        if os.path.realpath(file) in read_files:
            raise ConfigError(f"{included_at}: include: {file} is read already; a file can be included only once")
        read_files.add(os.path.realpath(file))
        if included_at:
            on_include(file)
        text, document = _load(file)
        checker = _Checker(file, text, actions, plugins or {}, problems or {})
        included = checker.check(document, config, set_at)
        pending += reversed(included)
    return config


def _load(path: str) -> tuple[str, dict[str, Any]]:
    """A file's text, and its tables. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")
        return text, tomli.loads(text)
    except OSError as error:
        raise ConfigError(f"error loading {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"error loading {path}: {path}: byte {error.start} is not UTF-8") from None
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"error loading {path}: {path}: {error}") from None


class _Checker:
    """Paths of keys are as in `tomlplaces`."""

    def __init__(
        self, path: str, text: str, actions: Mapping[str, Options], plugins: Mapping[str, OwnSettings],
        problems: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._path = path
        self._places = Places(text)
        self._actions = actions
        self._plugins = plugins
        self._problems = problems

    def check(self, document: Mapping[str, Any], config: TomlConfig, set_at: dict[str, str]) -> list[tuple[str, str]]:
        """Add the file's tables to the config. Gives the files that it includes, each with the place that says so.

        `set_at`: the place of each setting so far.
        """
        self._refuse_long_numbers(document)
        self._refuse_unknown(document, ("include", "settings", "sync", "tunnel"), ())
        included = list(self._included(document.get("include", [])))
        settings = document.get("settings", {})
        if not isinstance(settings, dict):
            self._fail(("settings",), "must be written as [settings]")
        self._refuse_unknown(settings, SETTINGS, ("settings",))
        for path in self._set_in(settings):
            key = shown_path(path)
            if key in set_at:
                self._fail(path, f"is set already, at {set_at[key]}")
            set_at[key] = self._place(path)
        if settings:
            config.settings.append((dict(settings), self._place(("settings",))))
        for number, table in enumerate(self._tables(document, "tunnel")):
            config.tunnels.append((dict(table), self._place(("tunnel", number))))
        for number, table in enumerate(self._tables(document, "sync")):
            config.syncs.append(self._sync(table, ("sync", number)))
        return included

    def _set_in(self, settings: Mapping[str, Any]) -> Iterator[Path]:
        """The path of each setting; each plugin's settings count as one."""
        for key, value in settings.items():
            if key != "plugins":
                yield "settings", key
            elif not isinstance(value, dict):
                self._fail(("settings", key), f"must be a table, not {_kind(value)}")
            else:
                self._check_plugins(value)
                yield from (("settings", key, name) for name in value)

    def _check_plugins(self, tables: Mapping[str, Any]) -> None:
        from orchestrator.config.pluginsettings import problem_with_plugins  # late: few configs have any

        problem = problem_with_plugins(DictConfig(tables), self._plugins, self._problems)
        if problem is not None:
            self._fail(("settings", "plugins", *problem[0]), problem[1])

    def _included(self, patterns: Any) -> Iterator[tuple[str, str]]:
        """The files that match, those of each pattern in the order of their names, with the place of the pattern."""
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            self._fail(("include",), 'must be a list of names or patterns of files, as in ["conf.d/*.toml"]')
        directory = glob.escape(os.path.dirname(self._path))
        for number, pattern in enumerate(patterns):
            place: Path = ("include", number) if self._places.line(("include", number)) else ("include",)
            if "\0" in pattern:
                self._fail(place, "must be without NUL")
            files = sorted(glob.glob(os.path.join(directory, pattern)))
            if not files and not glob.has_magic(pattern):
                self._fail(place, f"there is no file {os.path.join(os.path.dirname(self._path), pattern)}")
            yield from ((file, self._place(place)) for file in files)

    def _sync(self, table: Mapping[str, Any], path: Path) -> TomlSync:
        action = table.get("action")
        options: Options = {}
        if action is not None:
            if not isinstance(action, str):
                self._fail((*path, "action"), f"must be a string, the name of an action, not {_kind(action)}")
            if action not in self._actions:
                reason = f": {self._problems[action]}" if action in self._problems else like(action, self._actions)
                self._fail((*path, "action"), f'there is no action "{action}"{reason}')
            options = self._actions[action]
        values = {key: value for key, value in table.items() if key != "action"}
        known = {key: option for key, option in SYNC_KEYS.items() if key not in NOT_IN_TOML | {"action"}} | dict(
            options
        )
        if action is not None:
            known = {key: option for key, option in known.items() if key in options or not _is_handler_of_events(key)}
        self._check_values(values, known, path)
        return TomlSync(action, _numbered(values), self._place(path))

    def _check_values(self, values: Mapping[str, Any], known: Options, path: Path) -> None:
        self._refuse_unknown(values, known, path)
        for key, value in values.items():
            option, place = known[key], (*path, key)
            if isinstance(option, Option):
                if _is_handler(key) and not isinstance(value, (str, bool)):
                    self._fail(place, f"must be a string, a command, not {_kind(value)}")
                if option.types and not fits(value, option.types):
                    self._fail(place, f"must be {kinds(option.types)}, not {_kind(value)}")
            elif not isinstance(value, dict):
                self._fail(place, f"must be a table, not {_kind(value)}")
            else:
                self._check_values(value, option, place)

    def _tables(self, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        value = document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._fail((name,), f"must be written as [[{name}]], once for each")
        return list(value)

    def _refuse_unknown(self, values: Mapping[str, Any], known: Iterable[str], path: Path) -> None:
        for key in values:
            if key not in known:
                self._fail((*path, key), f"unknown key{like(key, known)}")

    def _refuse_long_numbers(self, document: Mapping[str, Any]) -> None:
        pending: list[tuple[Path, Any]] = [((), document)]
        while pending:
            path, value = pending.pop()
            if isinstance(value, dict):
                pending += [((*path, key), item) for key, item in value.items()]
            elif isinstance(value, list):
                pending += [((*path, number), item) for number, item in enumerate(value)]
            elif isinstance(value, int) and value not in WHOLE_NUMBERS:
                self._fail(path, "is no whole number of 64 bits, as TOML has them")

    def _fail(self, path: Path, message: str) -> NoReturn:
        raise ConfigError(f"{self._place(path)}: {shown_path(path)}: {message}")

    def _place(self, path: Path) -> str:
        """FILE:LINE; only the file where the line is not known for sure."""
        line = self._places.line(path)
        return self._path if line is None else f"{self._path}:{line}"


def _kind(value: Any) -> str:
    return next((name for kind, name in KINDS.items() if type(value) is kind), "a date or time")


def _is_handler(key: str) -> bool:
    return HANDLER.match(key) is not None and key != "onMove"


def _is_handler_of_events(key: str) -> bool:
    """Whether it is a handler that an action that transfers by itself does not call."""
    return _is_handler(key) and key not in BATCH_HANDLERS


def _numbered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Exit code tables, whatever they are called and wherever they stand, with numbers for keys."""
    result = dict(values)
    pending = [result]
    while pending:
        table = pending.pop()
        for key, value in table.items():
            if isinstance(value, dict):
                is_one = key in EXIT_CODES or (bool(value) and all(map(_is_exit_code, value.items())))
                table[key] = {int(code) if is_one and code.isdecimal() else code: item for code, item in value.items()}
                pending.append(table[key])
    return result


def _is_exit_code(item: tuple[str, Any]) -> bool:
    code, verdict = item
    return code.isdecimal() and verdict in (OK, AGAIN, DIE)
