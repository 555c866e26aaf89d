"""Which paths a sync leaves out: `filter` rules and `exclude` patterns (spec 3.2).

Both mean what they mean to rsync, which gets the same lines at the startup. The first rule that matches decides, the
`filter` rules before the excludes. An entry of an exclude list is read as a line of rsync's `--exclude-from`: it is a
pattern to exclude, but `+ PATTERN` includes, `- PATTERN` is a pattern that may begin with anything, `!` drops all
rules before it, and a line that is empty or begins with `#` or `;` says nothing.

What a pattern means, and how many are matched at once, stands in patterns.py. Nothing of a path is ever taken for a
pattern.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.logic.patterns import Automaton, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

_RULE: Final = re.compile(rb"\s*([+-])\s*(\S[^\r\n]*)")
_LINE_ENDS: Final = re.compile(rb"[\r\n]+")
_PREFIXES: Final = (b"+ ", b"- ")
_COMMENTS: Final = (b"#", b";")
_CLEAR: Final = b"!"


class Filters:
    """The rules of one sync, in order: the `filter` rules, then the excludes. The source root is never left out."""

    def __init__(self) -> None:
        self._filters: list[bytes] = []  # `+ PATTERN`, `- PATTERN`
        self._excludes: dict[bytes, None] = {}  # a set that keeps its order
        self._automaton: Automaton | None = None

    def __bool__(self) -> bool:
        """Whether there is any rule at all."""
        return bool(self._filters or self._excludes)

    def copy(self) -> Filters:
        """The same rules, apart: what is added later to one is not to the other."""
        copy = Filters()
        copy._filters = self._filters.copy()
        copy._excludes = self._excludes.copy()
        copy._automaton = self._automaton
        return copy

    def add_exclude(self, pattern: bytes) -> None:
        """Exclude what matches; twice the same counts once. An entry of an exclude list may be other lines, too."""
        self._excludes[pattern] = None
        self._automaton = None

    def exclude_first(self, pattern: bytes) -> None:
        """Leave out what matches, whatever the rules say of it."""
        entries = list(self._excludes)
        clears = [place for place, entry in enumerate(entries) if _CLEAR in _LINE_ENDS.split(entry)]
        if self._filters and not clears:
            self._filters.insert(0, b"- " + pattern)
        else:
            entries.insert(clears[-1] + 1 if clears else 0, pattern)
            self._excludes = dict.fromkeys(entries)
        self._automaton = None

    def rm_exclude(self, pattern: bytes) -> bool:
        """Drop an exclude pattern. False: there is no such pattern."""
        if pattern not in self._excludes:
            return False
        del self._excludes[pattern]
        self._automaton = None
        return True

    def append_filter(self, line: bytes) -> None:
        """Add a rule `+ PATTERN` or `- PATTERN` behind those there are. ValueError(line): it is neither, or more than
        one line."""
        rule = _RULE.fullmatch(line)
        if rule is None:
            raise ValueError(line)
        self._filters.append(rule[1] + b" " + rule[2])
        self._automaton = None

    def excludes(self) -> list[bytes]:
        """The exclude patterns, as they were given."""
        return list(self._excludes)

    def filter_lines(self) -> list[bytes]:
        """The filter rules, as `+ PATTERN` and `- PATTERN`."""
        return self._filters.copy()

    def rules(self) -> list[bytes]:
        """All rules that hold, in order, as `+ PATTERN` and `- PATTERN`: the filters, then what the excludes say."""
        return rules_of(self._filters, self._excludes)

    def excludes_path(self, path: bytes) -> bool:
        """Whether a path is left out. It starts with a slash; a directory's ends with one."""
        automaton = self._automaton
        if automaton is None:
            automaton = self._automaton = _automaton_of(self.rules())
        return automaton.excludes(path)


def rules_of(filters: Iterable[bytes], excludes: Iterable[bytes]) -> list[bytes]:
    """Filter rules, then the entries of an exclude list, all as the `+ PATTERN` and `- PATTERN` that they stand for."""
    rules = list(filters)
    for entry in excludes:
        for line in _LINE_ENDS.split(entry):
            if line == _CLEAR:
                rules.clear()
            elif line.startswith(_PREFIXES):
                if len(line) > len(_PREFIXES[0]):
                    rules.append(line)
            elif line and not line.startswith(_COMMENTS):
                rules.append(b"- " + line)
    return rules


def _automaton_of(rules: Iterable[bytes]) -> Automaton:
    parsed = [(rule.startswith(b"+"), parse(rule[2:])) for rule in rules]
    return Automaton([(includes, pattern) for includes, pattern in parsed if pattern is not None])


def read_exclude_lines(text: bytes) -> list[bytes]:
    """The patterns of an `excludeFrom` file: a `- ` in front is cut off, `+` lines do not count."""
    patterns = []
    for line in _read_lines(text):
        if line.startswith(b"+"):
            continue
        bare = line[1:].lstrip() if line[:1] == b"-" and line[1:2].isspace() else line
        if bare != line and (bare == _CLEAR or bare.startswith((*_PREFIXES, *_COMMENTS))):
            bare = b"- " + bare  # else it would be taken for another kind of line
        patterns.append(bare)
    return [pattern for pattern in patterns if pattern]


def read_filter_lines(text: bytes) -> list[bytes]:
    """The rules of a `filterFrom` file, still to be checked by `append_filter`."""
    return _read_lines(text)


def _read_lines(text: bytes) -> list[bytes]:
    """Lines without leading blanks, empty lines and comments. Blanks at the end may belong to a name."""
    lines = (line.lstrip() for line in _LINE_ENDS.split(text))
    return [line for line in lines if line and not line.startswith(b"#")]
