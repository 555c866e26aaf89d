"""Directories in a source that look empty, or like others, because of the place that we run in.

What the machine has there is what its first process sees.
"""

from __future__ import annotations

import os
import stat

from orchestrator.logic.mounts import Mounts, places_unlike
from orchestrator.monitor.filesystems import is_silent


class PrivateMounts:
    """The mounts of this process, beside those of the machine. Read once; no error where they cannot be."""

    def __init__(self, ours: str = "/proc/self/mountinfo", theirs: str = "/proc/1/mountinfo") -> None:
        self._ours = _read(ours)
        # others than root may not read it; then only what nobody at all may look into is known
        self._theirs = _read(theirs)

    def within(self, source: bytes) -> list[bytes]:
        """The directories at or below a source of which we see something else than the machine has there."""
        if self._ours is None:
            return []
        found = {mount.point for mount in self._ours.within(source) if _is_closed(mount.point, mount.kind)}
        if self._theirs is not None:
            found.update(places_unlike(self._ours, self._theirs, source))
        return sorted(found)


def _read(path: str) -> Mounts | None:
    try:
        with open(path, "rb") as file:
            return Mounts(file.read())
    except OSError:
        return None


def _is_closed(point: bytes, kind: str) -> bool:
    """Whether a directory of mode `d---------` was mounted here: what systemd puts over what it hides."""
    if is_silent(kind):
        return False  # asking a server that is gone would wait for it
    try:
        mode = os.lstat(point).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and not mode & 0o777
