"""What becomes of a transfer of one sync that has ended (spec 3.6, 3.7): collect, then what its verdict asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import Died
from orchestrator.logic.cause import cause_of
from orchestrator.logic.event import BLANKET, INIT
from orchestrator.logic.text import text_of
from orchestrator.logic.verdict import AGAIN, DIE, OK, end_of
from orchestrator.sync.batch import BATCH_START
from orchestrator.sync.event import EventList
from orchestrator.sync.retries import Failure

if TYPE_CHECKING:
    from collections.abc import Collection

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
        self._host = host
        self._inlet = inlet
        self._queue = queue
        self._calls = calls
        self._retries = retries
        self._batches = batches
        self._judge = judge
        self._history = history
        self._life = life
        self._own_die_codes = own_die_codes

    def ended(self, child: Child, transfer: Transfer, exit_code: int) -> None:
        """The process, or what counted before it, has ended."""
        was_cut = transfer.check is not None and transfer.check.was_cut(exit_code, child.stderr_tail)
        if was_cut:
            self._host.log("Error", f"{self._inlet.name}: there was more to delete than was counted; counting again.")
        try:
            with self._host.busy(len(transfer.agent.delays)):
                # What never ran has no exit code that anybody could judge; it has been logged.
                self._collect(child, transfer.agent, exit_code, is_vain=child.is_for_want or was_cut)
        finally:
            transfer.when_over()

    def not_begun(self, agent: Agent, reason: str) -> None:
        """onBatchStart did not let it begin."""
        now = self._host.clock.now()
        failure = Failure(agent, None, now, now)
        if self._retries.would_grow(failure):
            self._host.log("Warn", f"{BATCH_START} of {self._inlet.name} {reason}: the batch waits and is tried again.")
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
        self.stderr_tail = child.stderr_tail
        verdict = AGAIN if is_vain else self._calls.collect(agent, exit_code)
        if self._host.hooks.has("orchestrator_after_collect"):
            self._tell(child, agent, exit_code, verdict or OK)
        self._remember(child, exit_code, verdict or OK)
        self._batches.end(agent, child.started, exit_code, verdict or OK)
        delays = self._left(agent)
        if verdict == DIE:
            self._die(exit_code)
        elif verdict == AGAIN:
            unreachable = self._retries.again(self._judge.failure(agent, exit_code), delays)
            if unreachable is not None:
                self._host.log("Warn", unreachable, " cannot be reached; all syncs that go there wait together.")
        else:
            self._life.is_started_up |= any(delay.etype in (INIT, BLANKET) for delay in delays)
            reached = self._retries.succeeded(delays, exit_code)
            if reached is not None:
                self._host.log("Normal", reached, " can be reached again.")
        self._judge.closes()

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
            self._host.log("Error", "Critical exitcode.")
            raise Died("Critical exitcode.")
        self._life.stop(f"exit code {exit_code}")
