"""What an action keeps of each of its syncs: one Action serves them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.inlet import Inlet

Kept = TypeVar("Kept")


class PerSync(Generic[Kept]):
    """One object for each sync, made when it is first asked for and dropped with the sync.

    A reset makes all syncs anew: what is kept here may get lost at any time, and that must cost nothing but time.
    """

    def __init__(self, make: Callable[[Inlet], Kept]) -> None:
        self._make = make

    def of(self, inlet: Inlet) -> Kept:
        """The object of this sync."""
        kept: Kept | None = inlet.kept.get(self)
        if kept is None:
            kept = inlet.kept[self] = self._make(inlet)
        return kept
