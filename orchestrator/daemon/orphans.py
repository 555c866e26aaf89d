"""Transfers of a daemon before this one, that was killed: their work is put right when they have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.process.orphans import Orphans, living
from orchestrator.sync.pathlist import remove_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.log import Log
    from orchestrator.masterloop import LoopLike
    from orchestrator.sync.sync import Sync


class OrphanedTransfers:
    """They may put old contents over those that the startup brings: a full run of each sync follows their end."""

    def __init__(self, pid: int, syncs: Callable[[], Sequence[Sync]], loop: LoopLike, log: Log) -> None:
        """`pid`: of the daemon that was killed; `syncs()`: those at work."""
        self._syncs = syncs
        self._log = log
        self._orphans = Orphans(loop, pid, self._resync)
        if count := len(self._orphans):
            still = f"{count} processes of a daemon that was killed (pid {pid}) still run"
            self._log("Warn", f"{still}; a full run follows when they have ended.")
        else:
            self._remove_lists()

    def _resync(self) -> None:
        self._remove_lists()
        self._log("Normal", "transfers of the daemon before this one have ended.")
        for sync in self._syncs():
            sync.request_full()

    def _remove_lists(self) -> None:
        """Remove its lists of paths, and those of daemons before it: it may have been killed before it did that."""
        remove_lists(living)

    def close(self) -> None:
        """Wait for them no longer."""
        self._orphans.close()
