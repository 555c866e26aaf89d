"""What must not be forgotten during long work.

Reading 150,000 directories takes seconds, in which nobody reads the kernel's events. Its queue holds 16,384 of them,
and what does not go into it is lost.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.monitor.base import Progress

PERIOD = 1000
"""Directories between two calls of `progress`, and as many as are dealt with at a stretch at most."""
_SOON = 50  # directories between two looks at the kernel's queue: a disk may take 10 ms for one


class Pace:
    """Takes a rest now and then: empties the kernel's queue, and tells how far we are."""

    def __init__(self, drain: Callable[[], None]) -> None:
        """`drain` takes what the kernel has into memory; quick."""
        self.drain = drain
        self._progress: Progress | None = None
        self._count = 0

    @contextmanager
    def reporting(self, progress: Progress | None) -> Iterator[None]:
        """For the time of the context, `progress` is called now and then; what it raises comes out of the walk."""
        before, self._progress = self._progress, progress
        try:
            yield
        finally:
            self._progress = before

    def begin(self) -> None:
        """Counting begins anew."""
        self._count = 0

    def step(self) -> None:
        """One more directory has been looked at."""
        self._count += 1
        if self._count % _SOON == 0:
            self.drain()
        if self._count % PERIOD == 0 and self._progress is not None:
            self._progress(self._count)

    def rest(self, directories: int) -> None:
        """`directories` have been looked at by somebody who does not count them here."""
        self.drain()
        if self._progress is not None:
            self._progress(directories)
