"""The transfers of one sync: how one begins, what stands around it, and what its end means (spec 3.6, 3.7).

The way of one: before_spawn hooks → onBatchStart → of a full run, with maxDelete: what would be deleted →
the process or job → collect → after_collect hooks and onBatchEnd. Its delays are active from the second
step to the end.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.errors import Died
from orchestrator.logic.cause import cause_of
from orchestrator.logic.event import BLANKET, BLOCK, INIT, WAIT
from orchestrator.logic.secrets import mask
from orchestrator.logic.verdict import AGAIN, COMMON, DIE, OK, Judgement, Kind, Verdict, Wording, judge
from orchestrator.sync.batch import BATCH_END, BATCH_START, run_command
from orchestrator.sync.event import Agent, Event, EventList
from orchestrator.sync.inlet import Spawn
from orchestrator.sync.retries import Failure

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.process.spawn import Child
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.inlet import Check, Forecast
    from orchestrator.sync.retries import Retries
    from orchestrator.sync.sync import Sync

KILL_PAUSE = 10.0
"""Seconds that a transfer that hangs has to end by itself."""

REFUSED = 25
"""What a full run that would delete too much is said to have ended with: rsync's own code for that."""

VETO_PAUSE = 1.0
"""Seconds until a spawn that a hook forbade is offered again."""


@dataclass(eq=False)
class Transfer:
    """What serves an agent: `start` begins it, `when_over` is told when nothing of it is left to come.

    `check` decides whether it may begin; `spawn` is the program that it starts, None for a job.
    """

    agent: Agent
    start: Callable[[], Child]
    when_over: Callable[[], object] = field(default=lambda: None)
    check: Check | None = None
    spawn: Spawn | None = None


