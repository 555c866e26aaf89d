"""Whether one sync is stuck, and what it waits for. Found out when somebody asks: nothing here runs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.message import printable
from orchestrator.logic.secrets import mask
from orchestrator.logic.stuck import Running, Waiting, duration, next_look, why_stuck
from orchestrator.logic.text import to_text
from orchestrator.sync.batch import BATCH_END, BATCH_START
from orchestrator.sync.figures import CHANGES, CHECK, COMMAND, FULL_RUN, STARTUP, kind_of

if TYPE_CHECKING:
    from orchestrator.process.child import Child
    from orchestrator.sync.guard import Guard
    from orchestrator.sync.parts import Parts
    from orchestrator.sync.transfer import Transfer
    from orchestrator.sync.transfers import Transfers

_NAMES = {STARTUP: "the startup", FULL_RUN: "a full run", CHECK: "the look before a transfer"}


class Staleness:
    """`allowance`: seconds that a change waits by itself; `own`: the sync's key `staleAfter`, None: it has none."""

    def __init__(self, parts: Parts, transfers: Transfers, guard: Guard, allowance: float, own: float | None) -> None:
        self._host = parts.host
        self._life = parts.life
        self._retries = parts.retries
        self._history = parts.history
        self._figures = parts.figures
        self._transfers = transfers
        self._guard = guard
        self._allowance = allowance
        self._own = own

    @property
    def limit(self) -> float:
        """Seconds after which a sync counts as stuck; 0: never."""
        return self._host.run.options.stale_after if self._own is None else self._own

    def why(self, oldest: float | None) -> str | None:
        """Why it is stuck; None: it is not. `oldest`: when its oldest change happened. One that was paused or stopped
        is not: it does what it should."""
        if not self.limit or self._life.is_paused or self._life.is_stopped:
            return None
        now = self._host.clock.now()
        return why_stuck(now, self.limit, self._waiting(oldest, now), self._running())

    def next_look(self, oldest: float | None) -> float | None:
        """When the answer may be another one though nothing happens, in seconds of the monotonic clock; None: not by
        itself."""
        if not self.limit or self._life.is_paused or self._life.is_stopped:
            return None
        now = self._host.clock.now()
        return next_look(now, self.limit, self._waiting(oldest, now), self._running())

    def _waiting(self, oldest: float | None, now: float) -> Waiting:
        return Waiting(oldest, self._allowance, "" if oldest is None else self._obstacle(now))

    def _running(self) -> list[Running]:
        running = []
        for child, transfer in self._transfers.running():
            seen = self._figures.look_at(child, transfer)
            is_whole = child.kind in (STARTUP, FULL_RUN) or (child.kind == CHECK and _is_whole(transfer))
            running.append(Running(_named(child, transfer), child.started, seen.moved_at, is_whole))
        return running

    def _obstacle(self, now: float) -> str:
        """Why nothing begins, or what failed; empty: nothing is in the way."""
        life, transfers = self._life, self._transfers
        if life.is_source_gone:
            return "the source is gone"
        if life.is_target_gone:
            return "the target is gone"
        if life.is_left_alone:
            return "the source changes too fast, and is left alone for a while"
        if life.is_awaiting:
            return "a transfer from before the reload still runs"
        if transfers.tunnel is not None and not transfers.tunnel.is_up:
            return f"{mask(transfers.tunnel.name)} is not up"
        if transfers.holds.by:
            return f"held by {transfers.holds.by}"
        if self._guard.refused is not None:
            return "a full run would delete more than maxDelete allows"
        return self._failure(now)

    def _failure(self, now: float) -> str:
        retries, error = self._retries, self._history.last_error
        if not retries.is_failing():
            return "as many transfers run as may (maxProcesses)" if self._host.is_at_limit() else ""
        host, due = retries.unreachable(), retries.hold_until(now)
        again = f", next try in {duration(due - now)}" if due > now else ""
        if host is not None:
            return f"{mask(host)} cannot be reached{again}"
        cause = "" if error is None else f" ({printable(error['cause'])})"
        return f"it failed{cause}{again or ', and is tried again'}"


def _is_whole(transfer: Transfer | None) -> bool:
    return transfer is not None and kind_of(transfer.agent) != CHANGES


def _named(child: Child, transfer: Transfer | None) -> str:
    """A program or job in words, `a transfer of /a and 3 more (pid 12)`."""
    pid = f" (pid {child.pid})" if child.pid else ""
    if child.kind == COMMAND:
        return f"{BATCH_END if transfer is None else BATCH_START}{pid}"
    if child.kind in _NAMES:
        return f"{_NAMES[child.kind]}{pid}"
    delays = transfer.agent.delays if transfer is not None else []
    if not delays:
        return f"a transfer{pid}"
    more = f" and {len(delays) - 1} more" if len(delays) > 1 else ""
    return f"a transfer of {printable(to_text(delays[0].path))}{more}{pid}"
