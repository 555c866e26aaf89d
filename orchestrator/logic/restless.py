"""Which sources move faster than anybody can follow. Pure.

A tree that is moved again and again (two directories exchanged in a loop, one renamed in a chain) makes more work than
it takes to make it: each time all that is in it has to be looked at. What counts is that the same thing moves or
appears once more before the changes reported so far are worked off; a thousand directories renamed once each are not
restless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.logic.change import Change

AGAIN = 50
"""So many times, in the time of one backlog, and a source is restless."""
_REMEMBERED = 20_000  # paths


class Restless:
    """Notes the changes of each source until the backlog is worked off: `clear`."""

    def __init__(self) -> None:
        self._seen: set[tuple[bytes, bytes]] = set()
        self._again: dict[bytes, int] = {}

    def note(self, source: bytes, change: Change) -> None:
        """A change below a source. Costs next to nothing but for moves and for directories that appear."""
        etype, path, path2 = change
        if path2 is None and (etype != "Create" or path[-1:] != b"/"):
            return
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        if (source, path) in self._seen:
            self._again[source] = self._again.get(source, 0) + 1
        self._seen.add((source, path))
        if path2 is not None:
            self._seen.add((source, path2))

    def sources(self) -> list[bytes]:
        """Those that are restless."""
        return [source for source, count in self._again.items() if count >= AGAIN]

    def clear(self) -> None:
        """All is worked off."""
        self._seen.clear()
        self._again.clear()
