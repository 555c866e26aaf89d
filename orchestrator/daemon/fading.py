"""Lets what runs come to its end (spec 1.5)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.clock import Clock
    from orchestrator.daemon.signals import Signals
    from orchestrator.log import Log
    from orchestrator.masterloop import TurnedLoop
    from orchestrator.process.processes import Processes
    from orchestrator.sync.hooks import Hooks
    from orchestrator.sync.host import Host

LOG_INTERVAL = 60.0
"""Seconds between two lines about children that the daemon still waits for."""

NAMES_AFTER = 10.0
"""Seconds of fading after which the log names these children; most end sooner."""

NAMED = 5
"""Children that are named, at most: those that run longest."""

PATIENCE = 60.0
"""Seconds of fading after which a second TERM ends the daemon at once."""

HELPERS_PATIENCE = 2.0
"""Seconds that tunnels get to end by themselves."""


class Fading:
    """The end of all transfers, then of the tunnels."""

    def __init__(
        self, clock: Clock, log: Log, loop: TurnedLoop, processes: Processes, hooks: Hooks, signals: Signals
    ) -> None:
        self._clock = clock
        self._log = log
        self._loop = loop
        self._processes = processes
        self._hooks = hooks
        self._signals = signals

    def stop(self, host: Host, signum: signal.Signals) -> None:
        """Fade since a signal asks the daemon to end."""
        self._fade(host, f"--- {signum.name.removeprefix('SIG')} signal, fading ---")

    def _fade(self, host: Host, message: str) -> None:
        """Start nothing more, and wait for what runs."""
        self._log("Normal", message)
        host.run.fade()
        self._hooks.tell("orchestrator_fading", reason=message)
        self._processes.stop_jobs()
        self._signals.take_second_signal()
        begun = next_count = self._clock.now()
        next_names = begun + NAMES_AFTER
        while len(self._processes):
            now = self._clock.now()
            if now >= next_count:
                self._log("Normal", f"waiting for {len(self._processes)} more child processes.")
                next_count = now + LOG_INTERVAL
            if now >= next_names:
                self._log_names(now)
                next_names = next_count
            # one that comes too early changes nothing
            if self._signals.take_second_signal() and now - begun >= PATIENCE:
                return
            while (overdue := host.deadlines.pop_due(now)) is not None:
                overdue()
            times = (next_count, next_names, host.deadlines.next())
            self._loop.turn(min(time for time in times if time is not None) - now)

    def _log_names(self, now: float) -> None:
        """Log the children that run longest: an administrator who stops the machine wants to know them."""
        children = sorted(self._processes, key=lambda child: child.started)
        named = b", ".join(child.described(now) for child in children[:NAMED])
        more = f", and {len(children) - NAMED} more" if len(children) > NAMED else ""
        self._log("Normal", "still running: ", named, more)

    def end_helpers(self) -> None:
        """Tunnels have been asked to end. One that does not is killed: its port may be wanted again."""
        self._processes.abandon()  # where the daemon leaves at once; else none is left
        deadline = self._clock.now() + HELPERS_PATIENCE
        while self._processes.helpers() and (left := deadline - self._clock.now()) > 0:
            self._loop.turn(left)
        for child in self._processes.helpers():
            self._processes.kill(child, signal.SIGKILL)
