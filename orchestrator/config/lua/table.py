"""A Lua table as a Config (see config.model): what an action plugin reads of a Lua config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.config.lua.runtime import Lua, to_bytes, to_text
from orchestrator.config.model import Config

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable

T = TypeVar("T")


class _Derived:
    """A value made of a table. `as_of`: the number of Lua's changes when it was last known to be right."""

    __slots__ = ("as_of", "is_unchanged", "value")

    def __init__(self, is_unchanged: Callable[[], bool], value: Any) -> None:
        self.as_of = -1
        self.is_unchanged = is_unchanged
        self.value = value


class TableConfig(Config):
    """A view on a Lua table. Functions of Lua show as they are; nothing is copied but what `derived` keeps."""

    __slots__ = ("_derived", "_lua", "table")

    def __init__(self, lua: Lua, table: Any) -> None:
        self._lua = lua
        self.table = table
        self._derived: dict[Any, _Derived] = {}

    def get(self, key: str, default: Any = None) -> Any:
        value = self.table[to_bytes(key)]
        return default if value is None else self._view(value)

    def set(self, key: str, value: Any) -> None:
        self._lua.changes += 1
        self.table[to_bytes(key)] = to_lua(self._lua, value)

    def items(self) -> builtins.list[tuple[str, Any]]:
        return [(to_text(key), self._view(value)) for key, value in self.table.items() if isinstance(key, bytes)]

    def int_items(self) -> builtins.list[tuple[int, Any]]:
        pairs = [(key, self._view(value)) for key, value in self.table.items() if isinstance(key, int)]
        return sorted(pairs, key=lambda pair: pair[0])

    def list(self) -> builtins.list[Any]:
        values: builtins.list[Any] = []
        while (value := self.table[len(values) + 1]) is not None:
            values.append(self._view(value))
        return values

    def derived(self, make: Callable[..., T], *keys: str) -> T:
        known = self._derived.get((make, keys))
        if known is None or (known.as_of != self._lua.changes and not known.is_unchanged()):
            is_unchanged = self._lua.remember(self.table, map(to_bytes, keys))
            known = self._derived[make, keys] = _Derived(is_unchanged, make(self, *keys))
        known.as_of = self._lua.changes
        value: T = known.value
        return value

    def move_into(self, other: Config) -> None:
        assert isinstance(other, TableConfig)
        self._lua, self.table = other._lua, other.table
        self._derived.clear()

    def _view(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return to_text(value)
        if self._lua.is_table(value):
            return TableConfig(self._lua, value)
        return value


def to_lua(lua: Lua, value: Any) -> Any:
    """A Python value as Lua sees it: text as bytes, lists and dicts as tables, deeply."""
    if isinstance(value, (str, bytes)):
        return to_bytes(value)
    if isinstance(value, TableConfig):
        return value.table
    if isinstance(value, (list, tuple)):
        return lua.table(to_lua(lua, item) for item in value)
    if hasattr(value, "items"):
        table = lua.table()
        for key, item in value.items():
            table[to_bytes(key) if isinstance(key, str) else key] = to_lua(lua, item)
        if any(isinstance(key, int) for key in value):
            table[b"_verbatim"] = True  # exit codes: keys, not parents to inherit from (spec 2.3)
        return table
    return value
