"""Which syncs somebody means: names, `SyncN`, and patterns (contrib/CONTROL.md)."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERED = re.compile(r"Sync([1-9][0-9]{0,8})")
_IS_PATTERN = re.compile(r"[*?[]")

LONGEST: Final = 1024
"""Characters of a word; no name is longer that anybody would write."""

MOST_PATTERNS: Final = 64
"""Patterns among the words: each is compared with all names."""


class UnknownSync(Exception):
    """No sync is meant by one of the words. `word`: which."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class TooManyPatterns(Exception):
    """More than MOST_PATTERNS of the words are patterns."""


def chosen(words: Sequence[str], names: Sequence[str], *, skips_unknown: bool = False) -> list[int]:
    """The places in `names` of the syncs that the words mean, each once, in the order of `names`.

    A name goes before `SyncN` (the N-th), that before a pattern. Raises UnknownSync, and TooManyPatterns,
    unless such words are skipped: names that a reload has taken away may look like patterns.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    found: set[int] = set()
    patterns = 0
    for word in words:
        numbered = _NUMBERED.fullmatch(word)
        if word in places:
            meant = places[word]
        elif numbered and int(numbered[1]) <= len(names):
            meant = [int(numbered[1]) - 1]
        elif len(word) <= LONGEST and _IS_PATTERN.search(word):
            patterns += 1
            if patterns <= MOST_PATTERNS:
                matches = re.compile(fnmatch.translate(word)).match
                meant = [place for place, name in enumerate(names) if matches(name)]
            elif skips_unknown:
                meant = []
            else:
                raise TooManyPatterns
        else:
            meant = []
        if not meant and not skips_unknown:
            raise UnknownSync(word)
        found.update(meant)
    return sorted(found)
