"""What has to be remembered until all events are worked off.

As long as events wait, a path that one of them gave may lead to another directory than the one it was about: one went
away after it was told of and before we came, and another one took its place. Nobody can know before the last of the
events is read; then it is checked (`Survey.settle`), and nothing of this is needed any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.monitor.watches import Node


class Unsettled:
    """Filled by everybody who watches a directory or learns that one went away."""

    def __init__(self) -> None:
        self.bound: list[Node] = []
        """Directories that were watched, or put elsewhere, while events were waiting, perhaps."""
        self.entered: list[Node] = []
        """Sources whose whole trees were, likewise."""
        self.absent: list[Node] = []
        """What was exchanged for something outside, and was not there when we came: away with a directory above it?"""
        self.ended: set[bytes] = set()
        """Directories that were told to be deleted when their watches ended: their parents' events come behind."""
        self.is_shuffled = False
        """Whether directories went away meanwhile, as the events tell. If not, none can have taken another's place."""

    def trust(self) -> None:
        """Everything is where we found it: no events were waiting."""
        self.bound.clear()
        self.entered.clear()
        self.absent.clear()
        self.is_shuffled = False

    def take(self) -> tuple[list[Node], list[Node]] | None:
        """All events are worked off: gives what is to be checked, `bound` and `entered`, if anything can be wrong."""
        bound, entered, was_shuffled = self.bound, self.entered, self.is_shuffled
        self.bound, self.entered, self.is_shuffled = [], [], False
        self.ended.clear()
        return (bound, entered) if was_shuffled else None
