"""Events on their way from the kernel's queue to being worked off: bytes, whatever they mean."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE = 4 * 1024 * 1024  # bytes taken from the kernel at a stretch: others may fill its queue faster
_BATCH = 2  # pieces handed out at once: some 1,000 events


class Backlog:
    """May be filled by several threads."""

    def __init__(self, read: Callable[[], bytes], limit: int) -> None:
        """`read`: gives some events, none where none wait; `limit`: bytes held in memory at most."""
        self._read = read
        self._limit = limit
        self._lock = threading.Lock()
        self._pieces: deque[bytes] = deque()
        self._size = 0  # bytes in them
        self._has_dropped = False

    def fill(self) -> bool:
        """Takes what the kernel has, or a part of it if that is much; gives whether there was anything."""
        taken = 0
        with self._lock:
            while taken < _AT_ONCE and (piece := self._read()):
                taken += len(piece)
                if self._size + len(piece) > self._limit:
                    self._pieces.clear()
                    self._size = 0
                    self._has_dropped = True
                if not self._has_dropped:
                    self._pieces.append(piece)
                    self._size += len(piece)
        return taken > 0

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._pieces)

    def take(self) -> list[bytes]:
        """Hands out a batch of what is held: pieces of whole events, oldest first."""
        with self._lock:
            pieces = [self._pieces.popleft() for _ in range(min(_BATCH, len(self._pieces)))]
            self._size -= sum(map(len, pieces))
        return pieces

    def has_dropped(self) -> bool:
        """Whether events had to be dropped since last asked. Until it is asked, nothing more is held."""
        has_dropped, self._has_dropped = self._has_dropped, False
        return has_dropped
