"""The knowledge, from one run to the next, of where the target's data came from.

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

import os
import stat
import threading

from orchestrator_native.rules import Trust, identity, is_finished

MOST_SPOILT = 50_000
"""So many files are remembered one by one whose ctime is no finish time (some 200 bytes each)."""

ANY_CHANGE = -1


class Proofs:
    """Of one sync; some 300 bytes for each directory. For several threads."""

    def __init__(self) -> None:
        self.is_complete = False
        """A full run has ended: a directory that is in no pair is new, or has come from elsewhere."""
        self._lock = threading.Lock()
        self._targets: dict[int, int] = {}
        self._sources: dict[int, int] = {}
        self._known: set[int] = set()  # targets that are, or were, in a pair
        self._spoilt: dict[int, int] = {}

    def is_pair(self, source: int, target: int) -> bool:
        """Identities of directories: what is in the one was made like what is in the other, but for changes that are
        reported by name."""
        return self._targets.get(source) == target

    def is_foreign(self, target: int) -> bool:
        """Whether somebody else has made a directory of the target: it was never in a pair."""
        return self.is_complete and target not in self._known

    def pair(self, source: int, target: int) -> None:
        """These two are being made alike; where that fails, `part` them."""
        with self._lock:
            if self._targets.get(source) == target:
                return
            self._forget(source, target)
            self._targets[source] = target
            self._sources[target] = source
            self._known.add(target)

    def part(self, source: int, target: int) -> None:
        """Neither is like what it was a pair with."""
        with self._lock:
            self._forget(source, target)

    def stays_foreign(self, target: int) -> None:
        """A directory of the target is not ours yet: something in it may be about to come to the source."""
        self.is_gone(target)

    def is_gone(self, target: int) -> None:
        """A directory of the target is about to be removed."""
        with self._lock:
            self._known.discard(target)
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

    def spoil(self, target: os.stat_result, ctime: int) -> None:
        """The ctime that this file has by now says nothing of its data. `ctime` of the source's inode, in nanoseconds,
        as of which it is right but for what has an event of its own; ANY_CHANGE where there is none."""
        with self._lock:
            if len(self._spoilt) >= MOST_SPOILT:
                # Nothing is trusted any more before it has been looked through again.
                self._spoilt.clear()
                self._targets.clear()
                self._sources.clear()
            self._spoilt[identity(target)] = ctime

    def name_goes(self, name: str, directory: int) -> None:
        """A name in an open directory of the target is about to be removed, or given to something else: that sets the
        ctime of a file that has other names."""
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            return
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            self.spoil(status, ANY_CHANGE)

    def holds(self, source: os.stat_result, target: os.stat_result, trust: Trust) -> bool:
        """Regular files that pass the quick check hold the same, as far as that is trusted."""
        if trust is Trust.QUICK:
            return True
        ctime = self._spoilt.get(identity(target))
        if ctime is None:
            return trust is not Trust.NONE and is_finished(source, target)
        return trust is Trust.UNCHANGED and source.st_ctime_ns == ctime

    def compared(self, target: os.stat_result) -> None:
        """The file's data is that of the source by now, and its ctime lies before now."""
        with self._lock:
            self._spoilt.pop(identity(target), None)
