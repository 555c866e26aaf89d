"""The kernel's table of mounts, as this process sees it (proc(5), mountinfo); its meaning is in logic/mounts.py."""

from __future__ import annotations

from orchestrator.logic.mounts import Mounts


def read_mounts() -> Mounts:
    """All mounts; none where they cannot be read."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return Mounts(file.read())
    except OSError:
        return Mounts(b"")
