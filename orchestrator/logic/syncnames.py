"""Which syncs somebody means: names, `SyncN`, and patterns (contrib/CONTROL.md)."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERED = re.compile(r"Sync([1-9][0-9]{0,8})")
_IS_PATTERN = re.compile(r"[*?[]")


class UnknownSync(Exception):
    """No sync is meant by one of the words. `word`: which."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def chosen(words: Sequence[str], names: Sequence[str]) -> list[int]:
    """The places in `names` of the syncs that the words mean, each once, in the order of `names`.

    A name goes before `SyncN` (the N-th), that before a pattern. Raises UnknownSync.
    """
    found: set[int] = set()
    for word in words:
        meant = _meant(word, names)
        if not meant:
            raise UnknownSync(word)
        found.update(meant)
    return sorted(found)


def _meant(word: str, names: Sequence[str]) -> list[int]:
    exact = [place for place, name in enumerate(names) if name == word]
    if exact:
        return exact
    numbered = _NUMBERED.fullmatch(word)
    if numbered and int(numbered[1]) <= len(names):
        return [int(numbered[1]) - 1]
    if not _IS_PATTERN.search(word):
        return []
    matches = re.compile(fnmatch.translate(word)).match
    return [place for place, name in enumerate(names) if matches(name)]
