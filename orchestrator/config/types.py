"""Whether a value is what an option takes, and the words for it. The same rule for both config languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.config.model import Config, Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.config.model import Options

PATH_MAX: Final = 4096
"""The longest path that the kernel accepts, in bytes, the final NUL included."""

KINDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


def kinds(types: tuple[type, ...]) -> str:
    """Names of types for messages: `a string or a list`."""
    return " or ".join(dict.fromkeys(KINDS[kind] for kind in types))


def fits(value: Any, types: tuple[type, ...]) -> bool:
    """Whether a value is of one of the types: a whole number is a number, too, but true is none."""
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, int):
        return int in types or float in types
    return isinstance(value, types)


def shown(value: Any) -> str:
    """A wrong value, for messages."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return "a table" if isinstance(value, Config) else "a table or function"


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key that is most like this one, if any is."""
    import difflib  # late: only a mistake needs it

    return next(iter(difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)), None)


def like(key: Any, known: Iterable[str]) -> str:
    """A guess at the key that was meant, or a list of all."""
    close = nearest(str(key), known)
    if close is not None:
        return f'; did you mean "{close}"?'
    return f"; there are: {', '.join(sorted(known))}" if len(list(known)) < 16 else ""


def problem_with(config: Config, options: Options, prefix: str = "") -> str | None:
    """The message, in lsyncd's words, for the first value of a wrong type in a Lua table; None if there is none."""
    for key, option in options.items():
        value = config.get(key)
        if value is None:
            continue
        if not isinstance(option, Option):
            problem = problem_with(value, option, f"{prefix}{key}.") if isinstance(value, Config) else None
            if problem is not None:
                return problem
        elif option.types and not fits_in_lua(value, option.types):
            return f'Parameter "{prefix}{key}" must be {kinds(option.types)}, not {lua_kind(value)}.'
    return None


def fits_in_lua(value: Any, types: tuple[type, ...]) -> bool:
    """As `fits`, for a value of Lua, which has one type for lists and tables, and one for numbers."""
    if isinstance(value, Config):  # lists and tables are one in Lua
        return list in types or dict in types
    if isinstance(value, float) and value.is_integer():  # so are whole numbers
        return int in types or float in types
    return fits(value, types)


def lua_kind(value: Any) -> str:
    """The name of a value's type for messages."""
    if isinstance(value, Config):
        return "a table"
    return next((name for kind, name in KINDS.items() if type(value) is kind), "a function")
