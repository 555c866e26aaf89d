"""One sync: from a change in its tree to a transfer, and what becomes of it (spec 3).

filter → combine → queue, here; when something is due, the config's functions are called (a
plugin's, or the user's in their place); they take what they want and spawn; the end of the spawn
comes back here. It knows neither the kernel's events nor Lua.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from orchestrator.errors import Died
from orchestrator.logic.backoff import Backoff
from orchestrator.logic.event import ACTIVE, BLANKET, BLOCK, CREATE, DELETE, FULL, INIT, MOVE, SPECIAL, WAIT
from orchestrator.logic.queue import Queue
from orchestrator.logic.verdict import AGAIN, COMMON, DIE, OK, Judgement, Kind, Verdict, Wording, judge
from orchestrator.sync.batch import BATCH_END, BATCH_START, run_command
from orchestrator.sync.event import Agent, Event, EventList
from orchestrator.sync.inlet import Inlet, Spawn
from orchestrator.sync.scan import entries_below

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.config.model import Config
    from orchestrator.logic.delay import Delay
    from orchestrator.logic.filters import Filters
    from orchestrator.process.spawn import Child
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.crontab import Crontab
    from orchestrator.sync.host import Calls, Host


KILL_PAUSE = 10.0
"""Seconds that a transfer that hangs has to end by itself."""

VETO_PAUSE = 1.0
"""Seconds until a spawn that a hook forbade is offered again."""


class State(Enum):
    """What a sync is about, for the status."""

    STARTING = "starting"
    IN_SYNC = "in sync"
    SYNCING = "syncing"
    RETRYING = "retrying"
    STOPPED = "stopped"


@dataclass
class Options:
    """What the core itself reads of a sync's config (spec 2.3).

    `sets`, `on_move`: see Queue. `own_die_codes`: exit codes that the user's own table, not a
    built-in one, maps to die: they end the daemon (spec 6 row 17).
    """

    delay: float = 0.0
    max_delays: int = 1000
    max_processes: int = 1
    sets: bool = False
    on_move: bool = False
    own_die_codes: frozenset[int] = frozenset()
    monitor: str | None = None


@dataclass(eq=False)
class Transfer:
    """What serves an agent: `start` begins it, `when_over` is told when nothing of it is left to come."""

    agent: Agent
    start: Callable[[], Child]
    when_over: Callable[[], None] = field(default=lambda: None)


class Sync:
    """One source and where it goes. Made when the config is loaded, started once, then turned."""

    def __init__(
        self, host: Host, number: int, name: str, source: bytes, config: Config, calls: Calls, filters: Filters,
        options: Options,
    ) -> None:  # fmt: skip
        self.host = host
        self.number = number
        self.name = name
        self.source = source
        self.config = config
        self.calls = calls
        self.filters = filters
        self.options = options
        report = (lambda line: host.log("Delay", line)) if host.log.shows("Delay") else None
        self.queue = Queue(sets=options.sets, on_move=options.on_move, report=report)
        self.inlet = Inlet(self)
        self.children: dict[Child, Transfer] = {}
        self._after: set[Child] = set()  # commands that run after a transfer
        self.is_stopped = False
        self.is_suspended = False
        self.is_started_up = False
        self.stderr_tail = b""  # of the process that is being collected
        self.retrying = 0  # paths that wait to be tried again outside the queue
        self.on_filters_changed: Callable[[Sync], None] = lambda sync: None
        self._backoff = Backoff(options.delay)
        self._failing: dict[Delay, Backoff] = {}  # single changes that wait to be tried again
        self._hold_until = 0.0
        self._tunnel: Tunnel | None = None
        self.crontab: Crontab | None = None
        self._judged: Judgement | None = None
        self._last_success: float | None = None
        self._last_error: dict[str, object] | None = None
        self._is_put_off = False  # what the config's functions wanted to start is to be tried again later

    @property
    def state(self) -> State:
        if self.is_stopped:
            return State.STOPPED
        if self._backoff.failures or self._failing:
            return State.RETRYING
        if not self.is_started_up:
            return State.STARTING
        return State.SYNCING if len(self.queue) else State.IN_SYNC

    def status(self) -> dict[str, object]:
        """How it is doing, for `orchestrator status`. Times in seconds since 1970."""
        oldest = next(iter(self.queue), None)
        return {
            "name": self.name,
            "state": self.state.value,
            "source": text_of(self.source),
            "target": text_of(self.inlet.target),
            "delays": len(self.queue),
            "oldest_delay_age": None if oldest is None else self._age(oldest),
            "retrying": self.retrying + len(self._failing),
            "last_success": self._last_success,
            "last_error": self._last_error,
        }

    def _age(self, delay: Delay) -> float:
        """Seconds since the change; of one that was put off, since it was put off at most."""
        return max(0.0, self.host.clock.now() - (delay.alarm - self.options.delay))

    # ---- what happened ------------------------------------------------------------------------

    def start(self) -> None:
        """Queue the startup, before everything else, where the config has one."""
        if self.calls.has_init():
            self.queue.prepend(INIT, self.host.clock.now(), b"")
        else:
            self.is_started_up = True
        if self.crontab is not None:
            self.crontab.schedule(self.host.clock, self.host.alarms, self._crontab_fired)

    def _crontab_fired(self) -> None:
        self.host.log("Info", "Crontab triggered full sync")
        self.request_full()

    def go_through(self, tunnel: Tunnel) -> None:
        """Transfers go through a tunnel: while it is not up, what is due waits in the queue."""
        self._tunnel = tunnel
        tunnel.when_up(self.queue.offer_again)

    def change(self, etype: str, alarm: float, path: bytes, path2: bytes | None) -> None:
        """Something changed. Absolute paths, of which at least one is inside the source.

        `alarm` is when it is due. A Move with one end outside, or excluded, is what is left of it.
        """
        source, cut = self.source, len(self.source) - 1
        if path2 is None:
            self._take(etype, alarm, path[cut:])
            return
        come_from = path[cut:] if path.startswith(source) else None
        gone_to = path2[cut:] if path2.startswith(source) else None
        if come_from is None or gone_to is None:
            left = CREATE if come_from is None else DELETE
            self.host.log("Normal", f"Transformed Move to {left} for ", self.name)
        if come_from is not None and self._is_excluded(MOVE, come_from):
            come_from = None
        if gone_to is not None and self._is_excluded(MOVE, gone_to):
            gone_to = None
        if come_from is not None and gone_to is not None:
            self._forget_failing(come_from)
            was_split = self.queue.add(MOVE, alarm, come_from, gone_to)
            if was_split:
                self._take_below(alarm, gone_to)
        elif come_from is not None:
            self._forget_failing(come_from)
            self.queue.add(DELETE, alarm, come_from)
        elif gone_to is not None:
            self.queue.add(CREATE, alarm, gone_to)
            self._take_below(alarm, gone_to)

    def add(self, etype: str, path: bytes) -> None:
        """A change of our own making: due after the usual delay."""
        alarm = self.host.clock.now() + self.options.delay
        self.queue.add(etype, alarm, path)
        if etype == CREATE:
            self._take_below(alarm, path)

    def request_full(self) -> None:
        """One more run over everything, unless one is waiting already."""
        if not any(delay.etype in (INIT, FULL) and delay.status == WAIT for delay in self.queue):
            self.queue.append(FULL, self.host.clock.now(), b"", stacked=False)

    def filters_changed(self) -> None:
        self.on_filters_changed(self)

    def _take(self, etype: str, alarm: float, path: bytes) -> None:
        if self.filters and self._is_excluded(etype, path):
            return
        if etype == DELETE:
            self._forget_failing(path)
        self.queue.add(etype, alarm, path)

    def _forget_failing(self, path: bytes) -> None:
        """A path is gone, with all below it. What failed there can only fail again, and would block its deletion."""
        for delay in list(self._failing) if self._failing else ():
            if delay.path.startswith(path) and delay.status == WAIT and (path.endswith(b"/") or delay.path == path):
                del self._failing[delay]
                self.queue.remove(delay)

    def _take_below(self, alarm: float, path: bytes) -> None:
        """A directory came whole: what is in it came as well, and no event tells of it."""
        if not path.endswith(b"/"):
            return
        for below in entries_below(self.source, path, self.filters.excludes_path):
            if self.host.log.shows("Delay"):
                self.host.log("Delay", "Create creates Create on ", below)
            self.queue.add(CREATE, alarm, below)

    def _is_excluded(self, etype: str, path: bytes) -> bool:
        if not self.filters.excludes_path(path):
            return False
        if self.host.log.shows("Filter"):
            self.host.log("Filter", f'filtered {etype} on "', path, '"')
        return True

    # ---- what is due --------------------------------------------------------------------------

    def is_at_limit(self) -> bool:
        return len(self.children) + len(self._after) >= self.options.max_processes

    def is_held(self) -> bool:
        """Whether nothing may be started now, whatever is due."""
        if self.is_stopped or self.is_suspended or self.is_at_limit():
            return True
        if self._tunnel is not None and not self._tunnel.is_up:
            return True
        return self.host.onepass and self.is_started_up

    def next_alarm(self) -> float | None:
        """When invoke has something to do, by itself: a time that may lie in the past, or None."""
        if self.is_held():
            return None
        alarm = self.queue.next_alarm(self.options.max_delays)
        return None if alarm is None else max(alarm, self._hold_until)

    def invoke(self, now: float) -> None:
        """Offer what is due to the config's functions, until a limit is reached (spec 3.5)."""
        while not self.is_held() and now >= self._hold_until:
            delay = self.queue.first_due(now, self.options.max_delays)
            if delay is None:
                return
            if self.host.is_at_limit():
                self.host.log("Alarm", "at global process limit.")
                return
            if delay.etype == INIT:
                self._invoke_init(delay)
            elif delay.etype == FULL:
                self.calls.full(self.inlet.event(delay))
            else:
                self.calls.action()
            if delay.status == WAIT and delay in self.queue:
                self.queue.decline(delay)

    def _invoke_init(self, delay: Delay) -> None:
        self._is_put_off = False
        self.calls.init(self.inlet.event(delay))
        if self._is_put_off:
            return
        if delay.status != WAIT or delay not in self.queue:
            if not self.children:
                self.is_started_up = True  # discarded: there was nothing to do
            return
        # Left waiting. A config for lsyncd 2.0 has spawned on a Blanket event of its own: that one takes
        # over (spec 2.6). Otherwise it had nothing to spawn; lsyncd calls it again for ever.
        blanket = next((d for d in self.queue if d.etype == BLANKET and d.status == ACTIVE), None)
        if blanket is not None:
            self.queue.hand_over(delay, blanket)
        else:
            self.is_started_up = True
        self.queue.remove(delay)

    # ---- transfers ----------------------------------------------------------------------------

    def spawn(
        self,
        agent: Agent,
        argv: Sequence[bytes],
        stdin: bytes | None = None,
        when_over: Callable[[], None] = lambda: None,
    ) -> str | None:
        """Start a program for the agent; its delays become active. Returns what is wrong, or None.

        With a tunnel that is not up nothing is started: the delays go on waiting.
        """
        spawn = Spawn(list(argv), stdin)
        transfer = Transfer(agent, lambda: self._spawn(spawn), when_over)
        if self._tunnel is not None:
            filled = self._tunnel.through(argv, EventList(self.inlet, agent.delays).paths())
            if filled is None:
                self._put_off(transfer)
                return None
            spawn.argv = list(filled)
        return self._begin(transfer, spawn)

    def run(
        self, agent: Agent, job: Callable[[threading.Event], int], when_over: Callable[[], None] = lambda: None
    ) -> str | None:
        """As spawn, with a function in a worker thread."""
        return self._begin(Transfer(agent, lambda: self.host.processes.run_job(job, self._ended), when_over), None)

    def _spawn(self, spawn: Spawn) -> Child:
        return self.host.processes.spawn(
            spawn.argv, stdin=spawn.stdin, on_exit=self._ended, env=spawn.env, stderr_tail=self.options.sets
        )

    def _begin(self, transfer: Transfer, spawn: Spawn | None) -> str | None:
        agent = transfer.agent
        if self.host.fading:
            self._is_put_off = True
            self.host.log("Normal", "ignored process spawning while fading")
            transfer.when_over()
            return None
        problem = self._why_not(agent)
        if problem is not None:
            return problem
        if spawn is not None and self.host.hooks.has("orchestrator_before_spawn"):
            allowed = self.host.hooks.tell("orchestrator_before_spawn", inlet=self.inlet, agent=agent, spawn=spawn)
            if allowed is False:
                self._put_off(transfer)
                return None
        # an action may transfer what it has left over: no change of the user's, no batch
        answer = self.calls.batch_start(agent) if agent.delays else None
        if answer is False:
            self._put_off(transfer)
            return None
        problem = self._why_not(agent)
        if problem is not None:
            return problem
        self.queue.activate(agent.delays)
        if isinstance(answer, bytes):
            self._run_before(transfer, answer)
        else:
            self._start(transfer)
        return None

    def _start(self, transfer: Transfer) -> None:
        child = transfer.start()
        self.children[child] = transfer
        if self.host.transfer_timeout is not None:
            self.host.alarms.add(
                self.host.clock.now() + self.host.transfer_timeout, lambda: self._overdue(child, signal.SIGTERM)
            )

    def _overdue(self, child: Child, signum: int) -> None:
        """A transfer hangs: it is asked to end, then made to; its end is judged as any (transferTimeout)."""
        if child not in self.children:
            return
        if signum == signal.SIGTERM:
            seconds = self.host.transfer_timeout
            self.host.log("Warn", f"a transfer of {self.name} runs for more than {seconds:g} s; ending it.")
            self.host.alarms.add(self.host.clock.now() + KILL_PAUSE, lambda: self._overdue(child, signal.SIGKILL))
        self.host.processes.kill(child, signum)

    def _why_not(self, agent: Agent) -> str | None:
        """Why nothing can be started for these changes."""
        may_be = (WAIT, BLOCK) if agent.is_list else (WAIT,)
        if all(delay.status in may_be and delay in self.queue for delay in agent.delays):
            return None
        return f"spawn() called on an non-waiting event{' list' if agent.is_list else ''}"

    def _put_off(self, transfer: Transfer) -> None:
        """Not now: its changes are offered again after a pause.

        Until then they count as being transferred: what the config's functions find waiting after a spawn,
        they may drop.
        """
        self._is_put_off = True
        self.queue.activate(transfer.agent.delays)
        self.host.alarms.add(self.host.clock.now() + VETO_PAUSE, lambda: self._wait_again(transfer))
        transfer.when_over()

    def _wait_again(self, transfer: Transfer) -> None:
        for delay in transfer.agent.delays:
            if delay in self.queue:
                self.queue.retry(delay, self.host.clock.now())

    def _run_before(self, transfer: Transfer, command: bytes) -> None:
        """Run onBatchStart; the transfer follows if it goes well."""
        try:
            child = run_command(self, BATCH_START, command, transfer.agent, self._before_ended)
        except OSError as error:
            self._not_begun(transfer, f"the list of paths cannot be written: {error.strerror}")
        else:
            self.children[child] = transfer

    def _before_ended(self, child: Child, exit_code: int) -> None:
        transfer = self.children.pop(child)
        if exit_code != 0:
            self._not_begun(transfer, f"ended with {exit_code}")
        elif self.host.fading or self.is_stopped or self.is_suspended:
            self._wait_again(transfer)
            transfer.when_over()
        else:
            self._start(transfer)

    def _not_begun(self, transfer: Transfer, reason: str) -> None:
        if self._backoff_of(transfer.agent).would_grow():
            self.host.log("Warn", f"{BATCH_START} of {self.name} {reason}: the batch waits and is tried again.")
        self._again(transfer.agent, [delay for delay in transfer.agent.delays if delay in self.queue])
        transfer.when_over()

    def _run_after(self, child: Child, agent: Agent, exit_code: int, verdict: str) -> None:
        """Run onBatchEnd; nothing depends on it."""
        seconds = self.host.clock.now() - child.started
        command = self.calls.batch_end(agent, exit_code, seconds, verdict) if agent.delays else None
        if command is None:
            return
        told = {"exitcode": b"%d" % exit_code, "seconds": b"%.3f" % seconds, "verdict": verdict.encode()}
        try:
            self._after.add(run_command(self, BATCH_END, command, agent, self._after_ended, **told))
        except OSError as error:
            self.host.log("Error", f"{BATCH_END} of {self.name}: the list of paths cannot be written: {error.strerror}")

    def _after_ended(self, child: Child, exit_code: int) -> None:
        self._after.discard(child)
        if exit_code != 0:
            self.host.log("Warn", f"{BATCH_END} of {self.name} ended with {exit_code}.")

    def discard(self, event: Event) -> None:
        delay = event.delay
        if delay.status != WAIT or delay not in self.queue:
            self.host.log("Error", "Ignored cancel of a non-waiting event of type ", delay.etype)
            return
        self.queue.remove(delay)

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
        table = self.config.get("exitcodes")
        if exit_codes is None and table:
            exit_codes = dict(table.int_items())
        judgement = judge(
            kind=_kind(agent),
            etype=agent.etype if isinstance(agent, Event) else "",
            source_path=agent.source_path if isinstance(agent, Event) else b"",
            source=self.source,
            target=self.inlet.target if self.config.get("target") is not None else b"(nil)",
            exit_code=exit_code,
            exit_codes=exit_codes,
            insist=self.host.insist,
            wording=wording,
        )
        self._judged = judgement
        if judgement.verdict != AGAIN or self._backoff_of(agent).would_grow():
            self.host.log(judgement.category, judgement.message)
        if self.host.onepass and wording is COMMON and judgement.verdict == OK and _kind(agent) == "init":
            self.host.log("Normal", "onepass config set, exiting")
        return judgement.verdict

    def _ended(self, child: Child, exit_code: int) -> None:
        transfer = self.children.pop(child)
        try:
            self._collect(child, transfer.agent, exit_code)
        finally:
            transfer.when_over()

    def _collect(self, child: Child, agent: Agent, exit_code: int) -> None:
        self._judged = None
        self.stderr_tail = child.stderr_tail
        verdict = self.calls.collect(agent, exit_code)
        if self.host.hooks.has("orchestrator_after_collect"):
            self._tell_collected(child, agent, exit_code, verdict)
        self._remember(child, exit_code, verdict or OK)
        self._run_after(child, agent, exit_code, verdict or OK)
        delays = [delay for delay in agent.delays if delay in self.queue]
        is_startup = any(delay.etype in (INIT, BLANKET) for delay in delays)
        if verdict == DIE:
            self._die(exit_code)
        elif verdict == AGAIN:
            self._again(agent, delays)
        else:
            self._succeeded(delays)
            self.is_started_up |= is_startup

    def _remember(self, child: Child, exit_code: int, verdict: str) -> None:
        """For the status: when it last went well, and what went wrong last."""
        now = self.host.clock.wall()
        if verdict == OK and exit_code == 0:
            self._last_success = now
            return
        lines = child.stderr_tail.strip().splitlines()
        cause = child.error or (text_of(lines[-1]) if lines else "")
        self._last_error = {"time": now, "exit_code": exit_code, "cause": cause or f"exit code {exit_code}"}

    def _tell_collected(self, child: Child, agent: Agent, exit_code: int, verdict: str | None) -> None:
        self.host.hooks.tell(
            "orchestrator_after_collect",
            inlet=self.inlet,
            agent=agent,
            paths=EventList(self.inlet, agent.delays).paths(),
            exit_code=exit_code,
            verdict=verdict or OK,
            duration=self.host.clock.now() - child.started,
            stderr=child.stderr_tail,
        )

    def _succeeded(self, delays: list[Delay]) -> None:
        self._backoff.succeed()
        self._hold_until = 0.0
        for delay in delays:
            self._failing.pop(delay, None)
            self.queue.remove(delay)

    def _again(self, agent: Agent, delays: list[Delay]) -> None:
        """The delays wait again, longer each time.

        One change that fails stands aside alone. When a list or a startup fails, it is the target that
        does not answer: the whole sync waits, or each new change would be tried in vain at once.
        """
        backoff = self._backoff_of(agent)
        backoff.fail()
        due = self.host.clock.now() + backoff.pause
        if backoff is self._backoff:
            self._hold_until = due
        for delay in delays:
            if backoff is not self._backoff:
                if _is_deleted_later(delay):
                    self.queue.remove(delay)
                    continue
                self._failing[delay] = backoff
            self.queue.retry(delay, due)

    def _backoff_of(self, agent: Agent) -> Backoff:
        if isinstance(agent, EventList) or agent.etype in SPECIAL:
            return self._backoff
        return self._failing.get(agent.delay) or Backoff(self.options.delay)

    def _die(self, exit_code: int) -> None:
        judged = self._judged
        is_own = judged is None or exit_code in self.options.own_die_codes
        if judged is not None and judged.at_once and (judged.gave_up or is_own):
            raise Died("startup failed")
        if is_own or (judged is not None and judged.gave_up):
            self.host.log("Error", "Critical exitcode.")
            raise Died("Critical exitcode.")
        self.stop(f"exit code {exit_code}")

    def trouble(self) -> None:
        """A function of the action raised: what it was to do is tried again after a pause."""
        self._is_put_off = True
        self._backoff.fail()
        self._hold_until = self.host.clock.now() + self._backoff.pause
        self.queue.offer_again()

    def suspend(self) -> None:
        """The source is gone: mirroring what is left of it would wipe the target (spec 6 rows 7, 22)."""
        self.is_suspended = True
        self.host.log("Error", "source ", self.source, f" of {self.name} is gone; waiting for its return.")

    def resume(self) -> None:
        """The source is there again: whatever happened meanwhile, a full run finds it."""
        self.is_suspended = False
        self.host.log("Normal", "source ", self.source, f" of {self.name} is back.")
        self.request_full()

    def stop(self, reason: str) -> None:
        """Do nothing more for this sync; the others go on."""
        if self.is_stopped:
            return
        self.is_stopped = True
        self.host.failed = True
        self.host.log("Error", f"{self.name} is stopped: ", reason)


def _is_deleted_later(delay: Delay) -> bool:
    """Whether its path, or a directory above it, goes in what waits for it: trying again would be in vain."""
    waiting = list(delay.blocks or ())
    while waiting:
        newer = waiting.pop()
        is_above = newer.path == delay.path or (newer.path.endswith(b"/") and delay.path.startswith(newer.path))
        if newer.etype == DELETE and is_above:
            return True
        waiting += newer.blocks or ()
    return False


def text_of(path: bytes) -> str:
    """A path as text that JSON can carry: what is not UTF-8 is written out."""
    return path.decode("utf-8", "backslashreplace")


def _kind(agent: Agent) -> Kind:
    if isinstance(agent, EventList):
        return "list"
    return "init" if agent.etype == INIT else "event"
