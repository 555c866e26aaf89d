"""Whether a sync's source is still the directory that was there before, looked at right before each transfer.

Whoever owns the directory that the source is in can put another one there. The monitor hears of that and reports it,
but a transfer that starts in between would make the target like the other directory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from orchestrator.mounttable import read_mounts
from orchestrator.sync.targetwatch import keeps_inode

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.clock import Clock

PATIENCE: Final = 5.0
"""Seconds that the monitor has to report another source; after that nobody will."""


class SourceGuard:
    """One sync's. `replaced`: called when the monitor has not reported that the source is another directory."""

    def __init__(self, clock: Clock, replaced: Callable[[], None]) -> None:
        self._clock = clock
        self._replaced = replaced
        self._seen: tuple[int, int] | None = None
        self._doubted_since: float | None = None

    def accept(self) -> None:
        """The monitor has looked: the directory that is there at the next transfer is the source."""
        self._seen = self._doubted_since = None

    def is_same(self, source: bytes) -> bool:
        """Whether a transfer may start. The directory found the first time is the one that others are compared with."""
        try:
            status = os.stat(source)
        except PermissionError:
            return True  # the transfer itself reports it
        except OSError:
            return self._seen is None or self._is_accepted(None)
        now = (status.st_dev, status.st_ino)
        if self._seen is None or now == self._seen:
            self._seen = now
            self._doubted_since = None
            return True
        if now[0] == self._seen[0] and not keeps_inode(read_mounts().mount_of(os.path.realpath(source))):
            self._seen = now
            return True
        return self._is_accepted(now)

    def _is_accepted(self, now: tuple[int, int] | None) -> bool:
        """Another source, or none, is taken for what it is when the monitor has had its time."""
        if self._doubted_since is None:
            self._doubted_since = self._clock.now()
        if self._clock.now() - self._doubted_since < PATIENCE:
            return False
        self._doubted_since = None
        if now is not None:
            self._seen = now
            self._replaced()
        return True
