"""Ends the transfers of one sync that run for too long (`transferTimeout`)."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.process.child import Child
    from orchestrator.sync.host import Host

KILL_PAUSE = 10.0
"""Seconds that a transfer that hangs has to end by itself."""


class Timeouts:
    """Those that run. One that hangs is asked to end, then made to; its end is judged as any."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._log = host.log_of(name)
        self._name = name
        self._running: dict[Child, None] = {}  # in the order of their start
        self._asked: set[Child] = set()
        self._has_timer = False

    def begins(self, child: Child) -> None:
        """It runs from now on."""
        if self._host.run.options.transfer_timeout is not None:
            self._running[child] = None
            self._set_timer(self._host.run.options.transfer_timeout)

    def ended(self, child: Child) -> None:
        """It has ended, by itself or not."""
        self._running.pop(child, None)
        self._asked.discard(child)

    def _set_timer(self, timeout: float) -> None:
        """One for all, for the oldest: what has ended must neither be kept nor wake the loop, each for itself."""
        oldest = next(iter(self._running), None)
        if oldest is not None and not self._has_timer:
            self._has_timer = True
            self._host.deadlines.add(oldest.started + timeout, lambda: self._end_overdue(timeout))

    def _end_overdue(self, timeout: float) -> None:
        self._has_timer = False
        now = self._host.clock.now()
        for child in [child for child in self._running if child.started + timeout <= now]:
            del self._running[child]
            self._asked.add(child)
            self._log("Warn", f"a transfer of {self._name} runs for more than {timeout:g} s; ending it.")
            self._host.processes.kill(child, signal.SIGTERM)
            self._host.deadlines.add(now + KILL_PAUSE, partial(self._make_end, child))
        self._set_timer(timeout)

    def _make_end(self, child: Child) -> None:
        if child in self._asked:
            self._host.processes.kill(child, signal.SIGKILL)
