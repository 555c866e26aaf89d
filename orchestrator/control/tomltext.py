"""Values as TOML text. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class NotToml(Exception):
    """TOML has no such value."""


def table(values: Mapping[str, Any], name: Sequence[str], *, is_item: bool = False) -> Iterator[str]:
    """The lines of a table; `is_item`: of an array of tables. Raises NotToml.

    Plain keys come first: what follows a table's header belongs to that table.
    """
    header = ".".join(map(_key, name))
    yield f"[[{header}]]" if is_item else f"[{header}]"
    for key, value in values.items():
        if not isinstance(value, dict):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in values.items():
        if isinstance(value, dict):
            yield ""
            yield from table(value, (*name, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return '"' + "".join(map(_character, value)) + '"'
    raise NotToml("a list holds a function or a table")


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if "\ud800" <= character <= "\udfff":
        raise NotToml("a text is not UTF-8")
    return character if character.isprintable() else f"\\U{ord(character):08X}"
