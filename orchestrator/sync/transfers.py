"""The transfers of one sync: which step follows which, from what is asked for to its process or job (spec 3.6).

before_spawn hooks → onBatchStart → of a full run, with maxDelete: what would be deleted → the process or job →
collector.py. The delays are active from the second step to the end.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.logic.event import BLOCK, PART, WAIT
from orchestrator.sync.batch import BATCH_START
from orchestrator.sync.figures import CHECK, COMMAND, kind_of
from orchestrator.sync.guard import REFUSED
from orchestrator.sync.holds import Holds
from orchestrator.sync.inlet import EventList
from orchestrator.sync.outcome import Outcome, outcome_of
from orchestrator.sync.spawn import Spawn, nothing
from orchestrator.sync.targetwatch import Finding
from orchestrator.sync.timeouts import Timeouts
from orchestrator.sync.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.logic.maxdelete import DeletionCount
    from orchestrator.process.child import Child
    from orchestrator.process.jobs import Job
    from orchestrator.process.sshshare import SshConnection
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.batch import BatchCommands
    from orchestrator.sync.collector import Collector
    from orchestrator.sync.guard import Guard
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.knowledge import Recorder
    from orchestrator.sync.parts import Parts
    from orchestrator.sync.progress import Progress
    from orchestrator.sync.sourceguard import SourceGuard
    from orchestrator.sync.spawn import Check
    from orchestrator.sync.targetguard import Looked, TargetGuard

PAUSE = 1.0
"""Seconds until what could not be started is offered again."""

SPOILT = "a hook orchestrator_before_spawn that has spoilt it"


class Transfers:
    """All that runs for one sync.

    `is_deferred`: what was to be started last was not, and is to be tried again. `keeps_stderr`: of every program.
    `is_full()`: whether a limit forbids one more.
    """

    def __init__(
        self, parts: Parts, batches: BatchCommands, guard: Guard, collector: Collector, keeps_stderr: bool,
        is_full: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.tunnel: Tunnel | None = None
        self.guarded: TargetGuard | None = None
        self.source_guard: SourceGuard | None = None
        self.recorder: Recorder | None = None
        self.is_deferred = False
        self._host = parts.host
        self._log = parts.log
        self._inlet = parts.inlet
        self._name = parts.inlet.name
        self._queue = parts.queue
        self._calls = parts.calls
        self._retries = parts.retries
        self._figures = parts.figures
        self._life = parts.life
        self._batches = batches
        self._guard = guard
        self._collector = collector
        self._keeps_stderr = keeps_stderr
        self._is_full = is_full
        self._timeouts = Timeouts(parts.host, parts.inlet.name)
        self._running: dict[Child, Transfer] = {}
        self._announced: dict[Transfer, None] = {}  # to the recorder; they begin when it says so
        self.holds = Holds(parts.host, parts.inlet.name, self._ask_again)

    def __len__(self) -> int:
        """Processes and jobs that run or are about to, commands around batches included."""
        return len(self._running) + len(self._announced) + len(self._batches.ends)

    def children(self) -> list[Child]:
        """What runs, commands around batches included."""
        return [*self._running, *self._batches.ends]

    def running(self) -> list[tuple[Child, Transfer | None]]:
        """The same, each with the transfer that it is for; None: with an onBatchEnd."""
        return [*self._running.items(), *((child, None) for child in self._batches.ends)]

    def leave(self) -> None:
        """Let what runs come to its end: jobs are asked to, and what is held never begins."""
        self.holds.close()
        for child in self._running:
            if child.stop is not None:
                self._host.processes.kill(child)

    def running_but_parts(self) -> int:
        """The same without the parts of a startup."""
        parts = sum(any(delay.etype == PART for delay in one.agent.delays[:1]) for one in self._running.values())
        return len(self) - parts

    def spawn(
        self,
        agent: Agent,
        argv: Sequence[bytes],
        stdin: bytes | None = None,
        on_finished: Callable[[], object] = nothing,
        check: Check | None = None,
        on_stderr: Callable[[bytes], object] | None = None,
        through: SshConnection | None = None,
    ) -> str | None:
        """Start a program for the agent; its delays become active. Returns what is wrong, or None.

        With a tunnel that is not up nothing is started: the delays go on waiting.
        """
        spawn = Spawn(list(argv), stdin, on_stderr=on_stderr)
        transfer = Transfer(agent, spawn, on_finished, check, self._keeps_stderr or check is not None)
        transfer.through = through
        if self.tunnel is not None:
            tunnelled = self.through(spawn.argv, EventList(self._inlet, agent.delays).paths())
            if tunnelled is None:
                self._defer(transfer)
                return None
            spawn.argv = tunnelled
        return self._begin(transfer)

    def run(
        self,
        agent: Agent,
        job: Job,
        on_finished: Callable[[], object] = nothing,
        check: Check | None = None,
        argv: Sequence[bytes] | None = None,
        progress: Callable[[], Progress] | None = None,
    ) -> str | None:
        """As spawn, with a function in a worker thread. `argv`: of the program whose work it does. `progress()`: how
        far it is."""
        program = None if argv is None else Spawn(list(argv))
        transfer = Transfer(agent, job, on_finished, check, keeps_stderr=False, stands_for=program)
        if progress is not None:
            transfer.progress = progress
        return self._begin(transfer)

    def through(self, argv: list[bytes], names: Sequence[bytes] = ()) -> list[bytes] | None:
        """The arguments as they go through the sync's tunnel; the same where it has none; None: the tunnel is not up.

        `names`: paths among them, in which nothing is replaced.
        """
        return argv if self.tunnel is None else self.tunnel.through(argv, names)

    # ---- whether it may begin -----------------------------------------------------------------

    def _begin(self, transfer: Transfer) -> str | None:
        agent = transfer.agent
        if self._host.run.is_fading or self._life.is_leaving:
            self.is_deferred = True
            self._log("Normal", "ignored process spawning while fading")
            transfer.on_finished()
            return None
        problem = self._why_not(agent)
        if problem is not None:
            return problem
        if self._life.is_paused:  # asked for by a timer of the action's, or at the end of another transfer
            self._postpone(transfer)
            return None
        by, command = self._asked(transfer)
        if by is not None:
            self.is_deferred = True
            self._queue.activate(agent.delays)
            self.holds.add(transfer, by)
            return None
        problem = self._why_not(agent)
        if problem is not None:
            return problem
        self._queue.activate(agent.delays)
        self._go(transfer, command)
        return None

    def _go(self, transfer: Transfer, command: bytes | None) -> None:
        """`command`: what is to be run before it."""
        if command is not None:
            self._run_before(transfer, command)
        else:
            self._start(transfer)

    def _asked(self, transfer: Transfer, held_by: str = "") -> tuple[str | None, bytes | None]:
        """The holder of it, if any, and the command that onBatchStart runs before it. `held_by`: the last holder."""
        agent, given = transfer.agent, None
        has_hooks = self._host.hooks.has("orchestrator_before_spawn")
        if has_hooks and (spawn := transfer.spawn or transfer.stands_for) is not None:
            given = Spawn(list(spawn.argv), spawn.stdin, spawn.env, spawn.on_stderr)  # each time anew
            by = self._vetoed(agent, given, held_by)
            if by is not None:
                return by, None
        # an action may transfer what it has left over: no change of the user's, no batch
        answer = self._calls.batch_start(agent) if agent.delays else None
        if answer is False:
            return BATCH_START, None
        if given is not None and (transfer.stands_for is None or given.is_changed()):
            transfer.work = given
        return None, answer if isinstance(answer, bytes) else None

    def _ask_again(self, transfer: Transfer, by: str) -> str | None:
        """See Holds."""
        if not self._life.goes_on():
            self._withdraw(transfer)
            return None
        if self._is_full():
            return by
        still_by, command = self._asked(transfer, by)
        if still_by is None:
            self._go(transfer, command)
        return still_by

    def _why_not(self, agent: Agent) -> str | None:
        """Why nothing can be started for these changes."""
        if self._queue.has_all(agent.delays, (WAIT, BLOCK) if agent.is_list else (WAIT,)):
            return None
        return f"spawn() called on an non-waiting event{' list' if agent.is_list else ''}"

    def _vetoed(self, agent: Agent, spawn: Spawn, held_by: str) -> str | None:
        """Let the hooks have their way with it. Gives who forbids it."""
        allowed, plugin = self._host.hooks.ask("orchestrator_before_spawn", inlet=self._inlet, agent=agent, spawn=spawn)
        problem = spawn.problem()
        if problem is None:
            return f'plugin "{plugin}"' if allowed is False else None
        if held_by != SPOILT:
            self._log("Error", f"a hook orchestrator_before_spawn has spoilt a spawn of {self._inlet.name}: {problem}")
        return SPOILT

    def _defer(self, transfer: Transfer) -> None:
        """There is no way for it now: its changes are offered again after a pause.

        Until then they count as being transferred: what the config's functions find waiting after a spawn,
        they may drop.
        """
        self.is_deferred = True
        self._queue.activate(transfer.agent.delays)
        self._host.alarms.add(self._host.clock.now() + PAUSE, lambda: self._wait_again(transfer.agent))
        self._figures.withdrawn(transfer)
        transfer.on_finished()

    def _postpone(self, transfer: Transfer) -> None:
        """The sync is paused: as `_defer`. A transfer that serves no changes is kept, as nobody offers it again."""
        if transfer.agent.delays:
            self._defer(transfer)
        else:
            self._life.unless_paused(lambda: self._begin(transfer))

    def _wait_again(self, agent: Agent) -> None:
        for delay in agent.delays:
            if delay in self._queue:
                self._queue.retry(delay, min(delay.alarm, self._host.clock.now()))

    # ---- its steps ----------------------------------------------------------------------------

    def _run_before(self, transfer: Transfer, command: bytes) -> None:
        """Run onBatchStart; the transfer follows if it goes well."""
        try:
            child = self._batches.start(command, transfer.agent, self._before_ended)
        except OSError as error:
            # from the loop, as a command's end: what is found waiting after a spawn may be dropped
            self.is_deferred = True
            reason = f"has no list of paths ({error.strerror})"
            self._host.alarms.add(self._host.clock.now(), lambda: self._not_begun(transfer, reason))
        else:
            child.serves = self._inlet.name
            self._running[child] = transfer
            self._figures.begins(transfer, child, COMMAND)

    def _before_ended(self, child: Child, exit_code: int) -> None:
        transfer = self._running.pop(child)
        if exit_code != 0:
            self._not_begun(transfer, f"ended with {exit_code}")
        elif not self._life.goes_on():
            self._withdraw(transfer)
        else:
            self._start(transfer)

    def _not_begun(self, transfer: Transfer, reason: str) -> None:
        self._collector.not_begun(transfer, reason)
        transfer.on_finished()

    def _start(self, transfer: Transfer) -> None:
        """Source and target are looked at; the transfer follows if they are what they should be."""
        if (
            self.source_guard is not None
            and transfer.agent.delays
            and not self.source_guard.is_same(self._inlet.source)
        ):
            self._defer(transfer)
            return
        self._retries.begins(self._host.clock.now())
        guarded = self.guarded
        if guarded is None or not transfer.agent.delays or guarded.is_fine():
            self._start_checked(transfer)
            return
        child = guarded.look(partial(self._looked, transfer))
        if child is not None:
            self._watch(child, transfer, CHECK)

    def _looked(self, transfer: Transfer, found: Looked) -> None:
        child = found.child
        if child is not None:
            self._over(child)
        if child is not None and found.finding is Finding.UNKNOWN and self._life.goes_on():
            outcome = self._outcome(child, transfer, found.exit_code, lost_connection=found.lost_connection)
            self._collect(transfer, replace(outcome, stderr=found.stderr))  # as the transfer itself would end
        elif self._life.goes_on() and self.guarded is not None and self.guarded.lets(transfer.agent, found.finding):
            self._start_checked(transfer)
        else:
            # from the loop, as at the end of a process: what is found waiting after a spawn may be dropped
            self.is_deferred = True
            self._host.alarms.add(self._host.clock.now(), lambda: self._wait_again(transfer.agent))
            self._figures.withdrawn(transfer)
            transfer.on_finished()

    def _start_checked(self, transfer: Transfer) -> None:
        if transfer.check is None:
            self._start_work(transfer)
        else:
            counted = partial(self._counted, transfer.check)
            if transfer.through is not None:
                transfer.use = transfer.through.begin()
            self._watch(self._guard.count(transfer, transfer.check, counted), transfer, CHECK)

    def _counted(self, check: Check, child: Child, exit_code: int, counted: DeletionCount | None) -> None:
        """It is known what a full run would delete; it follows if that is not too much."""
        transfer = self._over(child)
        lost_connection = transfer.use is not None and transfer.use.end(exit_code)
        if not self._life.goes_on():
            self._withdraw(transfer)
        elif exit_code != 0:
            outcome = self._outcome(child, transfer, exit_code, lost_connection=lost_connection)
            if counted is not None:
                outcome = self._guard.not_counted(child, outcome, counted)
            self._collect(transfer, outcome)
        elif counted is None or check.limit.allows(counted):
            self._guard.allow(transfer, check, counted)
            self._start_work(transfer)
        else:
            reason = self._guard.refuse(check, counted)
            outcome = self._outcome(child, transfer, exit_code)
            delays = self._collector.refused(outcome, REFUSED, reason)
            self._guard.refused = next(iter(delays), None)
            transfer.on_finished()
            if self._host.run.options.onepass:
                self._life.stop("with onepass nobody would wait for that")

    def _start_work(self, transfer: Transfer) -> None:
        if self.recorder is not None and transfer.agent.delays and not transfer.is_recorded:
            self._announced[transfer] = None
            self._host.run.announced += 1
            self.recorder.begin(transfer.agent, partial(self._recorded, transfer))
            return
        # with `logSync` the lines of its stderr begin with time and name
        on_stderr_line = partial(self._log, "Normal") if self._host.run.options.log_sync else None
        if transfer.through is not None:
            transfer.use = transfer.through.begin()
        child = transfer.start(self._host.processes, self._ended, on_stderr_line)
        self._watch(child, transfer, kind_of(transfer.agent))

    def _recorded(self, transfer: Transfer) -> None:
        """Nothing is claimed any more of what the transfer may change."""
        if transfer not in self._announced:
            return
        del self._announced[transfer]
        self._host.run.announced -= 1
        if self._life.goes_on():
            transfer.is_recorded = True
            self._start_work(transfer)
        else:
            self._withdraw_announced(transfer)

    def _withdraw_announced(self, transfer: Transfer) -> None:
        if self.recorder is not None:
            self.recorder.forget(transfer.agent)
        self._withdraw(transfer)

    def _withdraw(self, transfer: Transfer) -> None:
        """It does not follow after what came before it."""
        self._wait_again(transfer.agent)
        self._figures.withdrawn(transfer)
        transfer.on_finished()

    def close(self) -> None:
        """Transfers that are about to begin do not."""
        announced, self._announced = self._announced, {}
        self._host.run.announced -= len(announced)
        for transfer in announced:
            self._withdraw_announced(transfer)

    def _ended(self, child: Child, exit_code: int) -> None:
        transfer = self._over(child)
        lost_connection = transfer.use is not None and transfer.use.end(exit_code)
        self._collect(transfer, self._outcome(child, transfer, exit_code, lost_connection=lost_connection))
        if self.guarded is not None:
            self.guarded.transferred()

    def _outcome(self, child: Child, transfer: Transfer, exit_code: int, *, lost_connection: bool = False) -> Outcome:
        """The outcome of the process that ran for a transfer, or before it."""
        was_cut = transfer.check is not None and transfer.check.was_cut(exit_code, child.stderr_tail)
        now = self._host.clock.now()
        return outcome_of(child, transfer, exit_code, now, was_cut=was_cut, lost_connection=lost_connection)

    def _collect(self, transfer: Transfer, outcome: Outcome) -> None:
        try:
            self._collector.ended(outcome)
        finally:
            transfer.on_finished()

    def _watch(self, child: Child, transfer: Transfer, kind: str) -> None:
        child.serves = self._name
        self._running[child] = transfer
        self._figures.begins(transfer, child, kind)
        if self._host.run.options.transfer_timeout is not None:
            self._timeouts.begins(child)

    def _over(self, child: Child) -> Transfer:
        """A child has ended: what it was for."""
        self._timeouts.ended(child)
        return self._running.pop(child)
