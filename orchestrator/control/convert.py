"""`orchestrator convert CONFIG`: a Lua config that has no functions, as TOML (spec 6 "Beyond")."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from orchestrator.config.model import Config
from orchestrator.control.dry import DryRun
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.control.output import Output
    from orchestrator.sync.sync import Sync

_BARE = re.compile(r"[A-Za-z0-9_-]+")

ABSENT = frozenset({"tunnel"})
"""Keys that stand for an object of their own: written apart."""


class NotToml(Exception):
    """The value of a key is a function, which TOML has not."""


def convert(
    path: str, output: Output, lua: str | None = None, *, for_real: bool = False, elsewhere: bool = False
) -> int:
    """Print the TOML. 1 where a sync cannot be expressed: it is named on stderr, the others are printed."""
    if not os.path.exists(path):
        raise UsageError(f"Cannot find config file at '{path}'.")
    with DryRun(path, lua, for_real=for_real, elsewhere=elsewhere) as run:
        run.load()
        settings = {key: value for key, value in run.config.own_settings().items() if value is not None}
        status = 0
        if settings:
            output.raw("\n".join(["[settings]", *_pairs(settings, ()), ""]))
        for sync in run.config.syncs:
            try:
                output.raw("\n".join([*_sync(run, sync), ""]))
            except NotToml as reason:
                status = 1
                output.complain(f"{sync.name} ({os.fsdecode(sync.source)}) cannot be expressed in TOML: {reason}")
        return status


def _sync(run: DryRun, sync: Sync) -> Iterator[str]:
    action, own = run.config.own_config(sync)
    values = _plain(own, "")
    lines = ["[[sync]]"]
    if action is not None:
        lines.append(f'action = "{action}"')
    return iter([*lines, *_pairs(values, ("sync",))])


def _plain(table: Config, where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in sorted(table.items()):
        name = f"{where}{key}"
        if key in ABSENT:
            raise NotToml(f'"{name}" has to be written as a [[tunnel]] by hand')
        if isinstance(value, Config):
            items, numbered = value.list(), value.int_items()
            if value.items():
                values[key] = _plain(value, f"{name}.")
            elif len(items) == len(numbered):
                values[key] = items
            else:
                values[key] = {str(code): verdict for code, verdict in numbered}
        else:
            values[key] = value
        if not isinstance(values[key], (str, int, float, bool, list, dict)):
            raise NotToml(f'"{name}" is a function')
    return values


def _pairs(values: Mapping[str, Any], table: tuple[str, ...]) -> Iterator[str]:
    """Plain keys first: in TOML all that follows a table's header belongs to that table."""
    for key, value in values.items():
        if not isinstance(value, dict):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in values.items():
        if isinstance(value, dict):
            inner = (*table, key)
            yield ""
            yield f"[{'.'.join(map(_key, inner))}]"
            yield from _pairs(value, inner)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if not isinstance(value, str):
        raise NotToml("a list holds a function or a table")
    return '"' + "".join(_character(character) for character in value) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if "\ud800" <= character <= "\udfff":
        raise NotToml("a text is not UTF-8")
    return character if character.isprintable() else f"\\U{ord(character):08X}"
