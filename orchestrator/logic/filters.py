"""Which paths a sync leaves out: `filter` rules and `exclude` patterns (spec 3.2).

Patterns are rsync's, simplified. `?` is one character but `/`, `*` any run without `/`, `**` (or
more) any run; all else is literal. A pattern with a slash in front starts at the source, any other
at any segment of the path. A match ends at a `/` or at the end of the path, so what is below an
excluded directory is excluded too.

A slash at the end of a pattern asks for a directory. What excludes, excludes all below it, just as
rsync does not descend into it. What includes (`+ */`), includes that directory alone: what is
in it has to pass the other rules by itself. (lsyncd 2.2.3 matches the directory alone in both
cases and relies on its not being watched. That leaks as soon as another sync of the same source
watches it.)

All patterns of one kind that stand in a row become one regular expression, a tree in which
patterns share their common beginnings: 500 patterns cost little more than one. It is made when
first needed. Nothing of a path is ever taken for a pattern.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RULE: Final = re.compile(rb"\s*([+-])\s*(\S.*)", re.DOTALL)
_TOKEN: Final = re.compile(rb"\*\*+|.", re.DOTALL)
_LINE_ENDS: Final = re.compile(rb"[\r\n]+")

_ANYTHING: Final = b".*"
_END: Final = rb"\Z"
_SLASH_OR_END: Final = rb"(?:/|\Z)"

_MAX_NESTING: Final = 20
"""Beginnings are shared so many branchings deep: the regex compiler is recursive."""

Rule: TypeAlias = "tuple[bool, bytes]"
"""(whether it includes, pattern)"""


class Filters:
    """The rules of one sync, in order. First `filter` rules, of which the first that matches
    decides; where none does, any matching `exclude` excludes. The source root is never left out.
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._excludes: dict[bytes, None] = {}  # a set that keeps its order
        self._tests: list[tuple[bool, re.Pattern[bytes]]] | None = None

    def __bool__(self) -> bool:
        """Whether there is any rule at all."""
        return bool(self._rules or self._excludes)

    def copy(self) -> Filters:
        """The same rules, apart: what is added later to one is not to the other."""
        copy = Filters()
        copy._rules = self._rules.copy()
        copy._excludes = self._excludes.copy()
        copy._tests = self._tests
        return copy

    def add_exclude(self, pattern: bytes) -> None:
        """Exclude what matches. Twice the same counts once; an empty pattern is none."""
        if pattern:
            self._excludes[pattern] = None
            self._tests = None

    def rm_exclude(self, pattern: bytes) -> bool:
        """Drop an exclude pattern. False: there is no such pattern."""
        if pattern not in self._excludes:
            return False
        del self._excludes[pattern]
        self._tests = None
        return True

    def append_filter(self, line: bytes) -> None:
        """Add a rule `+ PATTERN` or `- PATTERN` behind those there are. ValueError(line): it is neither."""
        rule = _RULE.fullmatch(line)
        if rule is None:
            raise ValueError(line)
        self._rules.append((rule[1] == b"+", rule[2]))
        self._tests = None

    def excludes(self) -> list[bytes]:
        """The exclude patterns."""
        return list(self._excludes)

    def filter_lines(self) -> list[bytes]:
        """The filter rules, as `+ PATTERN` and `- PATTERN`."""
        return [(b"+ " if includes else b"- ") + pattern for includes, pattern in self._rules]

    def excludes_path(self, path: bytes) -> bool:
        """Whether a path is left out. It starts with a slash; a directory's ends with one."""
        tests = self._tests
        if tests is None:
            tests = self._tests = _compile(self._rules, self._excludes)
        if path == b"/":
            return False
        for includes, regex in tests:
            if regex.search(path):
                return not includes
        return False


def read_exclude_lines(text: bytes) -> list[bytes]:
    """The patterns of an `excludeFrom` file: a `- ` in front is cut off, `+` lines do not count."""
    patterns = []
    for line in _read_lines(text):
        if line.startswith(b"+"):
            continue
        patterns.append(line[1:].lstrip() if line[:1] == b"-" and line[1:2].isspace() else line)
    return [pattern for pattern in patterns if pattern]


def read_filter_lines(text: bytes) -> list[bytes]:
    """The rules of a `filterFrom` file, still to be checked by `append_filter`."""
    return _read_lines(text)


def _read_lines(text: bytes) -> list[bytes]:
    """Lines without leading blanks, empty lines and comments. Blanks at the end may belong to a name."""
    lines = (line.lstrip() for line in _LINE_ENDS.split(text))
    return [line for line in lines if line and not line.startswith(b"#")]


# -- patterns to regular expressions


def _compile(rules: Sequence[Rule], excludes: Iterable[bytes]) -> list[tuple[bool, re.Pattern[bytes]]]:
    """One regular expression for each run of like rules; the excludes, being last, join the last run."""
    tests = []
    for includes, run in groupby([*rules, *((False, pattern) for pattern in excludes)], key=lambda rule: rule[0]):
        regex = _regex_of([pattern for _, pattern in run], includes)
        if regex is not None:
            tests.append((includes, re.compile(regex, re.DOTALL)))
    return tests


def _regex_of(patterns: Iterable[bytes], includes: bool) -> bytes | None:
    anchored: list[list[bytes]] = []
    floating: list[list[bytes]] = []
    for pattern in patterns:
        bare = pattern.removeprefix(b"/")
        if bare:  # `/` names the root, which is never left out
            (anchored if len(bare) < len(pattern) else floating).append(_tokens(bare, includes))
    parts = []
    if floating:
        parts.append(b"/" + _alternatives(floating))
    if anchored:
        parts.append(rb"\A/" + _alternatives(anchored))
    return b"|".join(parts) or None


def _tokens(pattern: bytes, includes: bool) -> list[bytes]:
    """The pattern, without a slash in front, as pieces of a regular expression."""
    tokens = [_translate(token) for token in _TOKEN.findall(pattern)]
    if not pattern.endswith(b"/"):
        tokens.append(_SLASH_OR_END)
    elif includes:
        tokens.append(_END)
    return tokens


def _translate(token: bytes) -> bytes:
    if token.startswith(b"**"):
        return _ANYTHING
    return {b"*": b"[^/]*", b"?": b"[^/]"}.get(token) or re.escape(token)


def _alternatives(patterns: list[list[bytes]], nesting: int = 0) -> bytes:
    """A regular expression for any of the token lists, with what they begin with in common told once."""
    if nesting == _MAX_NESTING:
        return b"(?:" + b"|".join(b"".join(tokens) for tokens in patterns) + b")"
    branches = []
    for group in _by_first(patterns):
        length = _common_length(group)
        common = b"".join(group[0][:length])
        rest = [tokens[length:] for tokens in group]
        if not all(rest):  # one of them ends here, so the others add nothing
            branches.append(common)
        else:
            branches.append(common + _alternatives(rest, nesting + 1))
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _by_first(patterns: list[list[bytes]]) -> Iterable[list[list[bytes]]]:
    groups: dict[bytes, list[list[bytes]]] = {}
    for tokens in patterns:
        groups.setdefault(tokens[0], []).append(tokens)
    return groups.values()


def _common_length(patterns: list[list[bytes]]) -> int:
    length = 0
    for tokens in zip(*patterns, strict=False):
        if any(token != tokens[0] for token in tokens):
            break
        length += 1
    return length
