"""Layer 3: a string as an event handler (spec 2.7).

Pure: a string becomes a template once, a template with an event's values becomes an argument
list. A value is only ever an argument of its own or part of one, never text that a shell
reads: no file name can be run as code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OF_ONE_END: Final = (
    "pathname",
    "pathdir",
    "path",
    "sourcePathname",
    "sourcePathdir",
    "sourcePath",
    "targetPathname",
    "targetPathdir",
    "targetPath",
)
VARIABLES: Final = (
    *_OF_ONE_END,
    "source",
    "target",
    *(f"{end}.{name}" for end in "od" for name in _OF_ONE_END),
)
"""`^o.` is the origin of a Move, `^d.` its destination."""

_VARIABLE: Final = re.compile(
    rb"\^(" + b"|".join(re.escape(name).encode() for name in sorted(VARIABLES, key=len, reverse=True)) + rb")"
)


@dataclass(frozen=True)
class Template:
    """A translated handler.

    Shell: `text` is the command with `"$1"`, `"$2"` … in place of its variables, and `arguments` are
    their values. Binary: `text` is the string as given, `arguments` are the program and its arguments.
    Each argument is a sequence of literal text and, at odd places, variable names.
    """

    is_shell: bool
    text: bytes
    arguments: tuple[tuple[bytes, ...], ...]
    shown: tuple[bytes, ...]

    def argv(self, value: Callable[[str], bytes]) -> list[bytes]:
        """The command to spawn, `value` giving each variable's value."""
        arguments = [_fill(parts, value) for parts in self.arguments]
        return [b"sh", b"-c", self.text, b"sh", *arguments] if self.is_shell else arguments

    def message(self, etype: str, value: Callable[[str], bytes]) -> bytes:
        """The Normal log line of spec 2.7."""
        if self.is_shell:
            return b'Event %b spawns shell "%b"' % (etype.encode(), _fill(self.shown, value))
        return b'Event %b spawns action "%b"' % (etype.encode(), self.text)


def translate(string: bytes) -> Template:
    """A handler string as a Template. A leading `/` makes it a binary, else it is a shell command."""
    string = string.strip()
    if string.startswith(b"/"):
        words = tuple(tuple(_VARIABLE.split(word)) for word in split_words(string))
        return Template(False, string, words, ())
    command = string.removeprefix(b"^")
    parts = _VARIABLE.split(command)
    # braces: sh reads "$10" as "$1" and a zero
    numbers = [_positional(place // 2 + 1) if place % 2 else part for place, part in enumerate(parts)]
    return Template(True, b"".join(numbers), tuple((b"", name) for name in parts[1::2]), tuple(parts))


def _positional(number: int) -> bytes:
    return b'"$%d"' % number if number < 10 else b'"${%d}"' % number


def split_words(string: bytes) -> list[bytes]:
    """Split at spaces outside double quotes; the quotes stay part of the word, as in lsyncd."""
    return re.findall(rb'(?:"[^"]*"?|[^\s"])+', string)


def _fill(parts: tuple[bytes, ...], value: Callable[[str], bytes]) -> bytes:
    return b"".join(value(part.decode()) if place % 2 else part for place, part in enumerate(parts))


def values_of(table: Mapping[str, bytes]) -> Callable[[str], bytes]:
    """A lookup in a plain mapping; a variable that has no value there is empty."""
    return lambda name: table.get(name, b"")
