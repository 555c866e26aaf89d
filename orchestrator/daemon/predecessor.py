"""Mends what a daemon before this one, that was killed, may have spoilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.process.orphans import Orphans, living
from orchestrator.sync.pathlist import remove_lists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.log import Log
    from orchestrator.masterloop import Loop
    from orchestrator.sync.sync import Sync


class Predecessor:
    """Its transfers may put what is old over what the startup brings: then a full run of each sync mends it."""

    def __init__(self, pid: int, syncs: Sequence[Sync], loop: Loop, log: Log) -> None:
        self._syncs = syncs
        self._log = log
        self._orphans = Orphans(loop, pid, self._mend)
        if left := len(self._orphans):
            told = f"{left} processes of a daemon that was killed (pid {pid}) still run"
            self._log("Warn", f"{told}; a full run follows when they have ended.")
        else:
            self._remove_lists()

    def _mend(self) -> None:
        self._remove_lists()
        self._log("Normal", "transfers of the daemon before this one have ended.")
        for sync in self._syncs:
            sync.request_full()

    def _remove_lists(self) -> None:
        """Of its lists of paths, and of those before it: it may have been killed before it came to that itself."""
        remove_lists(living)

    def close(self) -> None:
        """Wait for its transfers no longer."""
        self._orphans.close()
