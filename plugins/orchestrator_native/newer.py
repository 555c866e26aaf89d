"""Files that are newer on the target: deferred for a moment.

Where the target is mirrored back to the source by another sync, what comes from there may be older than what has been
written here meanwhile: lines that are appended to a log would be taken away again. So a file that was written on the
target about when the source's changed, or later, and has the later time, is left alone at first: the other sync takes
it over, and there is nothing left to do. If it does not, the source's is brought: a mirror is a mirror.
"""

from __future__ import annotations

import stat
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os

ABOUT = 2_000_000_000
"""Nanoseconds between the two changes of the inodes, in which the other sync may just have been at work."""

TIMES = 20
"""How often at most a file is deferred that goes on changing on the target."""

MOST = 10_000
"""Files that are deferred at a time; more are brought at once."""


class _Deferred(NamedTuple):
    source: int
    target: int
    since: float
    times: int


class Newer:
    """The files that are deferred, by path. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, _Deferred] = {}

    def defers(self, path: str, wanted: os.stat_result, have: os.stat_result | None, patience: float) -> bool:
        """Whether this file has to wait. No longer, when nobody has touched either side for `patience` seconds."""
        with self._lock:
            before = self._files.pop(path, None)
            if have is None or not is_newer(wanted, have) or (before is None and len(self._files) >= MOST):
                return False
            now = _Deferred(wanted.st_ctime_ns, have.st_ctime_ns, time.monotonic(), 1)
            if before is not None and before[:2] == now[:2]:
                if now.since - before.since >= patience:
                    return False
                now = before
            elif before is not None:
                now = now._replace(times=before.times + 1)
                if now.times > TIMES:
                    return False
            self._files[path] = now
            return True


def is_newer(wanted: os.stat_result, have: os.stat_result) -> bool:
    """The target's file has the later time, and has got it about when the source's changed, or since."""
    return (
        stat.S_ISREG(wanted.st_mode)
        and stat.S_ISREG(have.st_mode)
        and have.st_mtime_ns > wanted.st_mtime_ns
        and have.st_ctime_ns > wanted.st_ctime_ns - ABOUT
    )
