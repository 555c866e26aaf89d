"""The oldest of many things that come and go, found without a look at each of them."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key", int, bytes)

SLACK: Final = 64
"""Stale entries that may be kept before it is worth sweeping."""


class Oldest(Generic[Key]):
    """A heap of times. `since_of(key)`: when the thing with that key happened, None once it is gone.

    Entries of things that are gone are skipped when they come up, and swept out when most are stale or said twice, so
    the memory is bounded by the things that are there.
    """

    def __init__(self, since_of: Callable[[Key], float | None]) -> None:
        self._since_of: Callable[[Key], float | None] = since_of
        self._heap: list[tuple[float, Key]] = []
        self._sweep_at = SLACK

    def __len__(self) -> int:
        """Entries in memory, stale ones included."""
        return len(self._heap)

    def add(self, since: float, key: Key) -> None:
        """One more, or one that turns out to be older than it was taken for."""
        heappush(self._heap, (since, key))
        if len(self._heap) > self._sweep_at:
            self._heap = list({entry for entry in self._heap if self._holds(entry)})
            heapify(self._heap)
            self._sweep_at = 2 * len(self._heap) + SLACK

    def first(self) -> float | None:
        """When the oldest happened; None: there is none."""
        heap = self._heap
        while heap and not self._holds(heap[0]):
            heappop(heap)
        return heap[0][0] if heap else None

    def _holds(self, entry: tuple[float, Key]) -> bool:
        return self._since_of(entry[1]) == entry[0]
