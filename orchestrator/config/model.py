"""A sync's configuration as Python sees it, whatever language it was written in.

Knows nothing of Lua: `config.lua` has a `Config` over a Lua table, `DictConfig` is one over plain dicts and lists
(the plugin kit, tests). A view, not a copy: later changes by a user's Lua function are seen here, and vice versa.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Union

if TYPE_CHECKING:
    import builtins

T = TypeVar("T")


class Config(ABC):
    """A table of settings. Strings are str with surrogateescape; tables are Configs."""

    __slots__ = ()

    @abstractmethod
    def get(self, key: str, default: Any = None) -> Any:
        """The value: str, int, float, bool, a Config for a table, `default` where missing."""

    @abstractmethod
    def set(self, key: str, value: Any) -> None:
        """Set a key; None removes it; dicts and lists become tables."""

    @abstractmethod
    def items(self) -> builtins.list[tuple[str, Any]]:
        """The string keys with their values, in no particular order."""

    @abstractmethod
    def int_items(self) -> builtins.list[tuple[int, Any]]:
        """The number keys with their values, ascending (`exitcodes`)."""

    @abstractmethod
    def list(self) -> builtins.list[Any]:
        """The list part: values of 1, 2, … up to the first gap."""

    def move_into(self, other: Config) -> None:
        """Be a view on what `other` is one on: the same values, read anew by a reload."""
        raise NotImplementedError

    def derived(self, make: Callable[..., T], *keys: str) -> T:
        """`make(config, *keys)`, which reads nothing but the values of these keys, with all tables in them.

        For results that each transfer needs: the result is cached, and made again only when one of the values has
        changed, which a user's Lua function may do at any time. The result must not be changed; `make` is a function
        with a name, not a lambda.
        """
        return make(self, *keys)


class DictConfig(Config):
    """A Config over a dict or list (see Config for the contract)."""

    def __init__(self, data: Mapping[Any, Any] | builtins.list[Any] | None = None) -> None:
        self.data: dict[Any, Any] = {}
        for key, value in enumerate(data, 1) if isinstance(data, list) else (data or {}).items():
            self.data[key] = DictConfig(value) if isinstance(value, (dict, list)) else value

    def get(self, key: str, default: Any = None) -> Any:
        return self.data.get(key, default)

    def set(self, key: str, value: Any) -> None:
        if value is None:
            self.data.pop(key, None)
        else:
            self.data[key] = DictConfig(value) if isinstance(value, (dict, list)) else value

    def items(self) -> builtins.list[tuple[str, Any]]:
        return [(key, value) for key, value in self.data.items() if isinstance(key, str)]

    def int_items(self) -> builtins.list[tuple[int, Any]]:
        return sorted((key, value) for key, value in self.data.items() if isinstance(key, int))

    def list(self) -> builtins.list[Any]:
        return list(self._values())

    def _values(self) -> Iterator[Any]:
        index = 1
        while index in self.data:
            yield self.data[index]
            index += 1


class Option(NamedTuple):
    """One config key of an action: its types, its default value, and one line of help.

    `types` are Python types (bool, str, int, float, list, dict); none means any value. `secret`: the text is shown as
    `***` wherever it turns up: in logs, in the status, by `orchestrator check`.

    `path`: the value names a file or directory of this machine ("file"), or a program, looked up in PATH unless there
    is a slash in it ("program"). A daemon works in `/`: a relative one is made absolute before `prepare` is called. Of
    a table with keys of any name: the keys, in lower case, whose values name files.
    """

    types: tuple[type, ...] = ()
    default: Any = None
    help: str = ""
    secret: bool = False
    path: str | frozenset[str] = ""


Options = Mapping[str, Union[Option, "Options"]]
"""Key → Option, or → Options for a nested table."""


class OwnSettings(NamedTuple):
    """The settings that a plugin has for itself. `check` is given all of them by their keys, where the config sets any,
    and raises ConfigError for values that will not do."""

    options: Options
    check: Callable[[Mapping[str, Any]], object]
