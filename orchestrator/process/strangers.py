"""Waits for children that nobody here has started.

The first process of a container inherits what has lost its parent, and has to wait for it (wait(2)).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

UNCLAIMED = 60.0
"""Seconds after which a child that has ended and that nobody here waits for is taken for a stranger's."""


class Strangers:
    """Those that have ended, and since when that is known.

    What Lua or a plugin has started by itself must be left for them to collect; they do so soon.
    """

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def bury(self, ours: Container[int], now: float) -> None:
        """Wait for those that nobody came for. `ours`: the pids of our own children. `now`: of the monotonic clock."""
        ended = {pid: self._since.get(pid, now) for pid in _zombies() if pid not in ours}
        for pid, since in ended.items():
            if now - since >= UNCLAIMED:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass  # somebody came for it after all
        self._since = {pid: since for pid, since in ended.items() if now - since < UNCLAIMED}


def _zombies() -> list[int]:
    """Our children that have ended and were not waited for. See proc(5), task/children and stat."""
    found = []
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            children = file.read().split()
    except OSError:
        return []
    for pid in children:
        try:
            with open(b"/proc/%b/stat" % pid, "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
        except OSError:  # collected meanwhile
            continue
        if state == b"Z":
            found.append(int(pid))
    return found
