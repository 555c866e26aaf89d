"""What must not be forgotten during long work.

Reading 150,000 directories takes seconds, in which nobody reads the kernel's events. Its queue holds 16,384 of them,
and what does not go into it is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 1000
"""Directories between two calls of `progress`, and as many as are dealt with at a stretch at most."""
_SOON = 50  # directories between two looks at the kernel's queue: a disk may take 10 ms for one


class Pace:
    """Takes a rest now and then: empties the kernel's queue, and tells how far we are."""

    def __init__(self, drain: Callable[[], None]) -> None:
        """`drain` takes what the kernel has into memory; quick."""
        self.drain = drain
        self.progress: Callable[[int], None] | None = None
        """To be told now and then of how many directories were looked at."""
        self._count = 0

    def begin(self) -> None:
        """Counting begins anew."""
        self._count = 0

    def step(self) -> None:
        """One more directory has been looked at."""
        self._count += 1
        if self._count % _SOON == 0:
            self.drain()
        if self._count % PERIOD == 0 and self.progress is not None:
            self.progress(self._count)

    def rest(self, directories: int) -> None:
        """`directories` have been looked at by somebody who does not count them here."""
        self.drain()
        if self.progress is not None:
            self.progress(directories)
