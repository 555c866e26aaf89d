"""Paths renamed to and fro, so that the order is not sure by the events: their state has to be looked at. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class AmbiguousPaths:
    """Is reported of every rename and deletion until all events are worked off. Directories end in a slash."""

    def __init__(self) -> None:
        self.deleted: set[bytes] = set()
        """To be added to: a burst of deletions adds to nothing but this set."""
        self._ends: dict[bytes, int] = {}  # what was renamed, and renamed to: how often
        self._left: set[bytes] = set()  # what was renamed to something else
        self._moves: list[tuple[bytes, bytes]] = []  # of directories within the sources

    def renamed_from(self, path: bytes) -> None:
        self._note(path)
        self._left.add(path)

    def renamed_to(self, path: bytes) -> None:
        self._note(path)

    def moved(self, path: bytes, path2: bytes) -> None:
        """Both ends of the rename of a directory, beside `renamed_from` and `renamed_to`."""
        self._moves.append((path, path2))

    def resolve(self, exists: Callable[[bytes], bool]) -> list[bytes]:
        """All events are worked off: gives the paths to be looked at again, and knows of nothing any more."""
        again = {path for path, count in self._ends.items() if count > 1 or path in self.deleted}
        again.update(filter(exists, self._left))
        entangled = _entangled({path for move in self._moves for path in move})
        for move in self._moves:
            if not entangled.isdisjoint(move):
                again.update(move)
        self.deleted.clear()
        self._ends.clear()
        self._left.clear()
        self._moves.clear()
        return sorted(again)

    def _note(self, path: bytes) -> None:
        self._ends[path] = self._ends.get(path, 0) + 1


def _entangled(paths: set[bytes]) -> set[bytes]:
    """Those of directories that lie within another one of them, and those others."""
    found = set()
    top = None
    for path in sorted(paths):
        if top is not None and path.startswith(top):
            found |= {top, path}
        else:
            top = path
    return found
