"""The part of a pattern that concerns the paths below one directory.

Pure. The pattern is read byte by byte against the directory's path, as a little automaton whose states are places in
the pattern; where it may stand at the end of the path, the rest of the pattern is what it asks of the names below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def below(pattern: bytes, directory: bytes) -> list[bytes]:
    """Patterns for paths relative to `directory` (`/d/e/`) that `pattern` matches below it; none: it matches nothing.

    Backslashes in the result are escapes, as in any pattern with a wildcard.
    """
    parsed = patterns.parse(pattern)
    if parsed is None:
        return []
    tokens = parsed.tokens
    texts = [token.text for token in tokens]
    if not patterns.is_wild(pattern):
        texts = [text.replace(b"\\", b"\\\\") for text in texts]
    texts.append(b"/" if parsed.directory else b"")
    states = _closed({0}, tokens)
    for byte in directory[1:]:
        states = _closed({after for state in states if (after := _step(state, byte, tokens)) is not None}, tokens)
        if byte == patterns.SLASH and not parsed.anchored:
            states |= _closed({0}, tokens)
    # the places behind a run of stars that may still be empty are in the stars' own rest
    places = [state for state in sorted(states - _behind_stars(states, tokens)) if state < len(tokens)]
    found = [rest for place in places if not (rest := b"".join(texts[place:])).startswith(b"/")]
    if not parsed.anchored:
        found.append(b"**/" + b"".join(texts))
    return found


def settled(pattern: bytes) -> bytes:
    """The pattern as rsync wants it: without a wildcard, a backslash is no escape."""
    return pattern if patterns.is_wild(pattern) else pattern.replace(b"\\\\", b"\\")


def _closed(states: Iterable[int], tokens: Sequence[patterns.Token]) -> set[int]:
    """With the states behind a run of stars, which may match nothing."""
    closed: set[int] = set()
    for state in states:
        closed.add(state)
        while state < len(tokens) and tokens[state].run:
            state += 1
            closed.add(state)
    return closed


def _behind_stars(states: set[int], tokens: Sequence[patterns.Token]) -> set[int]:
    return {state + 1 for state in states if state < len(tokens) and tokens[state].run}


def _step(state: int, byte: int, tokens: Sequence[patterns.Token]) -> int | None:
    if state == len(tokens) or byte not in tokens[state].accepts:
        return None
    return state if tokens[state].run else state + 1
