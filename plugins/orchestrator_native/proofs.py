"""What is known, from one run to the next, of where the target's data came from.

Equal size and time prove nothing where other files may have taken the place of those that were compared: whole
directories change places, and with reproducible builds or unpacked archives all have one size and one time. Two
things prove more, both of them identities that no user can set:

* A **pair** is a directory of the source, and the one of the target that was made like it. A rename keeps it. Where
  the two at a path are no pair, something else has come there, and what is in it is compared by content.
* The **finish time** of a file on the target, its ctime: what happened to the source's inode before it is in there.
  Renames and changes of attributes on the target spoil it; such files are remembered here.

A loss of all this costs time (contents are compared), nothing else.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from orchestrator_native.rules import TICK, identity

if TYPE_CHECKING:
    import os

MOST_UNFINISHED = 20_000
"""So many files are remembered one by one whose ctime is no finish time (some 100 bytes each)."""


class Proofs:
    """Of one sync; some 250 bytes for each directory. For several threads."""

    def __init__(self) -> None:
        self.is_complete = False
        """A full run has ended: a directory that is in no pair is new, or has come from elsewhere."""
        self._lock = threading.Lock()
        self._targets: dict[int, int] = {}
        self._sources: dict[int, int] = {}
        self._unfinished: set[int] = set()
        self._since = 0

    def is_pair(self, source: int, target: int) -> bool:
        """Identities of directories: what is in the one was made like what is in the other, but for changes that are
        told by name."""
        return self._targets.get(source) == target

    def pair(self, source: int, target: int) -> None:
        """These two are being made alike; where that fails, `part` them."""
        with self._lock:
            if self._targets.get(source) == target:
                return
            self._forget(source, target)
            self._targets[source] = target
            self._sources[target] = source

    def part(self, source: int, target: int) -> None:
        """Neither is like what it was a pair with."""
        with self._lock:
            self._forget(source, target)

    def is_gone(self, target: int) -> None:
        """A directory of the target is about to be removed."""
        with self._lock:
            source = self._sources.pop(target, None)
            if source is not None:
                del self._targets[source]

    def _forget(self, source: int, target: int) -> None:
        old_target = self._targets.pop(source, None)
        if old_target is not None:
            del self._sources[old_target]
        old_source = self._sources.pop(target, None)
        if old_source is not None:
            del self._targets[old_source]

    def spoil(self, target: os.stat_result) -> None:
        """The ctime that this file has by now says nothing of its data."""
        with self._lock:
            if len(self._unfinished) >= MOST_UNFINISHED:
                self._unfinished.clear()
                self._since = time.time_ns() + TICK
            self._unfinished.add(identity(target))

    def is_finish_time(self, target: os.stat_result) -> bool:
        """The file's ctime is when its data was finished."""
        return target.st_ctime_ns > self._since and identity(target) not in self._unfinished

    def compared(self, target: os.stat_result) -> None:
        """The file's data is that of the source by now, and its ctime lies before now."""
        with self._lock:
            self._unfinished.discard(identity(target))
