"""One sync: from a change in its tree to a transfer, and what becomes of it (spec 3).

filter → combine → queue, here; when something is due, the config's functions are called (a
plugin's, or the user's in their place); they take what they want and spawn; the end of the spawn
comes back here. It knows neither the kernel's events nor Lua.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator.logic.alarms import INFINITY
from orchestrator.logic.delay import Delay
from orchestrator.logic.event import (
    ACTIVE,
    ATTRIB,
    BLANKET,
    CREATE,
    DELETE,
    FULL,
    INIT,
    MODIFY,
    MOVE,
    PART,
    SPECIAL,
    WAIT,
)
from orchestrator.logic.queue import Queue
from orchestrator.logic.secrets import mask
from orchestrator.logic.text import text_of
from orchestrator.logic.verdict import OK
from orchestrator.sync.batch import BatchCommands
from orchestrator.sync.collector import Collector
from orchestrator.sync.dividedstartup import DividedStartup
from orchestrator.sync.figures import COUNTED, STARTUP, Figures, kind_of, total
from orchestrator.sync.guard import Guard
from orchestrator.sync.history import History
from orchestrator.sync.hooks import OF_TRANSFERS
from orchestrator.sync.inlet import Inlet
from orchestrator.sync.judge import Judge
from orchestrator.sync.knowledge import Recorder
from orchestrator.sync.life import Life, State
from orchestrator.sync.outcome import Outcome
from orchestrator.sync.parts import Parts
from orchestrator.sync.plans import Plans
from orchestrator.sync.progress import UNKNOWN
from orchestrator.sync.resumption import Resumption
from orchestrator.sync.retries import Retries
from orchestrator.sync.scan import entries_below, is_there
from orchestrator.sync.settling import Settling
from orchestrator.sync.sourceguard import SourceGuard
from orchestrator.sync.staleness import Staleness
from orchestrator.sync.targetguard import TargetGuard
from orchestrator.sync.transfers import Transfers
from orchestrator.sync.unanswered import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from orchestrator.config.model import Config
    from orchestrator.logic.difference import Difference, Verified
    from orchestrator.logic.endpoint import Endpoint
    from orchestrator.logic.filters import Filters
    from orchestrator.logic.sameness import Fingerprint
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.calls import Calls
    from orchestrator.sync.crontab import Crontab, Schedule
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Event
    from orchestrator.sync.knowledge import Keeper, Resumable
    from orchestrator.sync.observed import Observers
    from orchestrator.sync.targetwatch import TargetWatch
    from orchestrator.sync.verification import Verification
    from orchestrator.sync.verify import Verifier


CONFLICTS: Final = 100
"""Paths in conflict that the status names."""


@dataclass
class Options:
    """What the core itself reads of a sync's config (spec 2.3).

    `sets`, `on_move`, `chains_moves`: see Queue. `mirrors_source`: see Action. `own_die_codes`: exit codes that the
    user's own table, not a built-in one, maps to die: they end the daemon (spec 6 row 17).
    """

    delay: float = 0.0
    max_delays: float = 1000
    max_processes: float = 1
    sets: bool = False
    mirrors_source: bool = False
    on_move: bool = False
    chains_moves: bool = False
    own_die_codes: frozenset[int] = frozenset()
    monitor: str | None = None
    has_max_delete: bool = False
    settle: float = 0.0
    startup_processes: int = 1
    stale_after: float | None = None


class Definition(NamedTuple):
    """One sync as the config defines it. `number`: from 1; `source`: absolute, a slash at its end."""

    number: int
    name: str
    source: bytes
    config: Config
    filters: Filters
    options: Options


class Sync:
    """One source and where it goes. Made when the config is loaded, started once, then turned."""

    def __init__(
        self, host: Host, definition: Definition, calls: Calls, make_inlet: Callable[[Sync], Inlet] = Inlet
    ) -> None:
        self.host = host
        self.number = definition.number
        self.name = name = definition.name
        self.source = source = definition.source
        self.config = definition.config
        self.calls = calls
        self.filters = definition.filters
        self.options = options = definition.options
        self.log = host.log_of(name)
        self.queue = Queue(sets=options.sets, on_move=options.on_move, chains_moves=options.chains_moves)
        self.follow_log()
        self.inlet = make_inlet(self)
        self.life = Life(host, name)
        self.plans = Plans(host, self.life)
        self.history = History(host.clock)
        self.figures = Figures(host, name)
        self.retries = Retries(self.queue, options.delay)
        self.judge = Judge(host, self.inlet, self.life, self.retries)
        self.guard = Guard(host, self.inlet)
        self._parts = Parts(host, self.inlet, self.queue, calls, self.life, self.retries, self.history, self.figures)
        batches = BatchCommands(host, self.inlet, calls)
        self.collector = Collector(self._parts, batches, options.own_die_codes)
        self.transfers = Transfers(
            self._parts, batches, self.guard, self.collector,
            keeps_stderr=options.sets, is_full=self._is_full,
        )  # fmt: skip
        self._observers: Observers | None = None
        if any(map(host.hooks.has, OF_TRANSFERS)):
            self._observe()
        self._startup_since: float | None = None  # seconds of the monotonic clock; None: it has none, or not yet
        allowance = max(options.delay, options.settle)
        self.staleness = Staleness(self._parts, self.transfers, self.guard, allowance, options.stale_after)
        self.startup: DividedStartup | None = None
        if options.startup_processes > 1:
            startup = DividedStartup(self._parts, options.startup_processes)
            self.startup = self.judge.startup = self.collector.startup = startup
        self.verification: Verification | None = None
        self.verified: Verified | None = None
        self.verify_times: Crontab | None = None
        self._verify_schedule: Schedule | None = None
        self.conflicts: Sequence[bytes] | None = None  # None: its action knows of none
        self.failing: Collection[bytes] = ()  # paths that wait to be tried again outside the queue, if they are known
        self._unanswered = Unanswered(host, name, self.queue.offer_again)
        self._settling = Settling(host, source, options.settle, self._settled) if options.settle > 0 else None
        self.crontab: Crontab | None = None
        self._schedule: Schedule | None = None
        self.fingerprint: Fingerprint | None = None  # None: nobody can say that it is the same as another one
        self.endpoint = ""  # the name of the host that its transfers go to; empty: none is known
        self.action_name = ""  # of the plugin's action that acts for it; empty: functions of the config do
        self.place: bytes | None = None  # the target's directory, where it is of this machine
        self.resumable: Resumable | None = None
        self.keeper: Keeper | None = None
        self._resumption: Resumption | None = None
        self.way = source  # absolute, as the config names it: there may be links on it
        self.retrying = 0  # paths that wait to be tried again outside the queue
        self.on_filters_changed: Callable[[Sync], None] = lambda sync: None

    def _observe(self) -> None:
        """Plugins want to hear of its transfers."""
        from orchestrator.sync.observed import Observers, paths_of  # late: few daemons need it

        observers = self._observers = self.collector.observers = Observers(self.host, self.inlet)
        if observers.wants_transfers:
            self.figures.observers = observers
        if observers.wants_retries:
            self.retries.on_end = lambda delays, is_done: observers.retry_ended(paths_of(delays), is_done=is_done)

    def retry_ended(self, paths: Sequence[bytes], *, is_done: bool) -> None:
        """Paths that had waited to be tried again outside the queue are not tried any more."""
        if self._observers is not None:
            self._observers.retry_ended(paths, is_done=is_done)

    @property
    def state(self) -> State:
        transfers = self.transfers
        return self.life.state(
            is_retrying=self.retries.is_failing() or self.retrying > 0,
            is_held=len(transfers.holds) > 0 and not len(transfers),
            is_busy=len(self.queue) > 0 or bool(self._settling),
        )

    def status(self) -> dict[str, Any]:
        """How it is doing, as contrib/CONTROL.md has it. Times in seconds since 1970."""
        running = [self.figures.running(child, transfer) for child, transfer in self.transfers.running()]
        counts = self.figures.counts()
        counts["bytes"] += sum(one["bytes"] or 0 for one in running if one["kind"] in COUNTED)
        return {
            "name": mask(self.name),
            "number": self.number,
            "action": self.action_name,
            "source": text_of(self.source),
            "target": mask(text_of(self.inlet.target)),
            "state": self.state.value,
            "stuck": self.staleness.why(self.oldest()),
            "waiting": len(self.queue),
            "settling": len(self._settling) if self._settling is not None else 0,
            "retrying": self.retrying + len(self.retries),
            "oldest": self._wall(self.oldest()),
            "held_by": "a transfer from before the reload" if self.life.is_awaiting else self.transfers.holds.by,
            "unreachable": self._unreachable(),
            "startup": self._startup_status(),
            "transfers": running if self.verification is None else [*running, *self.verification.running()],
            "last_success": self.history.last_success,
            "last_error": self.history.last_error,
            "counts": counts,
            "verified": None if self.verified is None else self.verified.fields(),
            "conflicts": None if self.conflicts is None else list(map(text_of, self.conflicts[:CONFLICTS])),
        }

    def recent(self) -> list[dict[str, Any]]:
        """The ends of its last transfers, newest first, as contrib/CONTROL.md has them."""
        return [ended.shown(self.host) for ended in reversed(self.figures.recent)]

    def _wall(self, moment: float | None) -> float | None:
        """A time of the monotonic clock in seconds since 1970."""
        return None if moment is None else self.host.since_1970(moment)

    def _unreachable(self) -> dict[str, Any] | None:
        host = self.retries.unreachable()
        if host is None:
            return None
        return {"host": mask(host), "next_try": self._wall(self.retries.hold_until(self.host.clock.now()))}

    def _startup_status(self) -> dict[str, Any] | None:
        """How far the startup is; None: it is over, or there is none."""
        if self.life.is_started_up or self._startup_since is None:
            return None
        done, count = (0, 1) if self.startup is None else self.startup.parts_done()
        progress = UNKNOWN if self.startup is None else self.startup.progress()
        if progress is UNKNOWN:
            running = [transfer for _, transfer in self.transfers.running() if transfer is not None]
            progress = total([transfer.progress() for transfer in running if kind_of(transfer.agent) == STARTUP])
        return {
            "since": self._wall(self._startup_since),
            "parts_done": done,
            "parts": count,
            "files_done": progress.files_done,
            "files": progress.files,
            "bytes_done": progress.bytes_done,
            "bytes": progress.bytes,
        }

    def oldest(self) -> float | None:
        """When the oldest change happened that has not been transferred, in seconds of the monotonic clock; None: all
        have been. However often it was combined with later ones, offered and tried."""
        settling = self._settling.oldest() if self._settling is not None else None
        apart = self.figures.apart_since if self.retrying and self.figures.apart_since < INFINITY else None
        times = [since for since in (self.queue.oldest(), settling, apart) if since is not None]
        return min(times, default=None)

    # ---- what happened ------------------------------------------------------------------------

    def start(self) -> None:
        """Queue the startup, before everything else, where the config has one."""
        if self.calls.has_init():
            self._startup_since = self.queue.prepend(INIT, self.host.clock.now(), b"").since
            self.host.startups.add(self)
        else:
            self.life.start_up()
        if self.crontab is not None:
            self._schedule = self.crontab.schedule(self.host.clock, self.host.alarms, self._crontab_fired)
        if self.verify_times is not None:
            self._verify_schedule = self.verify_times.schedule(self.host.clock, self.host.alarms, self._verify_fired)
        if self.endpoint:
            self.go_to(self.host.endpoint(self.endpoint))

    def keep(self, keeper: Keeper, resumable: Resumable) -> None:
        """Record what its target has, and begin with what has changed since."""
        self.keeper = keeper
        recorder = Recorder(keeper, self.queue, resumable, is_chaining=self.options.chains_moves)
        self.transfers.recorder = self.collector.recorder = recorder
        resumption = Resumption(keeper, self.inlet, self.queue, self.life, self._take_up, self._resumed)
        self._resumption = resumption
        self.collector.on_end = resumption.progress

    def _take_up(self, changes: Sequence[tuple[str, bytes]], until: float | None) -> None:
        """The changes since another daemon ended come in the place of the startup."""
        now = self.host.clock.now()
        for delay in [delay for delay in self.queue if delay.etype == INIT]:
            self.queue.remove(delay)
        cut_off = [path for etype, path in changes if etype == CREATE] if until is None else []
        self.calls.resumes(cut_off, until)
        self.host.run.busy(len(changes), self._queue_all, changes, now)

    def _queue_all(self, changes: Sequence[tuple[str, bytes]], alarm: float) -> None:
        for etype, path in changes:
            self.queue.add(etype, alarm, path)

    def _resumed(self) -> None:
        """All of that has been transferred: the startup is over."""
        self._resumption = None
        now = self.host.clock.now()
        startup = self.inlet.event(Delay(0, INIT, now, b""))
        self.calls.started(Outcome(startup, 0, now, now))
        self.life.start_up()
        if self._observers is not None:
            self._observers.full_run_ended(is_startup=True, verdict=OK)

    def close(self) -> None:
        """Nothing more is begun, and nothing more recorded."""
        self.transfers.close()
        self._end_verifications()
        if self.keeper is not None:
            self.keeper.close(is_at_rest=not len(self.transfers))

    def _crontab_fired(self) -> None:
        self.log("Info", "Crontab triggered full sync")
        self.request_full()

    def _verify_fired(self) -> None:
        self.log("Info", f"Crontab triggered a verification of {self.name}")
        if not self.host.verifications.has(self):
            self.verify()

    def go_through(self, tunnel: Tunnel) -> None:
        """Transfers go through a tunnel: while it is not up, what is due waits in the queue."""
        self.transfers.tunnel = tunnel
        tunnel.when_up(self.queue.offer_again)

    def change(self, etype: str, alarm: float, path: bytes, path2: bytes | None, since: float | None = None) -> None:
        """Something changed. Absolute paths, of which at least one is inside the source, or the source itself.

        `alarm` is when it is due, `since` when it happened (None: now). A Move with one end outside, or excluded, is
        what is left of it.
        """
        source, cut = self.source, len(self.source) - 1
        if self.verification is not None:
            for end in (path, path2):
                if end is not None and end.startswith(source):
                    self.verification.touch(end[cut:])
        if since is None:
            since = self.host.clock.now()
        if path2 is None:
            if etype != ATTRIB or len(path) > len(source) or self.options.mirrors_source:
                self._take(etype, alarm, path[cut:], since)
            return
        come_from = path[cut:] if path.startswith(source) else None
        gone_to = path2[cut:] if path2.startswith(source) else None
        if come_from is None or gone_to is None:
            left = CREATE if come_from is None else DELETE
            self.log("Normal", f"Transformed Move to {left} for ", self.name)
        if self._settling is not None and come_from is not None:
            self._settling.moves(come_from, gone_to)
        if come_from is not None and self._is_excluded(MOVE, come_from):
            come_from = None
        if gone_to is not None and self._is_excluded(MOVE, gone_to):
            gone_to = None
        if come_from is not None and gone_to is not None:
            self.figures.changes += 1
            if "change" in self.host.feed.topics:
                self._tell_change(MOVE, come_from, gone_to)
            self.retries.forget(come_from)
            was_split = self.queue.add(MOVE, alarm, come_from, gone_to, since)
            if was_split:
                self._take_below(alarm, gone_to, since)
        elif come_from is not None:
            self.figures.changes += 1
            if "change" in self.host.feed.topics:
                self._tell_change(DELETE, come_from)
            self.retries.forget(come_from)
            self.queue.add(DELETE, alarm, come_from, None, since)
        elif gone_to is not None:
            self.figures.changes += 1
            if "change" in self.host.feed.topics:
                self._tell_change(CREATE, gone_to)
            self._sweep(alarm, gone_to, since)
            self.queue.add(CREATE, alarm, gone_to, None, since)
            self._take_below(alarm, gone_to, since)

    def add(self, etype: str, path: bytes, since: float | None = None) -> None:
        """A change of our own making: due after the usual delay. `since`: when it happened; None: now.

        It comes last in the queue, whenever it was that something appeared. A path that is gone by now has its Delete
        before it or still to come, and an action on single events would make it once more.
        """
        if etype == CREATE and not self.options.sets and not is_there(self.source + path[1:], self.source):
            return
        now = self.host.clock.now()
        alarm, since = now + self.options.delay, now if since is None else since
        if etype == CREATE:
            self._sweep(alarm, path, since, is_doubtful=True)
        self.queue.add(etype, alarm, path, None, since)
        if etype == CREATE:
            self._take_below(alarm, path, since)

    def request_full(self) -> None:
        """One more run over everything, unless one is waiting already."""
        if self.verification is not None:
            self.verification.touch(b"/")
        if not self._is_full_run_waiting():
            self.queue.append(FULL, self.host.clock.now(), b"", stacked=False)

    @property
    def is_full_run_due(self) -> bool:
        return self.life.is_suspended or self._is_full_run_waiting()

    def _is_full_run_waiting(self) -> bool:
        return any(delay.etype in (INIT, FULL) and delay.status == WAIT for delay in self.queue)

    def filters_changed(self) -> None:
        if self.keeper is not None:
            self.keeper.invalidate()
        self.on_filters_changed(self)

    def _take(self, etype: str, alarm: float, path: bytes, since: float) -> None:
        if self.filters and self._is_excluded(etype, path):
            return
        self.figures.changes += 1
        if "change" in self.host.feed.topics:
            self._tell_change(etype, path)
        if self._settling is not None and self._settling.takes(etype, path):
            return
        if etype == DELETE:
            self.retries.forget(path)
        elif etype == CREATE:
            self._sweep(alarm, path, since)
        self.queue.add(etype, alarm, path, None, since)

    def _settled(self, etype: str, path: bytes, since: float) -> None:
        """A file has been quiet for long enough."""
        waits = max(0.0, self.options.delay - self.options.settle)
        self.queue.add(etype, self.host.clock.now() + waits, path, None, since)

    def _sweep(self, alarm: float, path: bytes, since: float, *, is_doubtful: bool = False) -> None:
        """A directory appears. What else the target may have under its name is to go.

        A transfer that runs may bring things of it over that are gone again before the directory is watched,
        and no event comes of that. Actions on sets of paths compare the paths with the source; to
        others a Delete would be one. `is_doubtful`: nobody knows what the target has.
        """
        if self.options.sets and path.endswith(b"/") and (is_doubtful or len(self.transfers)):
            self.queue.add(DELETE, alarm, path, None, since)

    def _take_below(self, alarm: float, path: bytes, since: float) -> None:
        """A directory came whole: its entries came as well, and there is no event for them."""
        if not path.endswith(b"/"):
            return
        for below in entries_below(self.source, path, self.filters.excludes_path):
            if self.host.log.shows("Delay"):
                self.log("Delay", "Create creates Create on ", below)
            self.figures.changes += 1
            if "change" in self.host.feed.topics:
                self._tell_change(CREATE, below)
            self.queue.add(CREATE, alarm, below, None, since)

    def _tell_change(self, etype: str, path: bytes, path2: bytes | None = None) -> None:
        texts = text_of(path), None if path2 is None else text_of(path2)
        self.host.feed.tell("change", self.name, etype=etype, path=texts[0], path2=texts[1])

    def _is_excluded(self, etype: str, path: bytes) -> bool:
        if not self.filters.excludes_path(path):
            return False
        if self.host.log.shows("Filter"):
            self.log("Filter", f'filtered {etype} on "', path, '"')
        return True

    # ---- what is due --------------------------------------------------------------------------

    def is_at_limit(self) -> bool:
        transfers = self.transfers
        running = len(transfers) if self.startup is None else transfers.running_but_parts()
        return running >= self.options.max_processes

    def is_starting_up(self) -> bool:
        """See Candidate."""
        if self.life.is_started_up:
            return False
        return len(self.transfers) > 0 or (self.startup is not None and self._goes_on_at_once(self.startup))

    def _goes_on_at_once(self, startup: DividedStartup) -> bool:
        """Whether the next step of a startup in parts is only to be begun."""
        now = self.host.clock.now()
        return not self.life.is_barred and startup.is_under_way(now) and self.retries.hold_until(now) <= now

    def could_start_up(self) -> bool:
        """See Candidate."""
        alarm = None if self.life.is_started_up else self.next_alarm()
        return alarm is not None and alarm <= self.host.clock.now()

    def report_retrying(self, count: int) -> None:
        """So many paths wait to be tried again outside of the queue."""
        self.retrying = count
        if not count:
            self.figures.apart_since = INFINITY

    def _is_full(self) -> bool:
        """Whether a limit forbids to begin what was held."""
        is_started_up = self.life.is_started_up
        if self.is_at_limit() or self.host.is_at_limit() or (not is_started_up and self._waits_for_others()):
            return True
        if not is_started_up:
            self.host.startups.began(self)
        return False

    def _waits_for_others(self) -> bool:
        """Whether its startup may not begin yet, as those of others run."""
        return not self.host.startups.may_begin(self, self.host.run.options.max_startups)

    def is_held(self) -> bool:
        """Whether nothing may be started now, whatever is due."""
        life, transfers = self.life, self.transfers
        if life.is_barred:
            return True
        if not life.is_started_up and self._waits_for_others():
            return True
        if self._resumption is not None and self._resumption.is_comparing:
            return True
        if transfers.holds.by and transfers.holds.holds_all():
            return True
        if len(transfers) >= self.options.max_processes and (self.startup is None or self._soonest() is None):
            return True
        tunnel = transfers.tunnel
        if tunnel is not None and not tunnel.is_up:
            return True
        return self.host.run.options.onepass and life.is_started_up

    def next_alarm(self) -> float | None:
        """When invoke has something to do, by itself: a time that may lie in the past, or None."""
        if self.is_held():
            return None
        alarm = self.queue.next_alarm(self.options.max_delays) if self.startup is None else self._soonest()
        return None if alarm is None else max(alarm, self.retries.hold_until(self.host.clock.now()))

    def _soonest(self) -> float | None:
        """When something is due, a part of the startup or a change; None: nothing is, or the limits forbid it."""
        assert self.startup is not None
        refused = self.guard.refused
        if refused is not None and refused.etype == PART and refused in self.queue:
            return refused.alarm if refused.status == WAIT else None
        alarms = [self.startup.next_alarm()]
        if not self.is_at_limit():
            alarms.append(self.queue.next_alarm(self.options.max_delays))
        return min((alarm for alarm in alarms if alarm is not None), default=None)

    def _wants(self, now: float) -> bool:
        """Whether anything would be transferred now, if no host were out of reach."""
        if self.is_held():
            return False
        alarm = self.queue.next_alarm(self.options.max_delays) if self.startup is None else self._soonest()
        return alarm is not None and alarm <= now

    def go_to(self, endpoint: Endpoint) -> None:
        """Its transfers go to a host: while that cannot be reached, it waits together with all that go there."""
        self.retries.share(endpoint, self._wants, self.queue.offer_again)
        if self.startup is not None:
            self.startup.is_far = True

    def invoke(self, now: float) -> None:
        """Offer what is due to the config's functions, until a limit is reached (spec 3.5)."""
        while not self.is_held() and now >= self.retries.hold_until(now):
            delay = self._next(now)
            if delay is None:
                return
            if self.host.is_at_limit():
                self.log("Alarm", "at global process limit.")
                return
            self.transfers.is_deferred = False
            if delay.etype == INIT:
                self._invoke_init(delay)
            elif delay.etype == PART:
                self.calls.init(self.inlet.event(delay))
            elif delay.etype == FULL:
                self.calls.full(self.inlet.event(delay))
            else:
                self.calls.action()
            if not self.life.is_started_up and self.is_starting_up():
                self.host.startups.began(self)
            if delay.status == WAIT and delay in self.queue:
                if self.transfers.is_deferred or delay.etype == PART:
                    return  # not left by choice: it is offered again when the pause is over
                self.queue.decline(delay)
                if not self.is_at_limit():  # else it waits for what was started in its place
                    self._unanswered.left(delay)
            else:
                self._unanswered.taken()

    def _next(self, now: float) -> Delay | None:
        """The delay to offer next. While a full run is refused, no other: the source may not be what it should be."""
        refused = self.guard.refused
        if refused is not None and refused in self.queue:
            is_due = refused.status == WAIT and (refused.etype != PART or refused.alarm <= now)
            return refused if is_due else None
        if self.startup is not None:
            part = self.startup.next_due(now)
            if part is not None or self.is_at_limit():
                return part
        return self.queue.first_due(now, self.options.max_delays)

    def _invoke_init(self, delay: Delay) -> None:
        if self._resumption is not None and self._resumption.begins():
            self.transfers.is_deferred = True
            return
        if self.startup is not None and self.startup.looks_first(delay):
            return
        self.calls.init(self.inlet.event(delay))
        if self.transfers.is_deferred:
            return
        if delay.status != WAIT or delay not in self.queue:
            if not len(self.transfers):
                self.life.start_up()  # discarded: there was nothing to do
            return
        # Left waiting. A config for lsyncd 2.0 has spawned on a Blanket event of its own: that one takes
        # over (spec 2.6). Otherwise it is not the time yet: nothing passes it, and it is asked again.
        blanket = next((d for d in self.queue if d.etype == BLANKET and d.status == ACTIVE), None)
        if blanket is not None:
            self.queue.hand_over(delay, blanket)
            self.queue.remove(delay)

    def discard(self, event: Event) -> None:
        """Forget a waiting change, with an Error line if it does not wait."""
        delay = event.delay
        if delay.status != WAIT or delay not in self.queue:
            self.log("Error", "Ignored cancel of a non-waiting event of type ", delay.etype)
            return
        self.queue.remove(delay)
        self.retries.dropped(delay)
        if self.startup is not None and not self.startup.goes_on_after([delay]) and delay.etype == PART:
            self.life.start_up()

    def trouble(self) -> None:
        """A function of the action raised: what it was to do is tried again after a pause."""
        self.transfers.is_deferred = True
        self.retries.hold(self.host.clock.now())

    # ---- steered by an administrator ---------------------------------------------------------

    def pause(self) -> bool:
        """Start nothing until `unpause`: changes wait, what runs comes to its end. False: it is paused already."""
        if self.life.is_paused:
            return False
        self.life.pause()
        return True

    def unpause(self) -> bool:
        """Go on. False: it is not paused."""
        if not self.life.is_paused:
            return False
        self.life.unpause()
        return True

    def try_now(self) -> None:
        """End all pauses after failures."""
        self.retries.end_pauses()
        self.plans.try_now()
        if self.transfers.guarded is not None:
            self.transfers.guarded.look_now()
        self.queue.offer_again()

    def flush(self) -> None:
        """All that waits is due now: no delay, no quiet time and no pause is waited for."""
        if self._settling is not None:
            now = self.host.clock.now()
            for etype, path, since in self._settling.take_all():
                if is_there(self.source + path[1:], self.source):
                    self.queue.add(etype, now, path, None, since)
        self.try_now()
        self.queue.hurry(self.host.clock.now())

    def run_full(self) -> None:
        """One full run now, unless one is waiting already; what waits before it is hurried along."""
        self.flush()
        self.request_full()

    def follow_log(self) -> None:
        """The queue reports to the log if anybody would see it: that may have changed."""
        self.queue.report = partial(self.log, "Delay") if self.host.log.shows("Delay") else None

    # ---- whether the target is equal -----------------------------------------------------------

    def verify(self, **how: Any) -> None:
        """Compare source and target, once those are over that others wait for. See verification_of."""
        self.host.verifications.add(self.verification_of(**how))

    def verification_of(
        self,
        *,
        quick: bool = False,
        repair: bool = False,
        tell: Callable[[Sequence[Difference]], None] = lambda differences: None,
        then: Callable[[Verified, Sequence[Difference]], None] = lambda result, differences: None,
    ) -> Verification:
        """A comparison of source and target that has not begun (see Verifications). `quick`: by size and time.
        `repair`: queue what differs. `tell(differences)` is called with some at a time, `then(result, differences)` at
        the end."""
        from orchestrator.sync.verification import Verification  # late: few daemons need it

        def over(result: Verified, differences: Sequence[Difference]) -> None:
            if repair and result.differences:
                self.repair(differences, has_more=result.differences > len(differences))
            then(result, differences)
            self.host.verifications.over(verification)

        def found(differences: Sequence[Difference]) -> None:
            if "difference" in self.host.feed.topics:
                for path, kind in differences:
                    self.host.feed.tell("difference", self.name, id=None, path=text_of(path), kind=kind)
            tell(differences)

        verification = Verification(self, quick=quick, tell=found, then=over)
        return verification

    def why_not_compared(self) -> str | None:
        """Why source and target cannot be compared now; None: they can."""
        life, tunnel = self.life, self.transfers.tunnel
        if life.is_leaving or life.is_ending:
            return "the daemon is about to end, or has another config"
        if not life.is_started_up:
            return "its startup is not done"
        if life.is_suspended or life.is_left_alone:
            return f"it is {self.state.value}"
        if tunnel is not None and not tunnel.is_up:
            return "its tunnel is not up"
        return None

    def verifier(self, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        """The action's comparison of everything (None), or of these paths. Raises CannotVerify."""
        return self.calls.verifier(paths, quick=quick)

    def pending(self) -> Callable[[bytes], bool]:
        """A function that says whether a change of a path, above or below it, is still to be transferred, as of now."""
        if any(delay.etype in SPECIAL for delay in self.queue):
            return lambda path: True
        failing = {path.rstrip(b"/") for path in self.failing}
        settling = self._settling

        def is_pending(path: bytes) -> bool:
            if path.rstrip(b"/") in failing or self.queue.concerns(path):
                return True
            return settling is not None and settling.has(path)

        return is_pending

    def verification_begins(self, verification: Verification) -> None:
        """Report each change to it from now on."""
        self.verification = verification
        self.collector.after = verification.transferred

    def has_verified(self, result: Verified, differences: Sequence[Difference]) -> None:
        """A verification has its result."""
        self.verification = self.collector.after = None
        self.verified = result
        self.host.hooks.tell("orchestrator_verified", inlet=self.inlet, result=result, differences=differences)
        if "verified" in self.host.feed.topics:
            self.host.feed.tell("verified", self.name, **result.fields())

    def repair(self, differences: Sequence[Difference], *, has_more: bool = False) -> None:
        """Queue paths that differ, as if they had changed. `has_more`: these are not all: everything is."""
        self.calls.repairs(differences)
        leaves_extra = self.config.get("delete") == "startup" and any(kind == "extra" for _, kind in differences)
        if has_more or leaves_extra or not self.options.sets:
            self.request_full()
            return
        etypes = {"missing": CREATE, "extra": DELETE, "attributes": ATTRIB}
        for path, kind in differences:
            etype = etypes.get(kind, MODIFY)
            if not self._is_excluded(etype, path):
                self.queue.add(etype, self.host.clock.now(), path)

    # ---- its life ---------------------------------------------------------------------------

    def suspend(self) -> None:
        """The source is gone: mirroring what is left of it would wipe the target (spec 6 rows 7, 22)."""
        if not self.life.is_source_gone:
            self.life.lose_source()
            self.log("Error", "source ", self.source, f" of {self.name} is gone; waiting for its return.")

    def resume(self) -> None:
        """The source is there again: whatever happened meanwhile, a full run finds it."""
        self.life.find_source()
        self._accept_source()
        self.log("Normal", "source ", self.source, f" of {self.name} is back.")
        self._go_on()

    def leave_alone(self, pause: float) -> None:
        """Its source changes faster than anybody can follow: for `pause` seconds nobody listens (spec 6 row 33).

        Waiting changes are dropped where a full run does the same: there may be thousands of changes of a few names.
        """
        self.life.leave_alone()
        if self.calls.has_init():
            for delay in [delay for delay in self.queue if delay.status != ACTIVE and delay.etype not in SPECIAL]:
                self.queue.remove(delay)
        text = f" of {self.name} changes faster than anybody can follow; it is left alone for {pause:g} s."
        self.log("Warn", "source ", self.source, text)

    def look_through(self) -> None:
        """Somebody listens again: whatever happened meanwhile, a full run finds it."""
        if self.life.is_left_alone:  # not by another sync of the source alone
            self.life.listen_again()
        self._accept_source()
        self.log("Normal", "source ", self.source, f" of {self.name} is looked through.")
        self.request_full()

    def move_to(self, source: bytes) -> None:
        """A link on the way to the source leads elsewhere: as if it had been replaced (spec 6 row 31)."""
        old, self.source = self.source, source
        self.calls.moved(source)
        if self._settling is not None:
            self._settling.source = source
        self.life.move_source()
        self._accept_source()
        self.log("Normal", "source ", old, f" of {self.name} is ", source, " now.")
        self._go_on()

    # ---- reloads ----------------------------------------------------------------------------

    def move_into(self, same: Sync) -> None:
        """Go on as the sync that a reload has read anew, and that is the same."""
        assert isinstance(self.config, type(same.config))
        self.config.move_into(same.config)
        self.calls.move_into(same.calls)
        self.number = same.number

    def leave(self) -> None:
        """A reload has replaced or dropped it: nothing more is started, what runs comes to its end."""
        self.life.leave()
        self.retries.leave()
        self.host.startups.leave(self)
        if self.transfers.tunnel is not None:
            self.transfers.tunnel.no_longer_when_up(self.queue.offer_again)
        self.transfers.leave()
        if self.startup is not None:
            self.startup.leave()
        for schedule in (self._schedule, self._verify_schedule):
            if schedule is not None:
                schedule.end()
        self._end_verifications()

    def _end_verifications(self) -> None:
        for verifications in self.host.verifying:
            verifications.leave(self, "the daemon is about to end, or has another config")

    def is_followed_by(self, other: Sync) -> bool:
        """Whether another one waits for this one's transfers: it may write to the same place, or is the same one."""
        return other.name == self.name or (bool(self.inlet.target) and other.inlet.target == self.inlet.target)

    def bequeath(self, heir: Sync) -> None:
        """When the transfers have ended: hand to an heir without a startup what they have not transferred."""
        if heir.source != self.source or heir.inlet.target != self.inlet.target or heir.calls.has_startup():
            return
        changes = [
            (delay.etype, delay.path, delay.path2, delay.since) for delay in self.queue if delay.etype not in SPECIAL
        ]
        if self._settling is not None:
            changes += [(etype, path, None, since) for etype, path, since in self._settling.take_all()]
        heir.inherit(changes)
        if self.retrying or any(delay.etype == FULL for delay in self.queue):
            heir.request_full()

    def inherit(self, changes: Sequence[tuple[str, bytes, bytes | None, float]]) -> None:
        """Changes of before the reload: they come before all that it has itself. Each with its type, its paths, which
        begin with a slash, and when it happened."""
        own = [delay for delay in self.queue if delay.etype not in SPECIAL]
        for delay in own:
            self.queue.remove(delay)
        alarm = self.host.clock.now() + self.options.delay
        for etype, path, path2, since in changes:
            self._take_in(etype, alarm, path, path2, since)
        for delay in own:
            self._take_in(delay.etype, delay.alarm, delay.path, delay.path2, delay.since)

    def _take_in(self, etype: str, alarm: float, path: bytes, path2: bytes | None, since: float) -> None:
        above = self.source[:-1]
        self.change(etype, alarm, above + path, None if path2 is None else above + path2, since)

    def look_after(self, target: TargetWatch) -> None:
        """Nothing is transferred to a target that is gone, or another one than before (spec 6 row 29)."""
        self.transfers.guarded = TargetGuard(self._parts, target, self.transfers.through, self._go_on)

    def guard_source(self) -> None:
        """No transfer starts from another directory than the one that the monitor knows."""
        self.transfers.source_guard = SourceGuard(self.host.clock, self._source_replaced)

    def _source_replaced(self) -> None:
        """Nobody has reported it, and a transfer is about to start from there."""
        text = f" of {self.name} is another directory than before; everything is transferred anew."
        self.log("Error", "source ", self.source, text)
        self.request_full()

    def _accept_source(self) -> None:
        if self.transfers.source_guard is not None:
            self.transfers.source_guard.accept()

    def _go_on(self) -> None:
        if not self.life.is_suspended:
            self.retries.try_now()
            self.request_full()
