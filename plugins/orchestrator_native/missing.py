"""Entries that only one side has, and that are about to go there, or to come to the other: deferred for a moment.

Where the target is mirrored back to the source by another sync, what a change names may have come from there, and have
been deleted or renamed there since: brought now, it would come back. So it is left alone at first if somebody else has
changed the target's directory after the last change of the source's entry: the other sync takes the deletion over, and
there is nothing left to do. If it does not, the entry is brought: a mirror is a mirror.

The other way round, an entry that only the target has may be about to come from there: the other sync has made its
directory in the source, and that has been reported before all in it has come. Deleted now, it would be lost. So it
stays at first if that directory of the target was made by somebody else.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native.rules import identity

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 10_000
"""Entries that are deferred at a time, more are brought at once; and directories that are remembered."""


class Missing:
    """Of one sync. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: OrderedDict[int, _Left] = OrderedDict()
        self._entries: dict[str, tuple[int, float]] = {}

    def leave(self, directory: os.stat_result, foreign: int) -> None:
        """A directory of the target, as our own work has left it. `foreign`: see Directories.foreign_change."""
        with self._lock:
            self._left[identity(directory)] = _Left(directory.st_ctime_ns, foreign)
            self._left.move_to_end(identity(directory))
            if len(self._left) > MOST:
                self._left.popitem(last=False)

    def forget_directories(self) -> None:
        """Nothing is known of who changed them."""
        with self._lock:
            self._left.clear()

    def foreign_change(self, directory: os.stat_result) -> int:
        """When somebody else may have changed a directory of the target last: its ctime, if it is not as we left it."""
        left = self._left.get(identity(directory))
        if left is None:
            return directory.st_ctime_ns - 1  # by a startup of ours, most likely: entries made in its tick come at once
        return left.foreign if left.ctime == directory.st_ctime_ns else directory.st_ctime_ns

    def defers(self, path: str, wanted: os.stat_result, foreign: int, patience: float) -> bool:
        """Whether an entry of the source that the target has not has to wait: once, for `patience` seconds.

        `foreign`: of the target's directory, see Directories.foreign_change. Times of one tick of the kernel's clock
        are equal, whichever came first.
        """
        return foreign >= wanted.st_ctime_ns and self._waits(path, wanted.st_ctime_ns, patience)

    def keeps(self, path: str, have: os.stat_result, patience: float) -> bool:
        """Whether an entry that only the target has, in a directory that we have not made, stays: once, as above."""
        return self._waits(path, have.st_ctime_ns, patience)

    def _waits(self, path: str, entry: int, patience: float) -> bool:
        """`entry`: its ctime; another one waits anew."""
        now = time.monotonic()
        with self._lock:
            ctime, since = self._entries.pop(path, (None, now))
            if ctime != entry:
                since = now  # another one, or new
                if len(self._entries) >= MOST:
                    return False
            elif now - since >= patience:
                return False
            self._entries[path] = entry, since
            return True


class _Left(NamedTuple):
    """Times (ctime, ns) of a directory of the target: of the last change, and of the last one that was not ours."""

    ctime: int
    foreign: int


class _Directory:
    """A directory of the target in one run."""

    def __init__(self, ctime: int, foreign: int) -> None:
        self.lock = threading.Lock()
        """Held while we change it: another thread's change is not to pass for somebody else's."""
        self.ctime = ctime
        """Up to here it is known whose changes they were."""
        self.foreign = foreign

    def account(self, ctime: int) -> None:
        if ctime != self.ctime:
            self.ctime = self.foreign = ctime


class Directories:
    """In one run: which changes of the target's directories are not ours. For several threads.

    Every change of ours is made within `changing`; any other time that a directory shows is somebody else's.
    """

    def __init__(self, missing: Missing) -> None:
        self._missing = missing
        self._directories: dict[int, _Directory] = {}

    def foreign_change(self, target: int) -> int:
        """When somebody else changed an open directory of the target last (ctime, ns), as far as is known; 0: never."""
        directory = self._find(target)
        with directory.lock:
            directory.account(os.fstat(target).st_ctime_ns)
            return directory.foreign

    @contextmanager
    def changing(self, target: int) -> Iterator[None]:
        """Within: one change of ours in an open directory of the target. To be short; not to be nested."""
        directory = self._find(target)
        with directory.lock:
            directory.account(os.fstat(target).st_ctime_ns)
            try:
                yield
            finally:
                directory.ctime = os.fstat(target).st_ctime_ns

    def make(self, name: str, parent: int) -> None:
        """We have just made a directory."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        self._directories[identity(status)] = _Directory(status.st_ctime_ns, 0)

    def leave(self, target: int) -> None:
        """Our work in an open directory of the target is done."""
        directory = self._find(target)
        with directory.lock:
            status = os.fstat(target)
            directory.account(status.st_ctime_ns)
            self._missing.leave(status, directory.foreign)

    def _find(self, target: int) -> _Directory:
        status = os.fstat(target)
        found = self._directories.get(identity(status))
        if found is None:
            new = _Directory(status.st_ctime_ns, self._missing.foreign_change(status))
            found = self._directories.setdefault(identity(status), new)
        return found
