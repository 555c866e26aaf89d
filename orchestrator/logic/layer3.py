"""Layer 3: a string as an event handler (spec 2.7).

Pure: a string becomes a template once, a template with an event's values becomes an argument
list. A value is only ever an argument of its own or part of one, never text that a shell
reads: no file name can be run as code.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ALL: Final = (
    *("pathname", "pathdir", "path"),
    *("sourcePathname", "sourcePathdir", "sourcePath", "source"),
    *("targetPathname", "targetPathdir", "targetPath", "target"),
)
VARIABLES: Final = (
    *_ALL,
    *(f"{end}.{name}" for end in "od" for name in _ALL if name not in ("source", "target")),
)
"""In the order in which lsyncd numbers them. `^o.` is the origin of a Move, `^d.` its destination."""


@functools.lru_cache(maxsize=16)
def _pattern(variables: tuple[str, ...]) -> re.Pattern[bytes]:
    """The longest name first: ^pathname is not ^path with a rest."""
    names = sorted(variables, key=len, reverse=True)
    return re.compile(rb"\^(" + b"|".join(re.escape(name).encode() for name in names) + rb")")


class Template(NamedTuple):
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

    def message(self, what: bytes, value: Callable[[str], bytes]) -> bytes:
        """The Normal log line of spec 2.7; `what`: `Event Create` and the like."""
        if self.is_shell:
            return b'%b spawns shell "%b"' % (what, _fill(self.shown, value))
        return b'%b spawns action "%b"' % (what, self.text)

    def variables(self) -> set[str]:
        """The names of those that it has."""
        return {name.decode() for parts in self.arguments for name in parts[1::2]}


def translate(string: bytes, variables: tuple[str, ...] = VARIABLES) -> Template:
    """A handler string as a Template. A leading `/` makes it a binary, else it is a shell command."""
    string = string.strip()
    if string.startswith(b"/"):
        return _of_words(string, split_words(string), variables)
    command = string.removeprefix(b"^")
    parts = _pattern(variables).split(command)
    # one argument for each variable, however often it stands there, in the order of the table
    used = [name.encode() for name in variables if name.encode() in parts[1::2]]
    text = [_positional(used.index(part) + 1) if place % 2 else part for place, part in enumerate(parts)]
    return Template(True, b"".join(text), tuple((b"", name) for name in used), tuple(parts))


def translate_words(words: Sequence[bytes], variables: tuple[str, ...] = VARIABLES) -> Template:
    """A list of words as a Template: a program and its arguments, whatever they begin with."""
    return _of_words(b" ".join(words), words, variables)


def _of_words(text: bytes, words: Sequence[bytes], variables: tuple[str, ...]) -> Template:
    pattern = _pattern(variables)
    return Template(False, text, tuple(tuple(pattern.split(word)) for word in words), ())


def _positional(number: int) -> bytes:
    # braces: sh reads "$10" as "$1" and a zero
    return b'"$%d"' % number if number < 10 else b'"${%d}"' % number


def split_words(string: bytes) -> list[bytes]:
    """Split at spaces outside double quotes; the quotes stay part of the word, as in lsyncd."""
    return re.findall(rb'(?:"[^"]*"?|[^\s"])+', string)


def _fill(parts: tuple[bytes, ...], value: Callable[[str], bytes]) -> bytes:
    return b"".join(value(part.decode()) if place % 2 else part for place, part in enumerate(parts))


def values_of(table: Mapping[str, bytes]) -> Callable[[str], bytes]:
    """A lookup in a plain mapping; a variable that has no value there is empty."""
    return lambda name: table.get(name, b"")
