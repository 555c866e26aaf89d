"""When the directories were changed last that a move takes something from and puts it into.

A rename on the target sets their times to now. Whatever else happens in a directory has rsync put that right, as it
gets the directories above each path; after a mere rename nothing would (spec 4.3).
"""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from orchestrator_rsync.api import is_on, strings
from orchestrator_rsyncssh.moves import Time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.api import Config
    from orchestrator_rsyncssh.moves import Move

_WITHOUT = frozenset({"-O", "--omit-dir-times", "--no-times", "--no-t"})


def are_kept(table: Any) -> bool:
    """Whether rsync would set the times of directories."""
    times = table.get("times")
    if not (is_on(table.get("archive")) if times is None else is_on(times)) or is_on(table.get("omit_dir_times")):
        return False
    extra: Config | None = table.get("_extra")
    return extra is None or not _WITHOUT & set(strings(extra))


def of_parents(source: bytes, moves: Iterable[Move]) -> list[Time]:
    """Of each directory that still is one in the source."""
    parents = {end.rpartition(b"/")[0] for move in moves for end in move}
    found = ((parent, _time(source + parent)) for parent in sorted(parents))
    return [Time(parent, *time) for parent, time in found if time is not None]


def _time(path: bytes) -> tuple[str, str] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z", f"{moment:%Y%m%d%H%M.%S}"
