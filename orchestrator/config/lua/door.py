"""The door between a user's Lua and the engine: what an exported function of the core can be given.

Read from the functions' annotations, so that none has to ask by itself: a `float` is finite, an `fd` is a descriptor, a
`path` is one that the kernel could take. Any other value is an ordinary Lua error, at the place of the user's call.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from orchestrator.config.lua.runtime import LuaUserError, to_text
from orchestrator.config.types import PATH_MAX, shown

if TYPE_CHECKING:
    from collections.abc import Callable

FD_MAX: Final = 2**31 - 1

Check = tuple[str, "Callable[[Any], bool]"]
"""The values that are taken, in words, and whether a value is one of them."""


def is_path(value: Any) -> bool:
    """Whether the kernel could take it: no NUL byte, not too long."""
    return isinstance(value, bytes) and b"\0" not in value and len(value) < PATH_MAX


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


_NUMBER: Final[Check] = ("a finite number", _is_number)
_TEXT: Final[Check] = ("a string", lambda value: isinstance(value, bytes))

BY_NAME: Final[dict[str, Check]] = {
    "fd": ("a descriptor", lambda value: _is_number(value) and 0 <= float(value) <= FD_MAX and float(value) % 1 == 0),
    "path": (f"a path: no NUL byte, less than {PATH_MAX} bytes", is_path),
}
BY_TYPE: Final[dict[str, Check]] = {"float": _NUMBER, "bytes": _TEXT}


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The bound method `function` with its arguments checked; itself where there is nothing to check."""
    code = function.__func__.__code__  # type: ignore[attr-defined]
    names = code.co_varnames[1 : code.co_argcount]
    checks: list[tuple[int, bool, str, Callable[[Any], bool]]] = []
    for place, parameter in enumerate(names):
        kind, _, optional = str(function.__annotations__.get(parameter, "")).partition(" | ")
        check = BY_TYPE.get(kind) and BY_NAME.get(parameter, BY_TYPE[kind])
        if check is not None:
            checks.append((place, optional == "None", *check))
    if not checks:
        return function

    def call(*args: Any) -> Any:
        for place, is_optional, wanted, fits in checks:
            value = args[place] if place < len(args) else None
            if not fits(value) and not (is_optional and value is None):
                found = to_text(value) if isinstance(value, bytes) else value
                raise LuaUserError(f"{name} takes {wanted}, not {_cut(shown(found))}")
        return function(*args)

    return call


def _cut(words: str) -> str:
    words = words.replace("\0", "\\0")
    return words if len(words) < 80 else f"{words[:76]} …"
