"""Paths that are longer than any program can be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Change
from orchestrator.logic.event import DELETE

if TYPE_CHECKING:
    from orchestrator.log import Log

LONGEST_PATH = 4095
"""Bytes. A longer path is none to the kernel (PATH_MAX), nor to the programs that transfer."""


class TooDeep:
    """What whoever may write in a source can nest without end: nothing of it is kept, and that is said once."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._has_warned = False

    def what_is_left_of(self, change: Change) -> Change:
        """Of a change with a path that is too long: the half of a Move that is not, or one that concerns nobody."""
        etype, path, path2 = change
        self.warn(max(path, path2 or b"", key=len))
        if path2 is not None and len(path) <= LONGEST_PATH:
            return Change(DELETE, path)
        if path2 is not None and len(path2) <= LONGEST_PATH:
            return Change(etype, b"", path2)  # as from outside of every source
        return Change(etype, b"")

    def warn(self, path: bytes) -> None:
        if not self._has_warned:
            self._has_warned = True
            reason = f" … has a path of {len(path)} bytes, and {LONGEST_PATH} is the most that programs take:"
            self._log("Warn", path[:100], reason, " changes below such directories are not seen.")
