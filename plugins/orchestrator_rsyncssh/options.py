"""The config keys of `default.rsyncssh` (spec 4.3)."""

from __future__ import annotations

from typing import Final

from orchestrator.api import RSYNC_EXIT_CODES, SELECTION, SSH_EXIT_CODES, Option, Options
from orchestrator_rsync.api import RSYNC_TABLE, SSH_SHARE

FILES: Final = frozenset(
    {"certificatefile", "controlpath", "globalknownhostsfile", "identityagent", "identityfile", "userknownhostsfile"}
)
"""Settings of ssh_config(5) that name files."""

SSH_TABLE: Final[Options] = {
    "binary": Option((str,), "ssh", "the program for moves, looked up in PATH", path="program"),
    "identityFile": Option((str,), None, "private key (-i)", path="file"),
    "port": Option((int, str), None, "port (-p)"),
    "options": Option((dict,), None, "ssh_config settings, { Key = 'value' } (-o)", path=FILES),
    "_extra": Option((list,), None, "further arguments, handed over as they are (-sshopts)"),
}

OPTIONS: Final[Options] = {
    **SELECTION,
    "host": Option((str,), None, "the target's host, or user@host"),
    "targetdir": Option((str,), None, "the directory there"),
    "ssh": SSH_TABLE,
    "rsyncExitCodes": Option((dict,), dict(RSYNC_EXIT_CODES), "what rsync's exit codes mean"),
    "sshExitCodes": Option((dict,), dict(SSH_EXIT_CODES), "what the exit codes of ssh mean, for moves"),
    "batchSizeLimit": Option((int, float), None, "bytes; a larger file gets a run of its own"),
    "sshShare": SSH_SHARE,
    "startupProcesses": Option((int,), None, "processes at a time that the startup is shared out to; not set: one"),
    "rsync": RSYNC_TABLE,
}
