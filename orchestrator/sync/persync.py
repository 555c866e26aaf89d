"""What an action keeps of each of its syncs: one Action serves them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.inlet import Inlet

Kept = TypeVar("Kept")


class PerSync(Generic[Kept]):
    """One object for each sync, made when it is first asked for and dropped with the sync.

    The object must not hold the inlet, or neither would ever be dropped. A reset makes all syncs anew: what is kept
    here may get lost at any time, and that must cost nothing but time.
    """

    def __init__(self, make: Callable[[Inlet], Kept]) -> None:
        self._make = make
        self._kept: WeakKeyDictionary[Inlet, Kept] = WeakKeyDictionary()

    def of(self, inlet: Inlet) -> Kept:
        """The object of this sync."""
        kept = self._kept.get(inlet)
        if kept is None:
            kept = self._kept[inlet] = self._make(inlet)
        return kept
