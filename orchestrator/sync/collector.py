"""What becomes of a transfer of one sync that has ended (spec 3.6, 3.7): collect, then what its verdict asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import Died
from orchestrator.logic.cause import cause_of
from orchestrator.logic.event import BLANKET, INIT
from orchestrator.logic.text import text_of
from orchestrator.logic.verdict import AGAIN, DIE, OK, PARTIAL, end_of
from orchestrator.sync.batch import BATCH_START
from orchestrator.sync.event import EventList
from orchestrator.sync.retries import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.logic.queue import Queue
    from orchestrator.process.child import Child
    from orchestrator.sync.batch import BatchCommands
    from orchestrator.sync.event import Agent
    from orchestrator.sync.history import History
    from orchestrator.sync.host import Calls, Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.judge import Judge
    from orchestrator.sync.life import Life
    from orchestrator.sync.retries import Retries
    from orchestrator.sync.transfer import Transfer


class Collector:
    """`stderr_tail`: of the process that is being collected. `cause`: why it failed, where the action says so."""

    def __init__(
        self, host: Host, inlet: Inlet, queue: Queue, calls: Calls, retries: Retries, batches: BatchCommands,
        judge: Judge, history: History, life: Life, own_die_codes: Collection[int],
    ) -> None:  # fmt: skip
        self.stderr_tail = b""
        self.cause = ""
        self._is_partial = False
        self._failed: set[bytes] = set()
        self._host = host
        self._log = host.log_of(inlet.name)
        self._inlet = inlet
        self._queue = queue
        self._calls = calls
        self._retries = retries
        self._batches = batches
        self._judge = judge
        self._history = history
        self._life = life
        self._own_die_codes = own_die_codes

    def report_partial(self, failed: Iterable[bytes]) -> None:
        """See Inlet.report_partial."""
        self._is_partial = True
        self._failed.update(failed)

    def ended(self, child: Child, transfer: Transfer, exit_code: int) -> None:
        """The process, or what counted before it, has ended."""
        was_cut = transfer.check is not None and transfer.check.was_cut(exit_code, child.stderr_tail)
        if was_cut:
            self._log("Error", f"{self._inlet.name}: there was more to delete than was counted; counting again.")
        try:
            with self._host.busy(len(transfer.agent.delays)):
                # What never ran has no exit code that anybody could judge; it has been logged.
                self._collect(child, transfer.agent, exit_code, is_vain=child.is_for_want or was_cut)
        finally:
            transfer.on_finished()

    def not_begun(self, agent: Agent, reason: str) -> None:
        """onBatchStart did not let it begin."""
        now = self._host.clock.now()
        failure = Failure(agent, None, now, now)
        if self._retries.would_grow(failure):
            self._log("Warn", f"{BATCH_START} of {self._inlet.name} {reason}: the batch waits and is tried again.")
        self._retries.again(failure, self._left(agent))

    def refused(self, child: Child, agent: Agent, exit_code: int, reason: str) -> list[Delay]:
        """What counted before it has found that it must not begin. Gives the delays that wait again."""
        now = self._host.clock.now()
        self._history.failed(exit_code, reason)
        delays = self._left(agent)
        self._retries.again(Failure(agent, None, child.started, now), delays)
        self._batches.end(agent, child.started, exit_code, AGAIN)
        return delays

    def _collect(self, child: Child, agent: Agent, exit_code: int, *, is_vain: bool) -> None:
        self._judge.opens(child)
        self.cause = ""
        self._is_partial = False
        self._failed.clear()
        self.stderr_tail = child.stderr_tail
        verdict = AGAIN if is_vain else self._calls.collect(agent, exit_code) or OK
        told = PARTIAL if verdict == OK and self._is_partial else verdict
        if self._host.hooks.has("orchestrator_after_collect"):
            self._tell(child, agent, exit_code, told)
        self._remember(child, exit_code, told)
        self._batches.end(agent, child.started, exit_code, told)
        delays = self._left(agent)
        failed = delays_of(self._failed, delays) if self._failed and agent.is_list else set()
        if verdict == DIE and (self._host.fading or self._host.is_told()):
            # What told the daemon to end, or to start over, may have told a transfer the same: Ctrl-C does. Nothing
            # follows from that; and if there is no start over, as the new config does not load, it is tried again.
            self._retries.again(self._judge.failure(agent, exit_code), delays)
        elif verdict == DIE:
            self._die(exit_code)
        elif failed:
            rest = [delay for delay in delays if delay not in failed]
            if verdict == OK and rest:
                self._succeeded(rest, exit_code)
                rest = []
            self._retries.set_aside(self._judge.failure(agent, exit_code), failed, rest)
        elif verdict == AGAIN:
            unreachable = self._retries.again(self._judge.failure(agent, exit_code), delays)
            if unreachable is not None:
                self._log("Warn", unreachable, " cannot be reached; all syncs that go there wait together.")
        else:
            self._succeeded(delays, exit_code)
        self._judge.closes()

    def _succeeded(self, delays: list[Delay], exit_code: int) -> None:
        self._life.is_started_up |= any(delay.etype in (INIT, BLANKET) for delay in delays)
        reached = self._retries.succeeded(delays, exit_code)
        if reached is not None:
            self._log("Normal", reached, " can be reached again.")

    def _left(self, agent: Agent) -> list[Delay]:
        """The agent's delays that are still there: an action may have dropped some."""
        return [delay for delay in agent.delays if delay in self._queue]

    def _remember(self, child: Child, exit_code: int, verdict: str) -> None:
        if verdict == OK and exit_code == 0:
            self._history.succeeded()
        else:
            self._history.failed(exit_code, child.error or self.cause or text_of(cause_of(child.stderr_tail)))

    def _tell(self, child: Child, agent: Agent, exit_code: int, verdict: str) -> None:
        self._host.hooks.tell(
            "orchestrator_after_collect",
            inlet=self._inlet,
            agent=agent,
            paths=EventList(self._inlet, agent.delays).paths(),
            exit_code=exit_code,
            verdict=verdict,
            duration=self._host.clock.now() - child.started,
            stderr=child.stderr_tail,
        )

    def _die(self, exit_code: int) -> None:
        end = end_of(self._judge.judgement, exit_code in self._own_die_codes)
        if end == "daemon at once":
            raise Died("startup failed")
        if end == "daemon":
            self._log("Error", "Critical exitcode.")
            raise Died("Critical exitcode.")
        self._life.stop(f"exit code {exit_code}")


def delays_of(paths: Iterable[bytes], delays: Sequence[Delay]) -> set[Delay]:
    """Which of the changes the paths belong to: that of the path itself, or of the nearest directory above it."""
    by_path: dict[bytes, list[Delay]] = {}
    for delay in delays:
        for path in (delay.path, delay.path2):
            if path is not None:
                by_path.setdefault(path.rstrip(b"/"), []).append(delay)
    found: set[Delay] = set()
    for path in paths:
        place = path.rstrip(b"/")
        while place and place not in by_path:
            place = place[: place.rindex(b"/")] if b"/" in place else b""
        found.update(by_path.get(place, ()))
    return found
