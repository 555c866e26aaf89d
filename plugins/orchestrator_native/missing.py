"""Entries that the target does not have, though it was about to have them from elsewhere: deferred for a moment.

Where the target is mirrored back to the source by another sync, what a change names may have come from there, and have
been deleted or renamed there since: brought now, it would come back. So it is left alone at first if somebody else has
changed the target's directory after the last change of the source's entry: the other sync takes the deletion over, and
there is nothing left to do. If it does not, the entry is brought: a mirror is a mirror.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict

from orchestrator_native.rules import identity

MOST = 10_000
"""Entries that are deferred at a time, more are brought at once; and directories that are remembered."""


class Missing:
    """Of one sync. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: OrderedDict[int, int] = OrderedDict()
        self._entries: dict[str, tuple[int, float]] = {}

    def leave(self, directory: os.stat_result) -> None:
        """A directory of the target, as our own work has left it."""
        with self._lock:
            self._left[identity(directory)] = directory.st_ctime_ns
            self._left.move_to_end(identity(directory))
            if len(self._left) > MOST:
                self._left.popitem(last=False)

    def changed_by_others(self, directory: os.stat_result) -> int:
        """When somebody else may have changed a directory of the target: its ctime, or 0 where it is as we left it."""
        ctime = directory.st_ctime_ns
        return 0 if self._left.get(identity(directory)) == ctime else ctime

    def defers(self, path: str, wanted: os.stat_result, changed: int, patience: float) -> bool:
        """Whether an entry of the source that the target has not has to wait: once, for `patience` seconds.

        `changed`: of the target's directory, see changed_by_others.
        """
        if changed <= wanted.st_ctime_ns:
            return False
        now = time.monotonic()
        with self._lock:
            ctime, since = self._entries.pop(path, (None, now))
            if ctime != wanted.st_ctime_ns:
                since = now  # another one, or new
                if len(self._entries) >= MOST:
                    return False
            elif now - since >= patience:
                return False
            self._entries[path] = wanted.st_ctime_ns, since
            return True


class Directories:
    """What one run has found of the target's directories, before it changed anything in them."""

    def __init__(self, missing: Missing) -> None:
        self._missing = missing
        self._changed: dict[int, int] = {}

    def look(self, target: int) -> int:
        """An open directory of the target, before we change it: see Missing.changed_by_others."""
        status = os.fstat(target)
        return self._changed.setdefault(identity(status), self._missing.changed_by_others(status))

    def make(self, name: str, parent: int) -> None:
        """A directory that was just made."""
        self._changed[identity(os.stat(name, dir_fd=parent, follow_symlinks=False))] = 0
