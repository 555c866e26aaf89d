"""What a daemon that was killed has left running: transfers that may still write what is old by now (spec 6).

They are known by their session: a daemon leads one of its own, whose number no other process gets as long as anybody
is in it. They are left alone, and waited for: a user's command may have started something that is to stay.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.masterloop import LoopLike


class Orphans:
    """The processes in the session of a leader that is no more. `len`: how many are left.

    `when_gone` is called from the loop, once, when the last one has ended.
    """

    def __init__(self, loop: LoopLike, leader: int, when_gone: Callable[[], None]) -> None:
        self._loop = loop
        self._when_gone = when_gone
        self._waited_for: set[int] = set()
        for pid in _in_session(leader):
            try:
                fd = os.pidfd_open(pid)
            except OSError:  # ended meanwhile
                continue
            self._waited_for.add(fd)
            loop.add_reader(fd, lambda fd=fd: self._gone(fd))  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._waited_for)

    def close(self) -> None:
        """Wait no longer."""
        for fd in self._waited_for:
            self._forget(fd)
        self._waited_for.clear()

    def _gone(self, fd: int) -> None:
        self._waited_for.discard(fd)
        self._forget(fd)
        if not self._waited_for:
            self._when_gone()

    def _forget(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        os.close(fd)


def living() -> set[int]:
    """The pids of all processes, and of those whose sessions they are in."""
    return {number for pair in _sessions().items() for number in pair}


def _in_session(leader: int) -> list[int]:
    """Their pids; none where the leader lives, or where it led no session."""
    found = [pid for pid, session in _sessions().items() if session == leader]
    return [] if leader in found or os.getpid() in found else found


def _sessions() -> dict[int, int]:
    """The processes that have not ended, by pid, with the leaders of their sessions. See proc(5), stat."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, _, _, session = file.read().rpartition(b")")[2].split()[:4]
        except OSError:  # ended meanwhile
            continue
        if state not in b"ZX":
            found[int(name)] = int(session)
    return found
