"""The config keys of `default.direct` (spec 4.4)."""

from __future__ import annotations

from typing import Final

from orchestrator.api import RSYNC_EXIT_CODES, SELECTION, Option, Options
from orchestrator_rsync.api import RSYNC_TABLE

OPTIONS: Final[Options] = {
    **SELECTION,
    "target": Option((str,), None, "the directory to keep equal; neither empty nor the root directory"),
    "rsyncExitCodes": Option((dict,), dict(RSYNC_EXIT_CODES), "what rsync's exit codes mean, for full runs"),
    "rsync": RSYNC_TABLE,
}
