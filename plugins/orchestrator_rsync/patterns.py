"""What an rsync pattern says of the things below one directory (rsync(1), "PATTERN MATCHING RULES").

Pure. The pattern is read byte by byte against the directory's path, as a little automaton whose
states are places in the pattern; where it may stand at the end of the path, the rest of the
pattern is what it asks of the names below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN = re.compile(rb"\\.|\*{2,}|\*|\?|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)
_WILD = re.compile(rb"[*?\[]")


def below(pattern: bytes, directory: bytes) -> list[bytes]:
    """Patterns for paths relative to `directory` (`/d/e/`) that `pattern` matches below it; none: it matches nothing.

    Backslashes in the result are escapes, as in any pattern with a wildcard.
    """
    pattern = _with_escapes(pattern)
    anchored = pattern.startswith(b"/")
    if anchored:
        pattern = pattern[1:]
    tokens = [(match.start(), match.group()) for match in _TOKEN.finditer(pattern)]
    states = _closed({0}, tokens)
    for position in range(1, len(directory)):
        byte = directory[position : position + 1]
        states = _closed({after for state in states if (after := _step(state, byte, tokens)) is not None}, tokens)
        if byte == b"/" and not anchored:
            states |= _closed({0}, tokens)
    # what follows a run of stars that may still be empty is told by the stars' own rest
    places = [state for state in sorted(states - _behind_stars(states, tokens)) if state < len(tokens)]
    found = [rest for place in places if not (rest := pattern[tokens[place][0] :]).startswith(b"/")]
    if not anchored:
        found.append(b"**/" + pattern)
    return found


def settled(pattern: bytes) -> bytes:
    """The pattern as rsync wants it: without a wildcard, a backslash is no escape."""
    return pattern if _WILD.search(pattern) else pattern.replace(b"\\\\", b"\\")


def _with_escapes(pattern: bytes) -> bytes:
    return pattern if _WILD.search(pattern) else pattern.replace(b"\\", b"\\\\")


def _closed(states: Iterable[int], tokens: list[tuple[int, bytes]]) -> set[int]:
    """With the states behind a run of stars, which may match nothing."""
    closed: set[int] = set()
    for state in states:
        closed.add(state)
        while state < len(tokens) and tokens[state][1].startswith(b"*"):
            state += 1
            closed.add(state)
    return closed


def _behind_stars(states: set[int], tokens: list[tuple[int, bytes]]) -> set[int]:
    return {state + 1 for state in states if state < len(tokens) and tokens[state][1].startswith(b"*")}


def _step(state: int, byte: bytes, tokens: list[tuple[int, bytes]]) -> int | None:
    if state == len(tokens):
        return None
    token = tokens[state][1]
    if token.startswith(b"**"):
        return state
    if token == b"*":
        return state if byte != b"/" else None
    if token == b"?":
        return state + 1 if byte != b"/" else None
    if token.startswith(b"[") and len(token) > 1:
        return state + 1 if byte != b"/" and _in_class(byte, token) else None
    return state + 1 if token[-1:] == byte else None


def _in_class(byte: bytes, token: bytes) -> bool:
    inner = token[1:-1]
    negated = inner.startswith((b"!", b"^"))
    if negated:
        inner = inner[1:]
    try:
        return bool(re.match(b"[" + inner.replace(b"[", b"\\[") + b"]", byte, re.DOTALL)) != negated
    except re.error:
        return False
