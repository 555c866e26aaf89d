"""Which syncs a path belongs to: an index over their sources, not a loop over all syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

Owner = TypeVar("Owner")

CACHED = 16384
"""Directories remembered; when full it starts anew: a burst lies in few directories."""


class RootIndex(Generic[Owner]):
    """Sources (absolute, with a trailing slash) and who owns them. Several may share one, or lie in another."""

    def __init__(self, roots: Iterable[tuple[bytes, Owner]]) -> None:
        self._owners: dict[bytes, list[Owner]] = {}
        for root, owner in roots:
            self._owners.setdefault(root, []).append(owner)
        self._longest = max(map(len, self._owners), default=0)
        self._cache: dict[bytes, list[Owner]] = {}

    def of(self, path: bytes) -> list[Owner]:
        """The owners of every root that holds the path, or is it, outermost first."""
        directory = path[: path.rfind(b"/", 0, -1) + 1] if path not in self._owners else path
        found = self._cache.get(directory)
        if found is None:
            if len(self._cache) >= CACHED:
                self._cache.clear()
            found = self._cache[directory] = self.search(directory)
        return found

    def search(self, directory: bytes) -> list[Owner]:
        """As `of` for a directory (with a slash at the end) that nobody will ask about again: not remembered."""
        found: list[Owner] = []
        end = 0
        while end := directory.find(b"/", end, self._longest) + 1:
            found += self._owners.get(directory[:end], ())
        return found

    def at(self, root: bytes) -> list[Owner]:
        """The owners of this very root, in their order."""
        return self._owners.get(root, [])

    def move(self, root: bytes, owner: Owner, new: bytes) -> None:
        """A source is another directory from now on."""
        self._owners[root].remove(owner)
        if not self._owners[root]:
            del self._owners[root]
        self._owners.setdefault(new, []).append(owner)
        self._cache.clear()

    def all(self) -> list[Owner]:
        """All owners, root by root."""
        return [owner for owners in self._owners.values() for owner in owners]
