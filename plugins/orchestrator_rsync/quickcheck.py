"""Files that rsync's quick check may take for unchanged though they changed: they are racily clean.

rsync passes over a file whose size is the same and whose time falls into the same second (rsync(1),
--modify-window). So a file that is written again, with as many bytes, in the second in which a run has compared
it never arrives; no more does a file that takes the place of one of the same size and second. There is an
event for each of them, so the run that follows it compares their content.

This knows when runs were, not which files they compared: a file whose content is compared for nothing costs time only.
A file that was opened and closed, but not written, is none of these.
"""

from __future__ import annotations

import os
import stat
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from orchestrator.api import etypes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.api import Delay

_FILE_IS_NEW = frozenset({etypes.CREATE, etypes.MODIFY})

_LAG = 0.05
"""Seconds by which the clock that files get their times from may be late."""

_KEPT = 1000
"""Windows that are remembered: the last that changes still waiting may have been written in."""


class QuickCheck:
    """When one sync's runs were: windows of whole seconds since 1970, those of runs that met made one."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now` gives the time in seconds since 1970."""
        self._now = now
        self.unequal: set[bytes] = set()
        """Paths whose content a verification has found to differ, until they are transferred: not by quick check."""
        self._running: list[int] = []
        self._windows: list[tuple[int, int]] = []

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now()

    def begin(self) -> Callable[[], None]:
        """A run begins; call the function that is returned when it has ended."""
        start = int(self._now() - _LAG)
        self._running.append(start)

        def end() -> None:
            self._running.remove(start)
            self._add(start, int(self._now()))

        return end

    def ran_before(self, until: float | None) -> None:
        """There were runs at any time until then, in seconds since 1970; None: until now."""
        self._add(0, int(self._now() if until is None else until))

    def racy(self, source: bytes, delays: Iterable[Delay]) -> list[Delay]:
        """Those of these changes whose files rsync may take for the ones that it knows.

        The destination of a Move is new under its name; of a directory that is true of all below it.
        """
        found: list[Delay] = []
        for delay in delays:
            path2 = delay.path2
            if path2 is not None:
                is_racy = self._was_any() if path2.endswith(b"/") else self.is_racy(etypes.CREATE, source + path2)
            else:
                is_racy = not delay.path.endswith(b"/") and self.is_racy(delay.etype, source + delay.path)
            if is_racy or delay.path in self.unequal:
                found.append(delay)
        return found

    def is_racy(self, etype: str, path: bytes) -> bool:
        """Whether rsync may take the file at this absolute path for the one that it knows, after an event of this type.

        False for a directory.
        """
        if etype not in _FILE_IS_NEW:
            return False
        try:
            status = os.lstat(path)
        except OSError:
            return False
        second = int(status.st_mtime)
        if not stat.S_ISREG(status.st_mode) or not status.st_size or not self._was_after(second):
            return False
        # a file that is new under its name may be of any time; one that was written has its time from then, or was
        # given another
        return etype == etypes.CREATE or int(status.st_ctime) > second or self._was_in(second)

    def unlike(self, delays: Iterable[Delay]) -> list[Delay]:
        """Those of these changes whose files are known to differ."""
        return [delay for delay in delays if delay.path in self.unequal] if self.unequal else []

    def _add(self, start: int, end: int) -> None:
        windows = self._windows
        while windows and start <= windows[-1][1] + 1:
            first, last = windows.pop()
            start, end = min(start, first), max(end, last)
        windows.append((start, end))
        del windows[:-_KEPT]

    def _was_after(self, second: int) -> bool:
        """Whether a run can have seen what was written in that second."""
        if second > self._now():
            return True  # a time in the future says nothing
        return bool(self._running) or (bool(self._windows) and second <= self._windows[-1][1])

    def _was_any(self) -> bool:
        return bool(self._running or self._windows)

    def _was_in(self, second: int) -> bool:
        if any(start <= second for start in self._running):
            return True
        place = bisect_left(self._windows, (second + 1, 0)) - 1
        return place >= 0 and self._windows[place][1] >= second
