"""The protocol's lines: from bytes to requests, and from answers and events to bytes. Pure."""

from __future__ import annotations

import json
import sys
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROTOCOL: Final = 1

LONGEST_LINE: Final = 1 << 16
"""Bytes of a request, its newline included."""

TOPICS: Final = frozenset(
    ("state", "queue", "change", "started", "ended", "difference", "verified", "reloaded", "log", "ending", "lost")
)
"""The events that one may subscribe to. `lost` comes to whom it concerns, in any case."""

ONLY_BY_NAME: Final = frozenset(("change", "log"))
"""Topics that are not among "all"."""


class Right(IntEnum):
    """What a client may. The greater one includes the other."""

    READ = 1
    STEER = 2


class Code(str, Enum):
    """Of an error."""

    BAD_REQUEST = "bad request"
    UNKNOWN_COMMAND = "unknown command"
    UNKNOWN_SYNC = "unknown sync"
    DENIED = "denied"
    FAILED = "failed"
    ENDING = "ending"


class RequestError(Exception):
    """A request that cannot be met: the code, and one line for a person to read."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoRequest(RequestError):
    """A line that is none of the protocol's: whoever sends it is hung up on."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.BAD_REQUEST, message)


class Request(NamedTuple):
    """One line of a client's. `id`: text, number or None."""

    id: Any
    command: Any
    arguments: dict[str, Any]


class Kind(NamedTuple):
    """A kind of argument: what a value must be, in words, and whether one is that."""

    what: str
    accepts: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_number(value: Any) -> bool:
    # the bound refuses NaN, infinity, and whole numbers that are too large for a float
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


TEXT: Final = Kind("a text", _is_text)
TEXTS: Final = Kind("a list of texts", _is_list_of_texts)
FLAG: Final = Kind("true or false", lambda value: isinstance(value, bool))
SECONDS: Final = Kind("a number of at least 0", lambda value: _is_number(value) and value >= 0)
COUNT: Final = Kind(
    "a whole number of at least 0",
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
)


def parse(line: bytes) -> Request:
    """The request in a line. Raises NoRequest."""
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NoRequest("a request is one JSON object in one line, in UTF-8") from None
    if not isinstance(value, dict):
        raise NoRequest("a request is a JSON object")
    number = value.pop("id", None)
    if number is not None and not _is_text(number) and not _is_number(number):
        raise NoRequest("an id is a text or a number")
    return Request(number, value.pop("command", None), value)


def check_arguments(arguments: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The arguments that are given; null counts as left out. Raises RequestError.

    One that the command does not have is refused: it may be a slip, and `sync` for `syncs` would mean all of them.
    """
    for name, value in arguments.items():
        kind = kinds.get(name)
        if kind is None:
            has = f"it has {', '.join(kinds)}" if kinds else "it has none"
            raise RequestError(Code.BAD_REQUEST, f'the command has no argument "{name[:100]}"; {has}')
        if value is not None and not kind.accepts(value):
            raise RequestError(Code.BAD_REQUEST, f'the argument "{name}" is {kind.what}')
    return {name: value for name, value in arguments.items() if value is not None}


def line_of(value: Mapping[str, Any]) -> bytes:
    """One line for a client."""
    return json.dumps(value).encode() + b"\n"


def answer(number: Any, result: Mapping[str, Any]) -> bytes:
    return line_of({"id": number, "result": result})


def failure(number: Any, error: RequestError) -> bytes:
    return line_of({"id": number, "error": {"code": error.code.value, "message": str(error)}})


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN, Infinity: Python's json reads and writes what nobody else's does
