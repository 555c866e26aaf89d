"""The part of this plugin that other plugins may use: rsync's runs, their arguments and options.

An action whose startup and full runs are rsync's derives from `RsyncAction`, calls `prepare_rsync` in its `prepare`,
has `RSYNC_TABLE` among its options, and for a run of rsync returns in its `collect`:
`self.runs.collect(outcome, exit_codes)`. rsyncssh and direct are built like this.
"""

from __future__ import annotations

from orchestrator_rsync.arguments import computed, computed_of, deletes_running, is_on, rsync_table, strings, with_slash
from orchestrator_rsync.base import RsyncAction
from orchestrator_rsync.batches import spawn_changes
from orchestrator_rsync.options import RSYNC_TABLE
from orchestrator_rsync.prepare import prepare_rsync

__all__ = [
    "RSYNC_TABLE",
    "RsyncAction",
    "computed",
    "computed_of",
    "deletes_running",
    "is_on",
    "prepare_rsync",
    "rsync_table",
    "spawn_changes",
    "strings",
    "with_slash",
]
