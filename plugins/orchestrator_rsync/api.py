"""The part of this plugin that other plugins may use: rsync's runs, their arguments and options.

An action whose startup and full runs are rsync's derives from `RsyncAction`, calls `prepare_rsync` in its `prepare`,
has `RSYNC_TABLE` among its options, and for a run of rsync returns in its `collect`:
`self.runs.collect(outcome, exit_codes)`. rsyncssh and direct are built like this.
"""

from __future__ import annotations

from orchestrator_rsync.arguments import computed, computed_of, deletes_running, is_on, rsync_table, strings, with_slash
from orchestrator_rsync.base import RsyncAction
from orchestrator_rsync.batches import spawn_changes
from orchestrator_rsync.options import RSYNC_TABLE, SSH_SHARE
from orchestrator_rsync.prepare import prepare_rsync
from orchestrator_rsync.shell import check_share, destination, may_share, own_remote_shell

__all__ = [
    "RSYNC_TABLE",
    "SSH_SHARE",
    "RsyncAction",
    "check_share",
    "computed",
    "computed_of",
    "deletes_running",
    "destination",
    "is_on",
    "may_share",
    "own_remote_shell",
    "prepare_rsync",
    "rsync_table",
    "spawn_changes",
    "strings",
    "with_slash",
]
