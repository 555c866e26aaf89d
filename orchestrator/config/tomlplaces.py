"""The line of each key of a TOML file: tomli gives the values, and the line of a syntax error only.

A file is a row of statements, each a header or a key with its value, and each is TOML by itself. So tomli is given line
after line until it has a whole one: it reads strings and lists over several lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import tomli

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys, and for the n-th table of `[[name]]` its number, from 0: `("sync", 1, "rsync", "archive")`."""

CLOSING = re.compile(r"[\]}]|\"\"\"|'''")
"""The last line of a statement over several lines has one of these. Spares reading a list of n lines n times."""


class Places:
    """The lines of the keys of a document that tomli has read; only those that are certain."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # of tables in an array of tables, by its path without numbers
        table: Path = ()
        for line, statement, is_one_line in _statements(text):
            if statement.lstrip().startswith("["):
                table = self._enter(tomli.loads(statement), is_array=statement.lstrip().startswith("[["))
                self._lines.setdefault(table, line)
            else:
                self._note(tomli.loads(statement), table, line, is_one_line)

    def line(self, path: Path) -> int | None:
        """The line of a key or of a table's header; None where it is not known for sure."""
        return self._lines.get(path)

    def _enter(self, parsed: dict[str, Any], *, is_array: bool) -> Path:
        """The path of a header."""
        names: list[str] = []
        value: Any = parsed
        while isinstance(value, dict) and value:
            (name,) = value
            names.append(name)
            value = value[name]
        path: Path = ()
        for place, name in enumerate(names, 1):
            path += (name,)
            if is_array and place == len(names):
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path += (self._counts[path],)
        return path

    def _note(self, values: dict[str, Any], table: Path, line: int, is_one_line: bool) -> None:
        pending: list[tuple[Path, Any]] = [(table, values)]
        while pending:
            path, value = pending.pop()
            if isinstance(value, dict):
                inner: list[tuple[Path, Any]] = [((*path, key), item) for key, item in value.items()]
            elif isinstance(value, list):
                inner = [((*path, number), item) for number, item in enumerate(value)]
            else:
                continue
            for below, item in inner:
                if is_one_line or path == table:
                    self._lines.setdefault(below, line)
                pending.append((below, item))


def shown(path: Path) -> str:
    """A path as an error names it: `sync[2].rsync.archive`, tables counted from 1."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part + 1}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            words += f".{name}" if words else name
    return words


def _statements(text: str) -> Iterator[tuple[int, str, bool]]:
    """The first line, the text, and whether there is no other line."""
    pending: list[str] = []
    start = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not pending:
            start = number
        pending.append(line)
        if len(pending) > 1 and not CLOSING.search(line):
            continue
        statement = "\n".join(pending)
        try:
            parsed = tomli.loads(statement)
        except tomli.TOMLDecodeError:
            continue
        pending.clear()
        if parsed:
            yield start, statement, number == start
