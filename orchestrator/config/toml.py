"""TOML configs: read, checked and handed over as plain tables. Another way to call the same `sync`.

Knows nothing of Lua. TOML has no functions, so what is left are layers 3 and 4; strings in onCreate and
its like are translated as in a Lua config. Errors name file, line and key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tomli

from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.model import Option, Options
from orchestrator.config.settings import SETTINGS
from orchestrator.config.types import KINDS, fits, kinds, nearest
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOT_IN_TOML = frozenset({"checkgauge", "collect", "full", "prepare", "_source"})
"""Keys whose only sensible value is a function, or a table for one."""

EXIT_CODES = frozenset({"exitcodes", "rsyncExitCodes", "sshExitCodes"})
"""Tables whose keys are numbers, which TOML writes as strings."""

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
    """What a file says. `tunnels`: with the place of each."""

    settings: dict[str, Any] = field(default_factory=dict)
    settings_place: str = ""
    tunnels: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    syncs: list[TomlSync] = field(default_factory=list)


def read(path: str, actions: Mapping[str, Options], problems: Mapping[str, str] | None = None) -> TomlConfig:
    """Read and check a file; `actions`: the options of every action. Raises ConfigError.

    `problems`: why a plugin, by its name, could not be loaded.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")
        document = tomli.loads(text)
    except OSError as error:
        raise ConfigError(f"error loading {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"error loading {path}: {path}: byte {error.start} is not UTF-8") from None
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"error loading {path}: {path}: {error}") from None
    return _Checker(path, text, actions, problems or {}).check(document)


class _Checker:
    def __init__(self, path: str, text: str, actions: Mapping[str, Options], problems: Mapping[str, str]) -> None:
        self._path = path
        self._lines = text.split("\n")
        self._actions = actions
        self._problems = problems

    def check(self, document: Mapping[str, Any]) -> TomlConfig:
        self._refuse_unknown(document, ("settings", "sync", "tunnel"), "", None, 0)
        config = TomlConfig()
        settings = self._table(document.get("settings", {}), "settings", 0)
        self._refuse_unknown(settings, SETTINGS, "settings", "settings", 0)
        config.settings = dict(settings)
        config.settings_place = self._place("settings", 0, None)
        for number, table in enumerate(self._tables(document, "tunnel")):
            config.tunnels.append((dict(table), self._place("tunnel", number, None)))
        for number, table in enumerate(self._tables(document, "sync")):
            config.syncs.append(self._sync(table, number))
        return config

    def _sync(self, table: Mapping[str, Any], number: int) -> TomlSync:
        action = table.get("action")
        options: Options = {}
        if action is not None:
            if not isinstance(action, str) or action not in self._actions:
                reason = f": {self._problems[action]}" if action in self._problems else _like(action, self._actions)
                self._fail("sync", number, "action", f"unknown action {_shown(action)}{reason}")
            options = self._actions[action]
        values = {key: value for key, value in table.items() if key != "action"}
        known = {key: option for key, option in SYNC_KEYS.items() if key not in NOT_IN_TOML | {"action"}} | dict(
            options
        )
        if action is not None:
            known = {key: option for key, option in known.items() if key in options or not _is_handler_of_events(key)}
        self._check_values(values, known, "sync", number)
        return TomlSync(action, _numbered(values), self._place("sync", number, None))

    def _check_values(self, values: Mapping[str, Any], known: Options, table: str, number: int) -> None:
        self._refuse_unknown(values, known, table, table, number)
        for key, value in values.items():
            option = known[key]
            if isinstance(option, Option):
                if _is_handler(key) and not isinstance(value, (str, bool)):
                    self._fail(table, number, key, f'key "{key}" must be a string, a command, not {_kind(value)}')
                if option.types and not fits(value, option.types):
                    self._fail(table, number, key, f'key "{key}" must be {kinds(option.types)}, not {_kind(value)}')
            elif not isinstance(value, dict):
                self._fail(table, number, key, f'key "{key}" must be a table, not {_kind(value)}')
            else:
                self._check_values(value, option, f"{table}.{key}", number)

    def _tables(self, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        value = document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._fail(name, 0, None, f'"{name}" must be written as [[{name}]], once for each')
        return list(value)

    def _table(self, value: Any, name: str, number: int) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self._fail(name, number, None, f'"{name}" must be written as [{name}]')
        return dict(value)

    def _refuse_unknown(
        self, values: Mapping[str, Any], known: Iterable[str], where: str, table: str | None, number: int
    ) -> None:
        for key in values:
            if key not in known:
                inside = f" in [{where}]" if where else ""
                self._fail(table or key, number, key, f'unknown key "{key}"{inside}{_like(key, known)}')

    def _fail(self, table: str, number: int, key: str | None, message: str) -> None:
        raise ConfigError(f"{self._place(table, number, key)}: {message}")

    def _place(self, table: str, number: int, key: str | None) -> str:
        """FILE:LINE of a key in the `number`-th table of a name; tomli itself does not tell."""
        top = table.partition(".")[0]
        seen, is_inside, found = -1, False, 0
        for line, text in enumerate(self._lines, 1):
            header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", text)
            if header:
                name = header[1].replace(" ", "").replace('"', "")
                if name == top:
                    seen += 1
                    found = line if seen == number else found
                is_inside = seen == number and (name == table or key is None)
                if key is not None and seen == number and name == f"{table}.{key}":
                    return f"{self._path}:{line}"
            elif (
                key is not None
                and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", text)
                and (is_inside or seen == -1)
            ):
                return f"{self._path}:{line}"
        return f"{self._path}:{found or 1}"


def _kind(value: Any) -> str:
    return next((name for kind, name in KINDS.items() if type(value) is kind), "a date or time")


def _is_handler(key: str) -> bool:
    return HANDLER.match(key) is not None and key != "onMove"


def _is_handler_of_events(key: str) -> bool:
    """An action that transfers by itself has no use for it."""
    return _is_handler(key) and key not in BATCH_HANDLERS


def _numbered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Exit code tables with numbers for keys."""
    return {
        key: {int(code) if code.isdecimal() else code: verdict for code, verdict in value.items()}
        if key in EXIT_CODES and isinstance(value, dict)
        else value
        for key, value in values.items()
    }


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _kind(value)


def _like(key: Any, known: Iterable[str]) -> str:
    """A guess what was meant, or what there is."""
    close = nearest(str(key), known)
    if close is not None:
        return f'; did you mean "{close}"?'
    return f"; there are: {', '.join(sorted(known))}" if len(list(known)) < 16 else ""
