"""What is told of the tree: the changes, in order, and how they are worded.

Decides nothing about directories. What it has to know is on which occasion something is told: by an event of its own,
by being found in a directory that is new, or while the tree is read again after lost events. Of the latter nothing is
told, since who lost events looks at everything anyway.
"""

from __future__ import annotations

from orchestrator.logic.change import Change, Found

SLICE = 20_000
"""Changes given by one read() at most, but for the one directory that it is at."""


class Account:
    """The changes told since last taken. What nothing is said of below is put into `changes` straight."""

    def __init__(self, limit: int = SLICE) -> None:
        """`limit`: so many changes are enough for one read."""
        self.limit = limit
        self.changes: list[Change] = []
        self.occasion = b""
        """The directory that an event told of, and in which things are found."""
        self.is_sweeping = False
        """Whether the tree is read again: nothing known of it is relied on, and what is put right is not told."""

    def found(self, path: bytes) -> None:
        """A directory is there, by the event that we are at, or by reading the directory that this one told of."""
        self.changes.append(Change("Create", path) if path == self.occasion else Found("Create", path))

    def take_back(self, path: bytes) -> None:
        """What was told of a directory, and of all in it, was wrong or is so by now."""
        if not self.is_sweeping:
            self.changes.append(Change("Delete", path))

    def is_full(self) -> bool:
        """Whether there is enough to be taken before more is looked for."""
        return len(self.changes) >= self.limit

    def take(self) -> list[Change]:
        """All that was told since last taken."""
        changes, self.changes = self.changes, []
        return changes