class Transfers:
    """All that runs for one sync.

    `is_put_off`: what was to be started last was not, and is to be tried again. `stderr_tail`: of the
    process that is being collected. `last_success`, `last_error`: for the status, times since 1970.
    """

    def __init__(self, sync: Sync, retries: Retries) -> None:
        self._sync = sync
        self._host = sync.host
        self._queue = sync.queue
        self._retries = retries
        self._children: dict[Child, Transfer] = {}
        self._timed: dict[Child, None] = {}  # those that must not run for ever, in the order of their start
        self._has_timer = False
        self._after: set[Child] = set()  # commands that run after a transfer
        self._judged: Judgement | None = None
        self._collecting: Child | None = None
        self.tunnel: Tunnel | None = None
        self.is_put_off = False
        self.stderr_tail = b""
        self.cause = ""
        self.last_success: float | None = None
        self.last_error: dict[str, Any] | None = None

    def __len__(self) -> int:
        """Processes and jobs that run, commands around batches included."""
        return len(self._children) + len(self._after)

    def spawn(
        self,
        agent: Agent,
        argv: Sequence[bytes],
        stdin: bytes | None = None,
        when_over: Callable[[], object] = lambda: None,
        check: Check | None = None,
    ) -> str | None:
        """Start a program for the agent; its delays become active. Returns what is wrong, or None.

        With a tunnel that is not up nothing is started: the delays go on waiting.
        """
        spawn = Spawn(list(argv), stdin)
        keeps_stderr = self._sync.options.sets or check is not None
        transfer = Transfer(agent, lambda: self._spawn(spawn, keeps_stderr), when_over, check, spawn)
        if self.tunnel is not None:
            filled = self.tunnel.through(argv, EventList(self._sync.inlet, agent.delays).paths())
            if filled is None:
                self._put_off(transfer)
                return None
            spawn.argv = list(filled)
        return self._begin(transfer)

    def run(
        self,
        agent: Agent,
        job: Callable[[threading.Event], int],
        when_over: Callable[[], object] = lambda: None,
        check: Check | None = None,
    ) -> str | None:
        """As spawn, with a function in a worker thread."""
        start = partial(self._host.processes.run_job, job, self._ended)
        return self._begin(Transfer(agent, start, when_over, check))

    def _spawn(self, spawn: Spawn, keeps_stderr: bool) -> Child:
        return self._host.processes.spawn(
            spawn.argv, stdin=spawn.stdin, on_exit=self._ended, env=spawn.env, stderr_tail=keeps_stderr
        )

    def _begin(self, transfer: Transfer) -> str | None:
        agent, spawn = transfer.agent, transfer.spawn
        if self._host.fading:
            self.is_put_off = True
            self._host.log("Normal", "ignored process spawning while fading")
            transfer.when_over()
            return None
        problem = self._why_not(agent)
        if problem is not None:
            return problem
        if spawn is not None and self._host.hooks.has("orchestrator_before_spawn"):
            allowed = self._host.hooks.tell(
                "orchestrator_before_spawn", inlet=self._sync.inlet, agent=agent, spawn=spawn
            )
            problem = spawn.problem()
            if problem is not None:
                self._host.log(
                    "Error", f"a hook orchestrator_before_spawn has spoilt a spawn of {self._sync.name}: {problem}"
                )
            if allowed is False or problem is not None:
                self._put_off(transfer)
                return None
        # an action may transfer what it has left over: no change of the user's, no batch
        answer = self._sync.calls.batch_start(agent) if agent.delays else None
        if answer is False:
            self._put_off(transfer)
            return None
        problem = self._why_not(agent)
        if problem is not None:
            return problem
        self._queue.activate(agent.delays)
        if isinstance(answer, bytes):
            self._run_before(transfer, answer)
        else:
            self._start(transfer)
        return None

    def _start(self, transfer: Transfer) -> None:
        self._retries.begins(self._host.clock.now())
        if transfer.check is None:
            self._watch(transfer.start(), transfer)
        else:
            self._run_check(transfer, transfer.check)

    def _watch(self, child: Child, transfer: Transfer) -> None:
        self._children[child] = transfer
        if self._host.transfer_timeout is not None:
            self._timed[child] = None
            self._set_timer(self._host.transfer_timeout)

    def _set_timer(self, timeout: float) -> None:
        """One for all, for the oldest: what has ended must neither be kept nor wake the loop, each for itself."""
        oldest = next(iter(self._timed), None)
        if oldest is not None and not self._has_timer:
            self._has_timer = True
            self._host.deadlines.add(oldest.started + timeout, lambda: self._end_overdue(timeout))

    def _end_overdue(self, timeout: float) -> None:
        """Transfers that hang are asked to end, then made to; their end is judged as any (transferTimeout)."""
        self._has_timer = False
        now = self._host.clock.now()
        for child in [child for child in self._timed if child.started + timeout <= now]:
            del self._timed[child]
            self._host.log("Warn", f"a transfer of {self._sync.name} runs for more than {timeout:g} s; ending it.")
            self._host.processes.kill(child, signal.SIGTERM)
            self._host.deadlines.add(now + KILL_PAUSE, partial(self._make_end, child))
        self._set_timer(timeout)

    def _make_end(self, child: Child) -> None:
        if child in self._children:
            self._host.processes.kill(child, signal.SIGKILL)

    def _over(self, child: Child) -> Transfer:
        """A child has ended: what it was for."""
        self._timed.pop(child, None)
        return self._children.pop(child)

    def _run_check(self, transfer: Transfer, check: Check) -> None:
        """Find out what a full run would delete; it follows if that is not too much (maxDelete)."""
        found: list[Forecast] = []

        def count(stop: threading.Event) -> int:
            """count what would be deleted, and go on if maxDelete allows that"""
            found.append(check.count(stop, transfer.spawn))
            return found[0].exit_code

        child = self._host.processes.run_job(count, partial(self._checked, check, found))
        if transfer.spawn is not None:
            child.argv = transfer.spawn.argv
        self._watch(child, transfer)

    def _checked(self, check: Check, found: list[Forecast], child: Child, exit_code: int) -> None:
        transfer = self._over(child)
        if self._host.fading or self._sync.is_stopped or self._sync.is_suspended:
            self._wait_again(transfer)
            transfer.when_over()
        elif exit_code != 0:
            if found:
                self._tell_not_counted(child, found[0])
            self._finish(child, transfer, exit_code)
        elif found and found[0].deletes > check.limit.allowed(found[0].there):
            self._refuse(child, transfer, check, found[0])
        else:
            self._sync.refused = None
            if found and transfer.spawn is not None:
                transfer.spawn.argv = check.limited(transfer.spawn.argv, check.limit.allowed(found[0].there))
            if check.announce:
                self._host.log("Normal", check.announce)
            self._watch(transfer.start(), transfer)

    def _tell_not_counted(self, child: Child, forecast: Forecast) -> None:
        """What was asked has not said it to the log, as the run itself would have."""
        child.stderr_tail = forecast.stderr
        if forecast.error:
            child.error = forecast.error
            self._host.log("Error", "Failed executing [ ", child.argv[0], " ]!")
        elif forecast.stderr.strip():
            self._host.log("Normal", forecast.stderr.strip())

    def _refuse(self, child: Child, transfer: Transfer, check: Check, forecast: Forecast) -> None:
        """Said once; then it is counted again after growing pauses, and nothing else is transferred meanwhile."""
        name, limit = self._sync.name, check.limit
        cause = (
            f"a full run of {name} would delete {forecast.deletes} of {forecast.there} files on "
            f"{text_of(self._sync.inlet.target)}; maxDelete allows {limit.allowed(forecast.there)} ({limit})."
        )
        advice = f"{name} waits: it goes on by itself once source and target are right, or with a greater maxDelete."
        if self._sync.refused is None:
            self._host.log("Error", f"{cause} Nothing is deleted. {advice}")
        now = self._host.clock.now()
        self._put_down(REFUSED, cause)
        delays = self._left(transfer.agent)
        self._sync.refused = next(iter(delays), None)
        self._retries.again(Failure(transfer.agent, None, child.started, now), delays)
        self._run_after(child, transfer.agent, REFUSED, AGAIN)
        transfer.when_over()
        if self._host.onepass:
            self._sync.stop("with onepass nobody would wait for that")

    def _why_not(self, agent: Agent) -> str | None:
        """Why nothing can be started for these changes."""
        may_be = (WAIT, BLOCK) if agent.is_list else (WAIT,)
        if all(delay.status in may_be and delay in self._queue for delay in agent.delays):
            return None
        return f"spawn() called on an non-waiting event{' list' if agent.is_list else ''}"

    def _put_off(self, transfer: Transfer) -> None:
        """Not now: its changes are offered again after a pause.

        Until then they count as being transferred: what the config's functions find waiting after a spawn,
        they may drop.
        """
        self.is_put_off = True
        self._queue.activate(transfer.agent.delays)
        self._host.alarms.add(self._host.clock.now() + VETO_PAUSE, lambda: self._wait_again(transfer))
        transfer.when_over()

    def _wait_again(self, transfer: Transfer) -> None:
        for delay in transfer.agent.delays:
            if delay in self._queue:
                self._queue.retry(delay, self._host.clock.now())

    def _run_before(self, transfer: Transfer, command: bytes) -> None:
        """Run onBatchStart; the transfer follows if it goes well."""
        try:
            child = run_command(self._sync, BATCH_START, command, transfer.agent, self._before_ended)
        except OSError as error:
            # from the loop, as a command's end: what is found waiting after a spawn may be dropped
            self.is_put_off = True
            reason = f"has no list of paths ({error.strerror})"
            self._host.alarms.add(self._host.clock.now(), lambda: self._not_begun(transfer, reason))
        else:
            self._children[child] = transfer

    def _before_ended(self, child: Child, exit_code: int) -> None:
        transfer = self._over(child)
        if exit_code != 0:
            self._not_begun(transfer, f"ended with {exit_code}")
        elif self._host.fading or self._sync.is_stopped or self._sync.is_suspended:
            self._wait_again(transfer)
            transfer.when_over()
        else:
            self._start(transfer)

    def _not_begun(self, transfer: Transfer, reason: str) -> None:
        now = self._host.clock.now()
        failure = Failure(transfer.agent, None, now, now)
        if self._retries.would_grow(failure):
            self._host.log("Warn", f"{BATCH_START} of {self._sync.name} {reason}: the batch waits and is tried again.")
        self._retries.again(failure, self._left(transfer.agent))
        transfer.when_over()

    def _run_after(self, child: Child, agent: Agent, exit_code: int, verdict: str) -> None:
        """Run onBatchEnd; nothing depends on it."""
        seconds = self._host.clock.now() - child.started
        command = self._sync.calls.batch_end(agent, exit_code, seconds, verdict) if agent.delays else None
        if command is None:
            return
        told = {"exitcode": b"%d" % exit_code, "seconds": b"%.3f" % seconds, "verdict": verdict.encode()}
        try:
            self._after.add(run_command(self._sync, BATCH_END, command, agent, self._after_ended, **told))
        except OSError as error:
            self._host.log(
                "Error", f"{BATCH_END} of {self._sync.name}: the list of paths cannot be written: {error.strerror}"
            )

    def _after_ended(self, child: Child, exit_code: int) -> None:
        self._after.discard(child)
        if exit_code != 0:
            self._host.log("Warn", f"{BATCH_END} of {self._sync.name} ended with {exit_code}.")

    def judge(
        self,
        agent: Agent,
        exit_code: int,
        wording: Wording = COMMON,
        exit_codes: Mapping[int, Verdict] | None = None,
    ) -> Verdict:
        """The common rule of spec 3.7, its log line said: once for each growing pause (spec 6 row 13).

        `exit_codes` None: the config's table `exitcodes`.
        """
        table = self._sync.config.get("exitcodes")
        if exit_codes is None and table:
            exit_codes = dict(table.int_items())
        judgement = judge(
            kind=_kind(agent),
            etype=agent.etype if isinstance(agent, Event) else "",
            source_path=agent.source_path if isinstance(agent, Event) else b"",
            source=self._sync.source,
            target=self._sync.inlet.target if self._sync.config.get("target") is not None else b"(nil)",
            exit_code=exit_code,
            exit_codes=exit_codes,
            insist=self._host.insist,
            wording=wording,
        )
        self._judged = judgement
        if judgement.verdict != AGAIN or self._retries.would_grow(self._failure(agent, exit_code)):
            self._host.log(judgement.category, judgement.message)
        if self._host.onepass and wording is COMMON and judgement.verdict == OK and _kind(agent) == "init":
            self._host.log("Normal", "onepass config set, exiting")
        return judgement.verdict

    def _ended(self, child: Child, exit_code: int) -> None:
        self._finish(child, self._over(child), exit_code)

    def _finish(self, child: Child, transfer: Transfer, exit_code: int) -> None:
        was_cut = transfer.check is not None and transfer.check.was_cut(exit_code, child.stderr_tail)
        if was_cut:
            self._host.log("Error", f"{self._sync.name}: there was more to delete than was counted; counting again.")
        try:
            with self._host.busy(len(transfer.agent.delays)):
                self._collect(child, transfer.agent, exit_code, was_cut)
        finally:
            transfer.when_over()

    def _failure(self, agent: Agent, exit_code: int) -> Failure:
        """How the process that is being collected has failed, if it has."""
        now, child = self._host.clock.now(), self._collecting
        has_run = child is not None and child.error is None
        return Failure(agent, exit_code if has_run else None, now if child is None else child.started, now)

    def _collect(self, child: Child, agent: Agent, exit_code: int, was_cut: bool = False) -> None:
        self._collecting = child
        self._judged = None
        self.cause = ""
        self.stderr_tail = child.stderr_tail
        # What never ran has no exit code that anybody could judge; it has been logged.
        verdict = AGAIN if child.is_for_want or was_cut else self._sync.calls.collect(agent, exit_code)
        if self._host.hooks.has("orchestrator_after_collect"):
            self._tell_collected(child, agent, exit_code, verdict)
        self._remember(child, exit_code, verdict or OK)
        self._run_after(child, agent, exit_code, verdict or OK)
        delays = self._left(agent)
        if verdict == DIE:
            self._die(exit_code)
        elif verdict == AGAIN:
            unreachable = self._retries.again(self._failure(agent, exit_code), delays)
            if unreachable is not None:
                self._host.log("Warn", unreachable, " cannot be reached; all syncs that go there wait together.")
        else:
            self._sync.is_started_up |= any(delay.etype in (INIT, BLANKET) for delay in delays)
            reached = self._retries.succeeded(delays, exit_code)
            if reached is not None:
                self._host.log("Normal", reached, " can be reached again.")
        self._collecting = None

    def _left(self, agent: Agent) -> list[Delay]:
        """The agent's delays that are still there: an action may have dropped some."""
        return [delay for delay in agent.delays if delay in self._queue]

    def _remember(self, child: Child, exit_code: int, verdict: str) -> None:
        """For the status: when it last went well, and what went wrong last."""
        now = self._host.clock.wall()
        if verdict == OK and exit_code == 0:
            self.last_success = now
            return
        cause = child.error or self.cause or text_of(cause_of(child.stderr_tail))
        self._put_down(exit_code, cause)

    def _put_down(self, exit_code: int, cause: str) -> None:
        """What went wrong last."""
        cause = mask(cause) or f"exit code {exit_code}"
        self.last_error = {"time": self._host.clock.wall(), "exit_code": exit_code, "cause": cause}

    def _tell_collected(self, child: Child, agent: Agent, exit_code: int, verdict: str | None) -> None:
        self._host.hooks.tell(
            "orchestrator_after_collect",
            inlet=self._sync.inlet,
            agent=agent,
            paths=EventList(self._sync.inlet, agent.delays).paths(),
            exit_code=exit_code,
            verdict=verdict or OK,
            duration=self._host.clock.now() - child.started,
            stderr=child.stderr_tail,
        )

    def _die(self, exit_code: int) -> None:
        judged = self._judged
        is_own = judged is None or exit_code in self._sync.options.own_die_codes
        if judged is not None and judged.at_once and (judged.gave_up or is_own):
            raise Died("startup failed")
        if is_own or (judged is not None and judged.gave_up):
            self._host.log("Error", "Critical exitcode.")
            raise Died("Critical exitcode.")
        self._sync.stop(f"exit code {exit_code}")


def text_of(path: bytes) -> str:
    """A path as text that JSON can carry: what is not UTF-8 is written out."""
    return path.decode("utf-8", "backslashreplace")


def _kind(agent: Agent) -> Kind:
    if isinstance(agent, EventList):
        return "list"
    return "init" if agent.etype == INIT else "event"
