"""The plugins' side of a sync: the inlet, and the events and event lists that it gives (spec 2.4, 2.5).

An event is of an inlet, and an inlet makes events, so they are one module. Of the sync behind them it asks what
`SyncLike` says, no more. Lua has inlets and events of its own, made from these.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.errors import OrchestratorError
from orchestrator.logic.event import ACTIVE, BLANKET, CREATE, DELETE, FULL, MODIFY, MOVE, SPECIAL
from orchestrator.logic.execline import exec_line
from orchestrator.logic.maxdelete import MaxDelete, max_delete
from orchestrator.logic.message import is_category, shortened
from orchestrator.logic.text import to_bytes
from orchestrator.process.jobs import PooledJob
from orchestrator.sync.faults import guarded, say
from orchestrator.sync.progress import UNKNOWN, Progress
from orchestrator.sync.spawn import Check, nothing
from orchestrator.sync.verify import CannotVerify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from orchestrator.config.model import Config
    from orchestrator.logic.delay import Delay
    from orchestrator.logic.division import Division, Part
    from orchestrator.logic.filters import Filters
    from orchestrator.logic.queue import Queue
    from orchestrator.process.jobs import Ended, Job
    from orchestrator.process.sshshare import SshConnection
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.host import Host
    from orchestrator.sync.plans import Plans


def encode(value: str | bytes) -> bytes:
    """An argument as the bytes that a program gets. Raises TypeError for what is none."""
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"an argument is a str or bytes, not {value!r}")
    return to_bytes(value)


def _words(argv: Sequence[str | bytes]) -> list[bytes]:
    """A program with its arguments. Raises TypeError or ValueError for what is none."""
    if isinstance(argv, (str, bytes)):
        raise TypeError(f"argv is a list of words, as {argv.split()!r}, not one text; there is no shell")
    is_encoded = set(map(type, argv)) == {bytes}
    words: list[bytes] = list(argv) if is_encoded else list(map(encode, argv))  # type: ignore[arg-type]
    if not words:
        raise ValueError("argv is empty: its first word is the program")
    if b"\0" in b"".join(words):
        raise ValueError("a NUL can be handed to no program")
    return words


class Event:
    """One change, or one end of a Move (`half`: 'Fr' the origin, 'To' the destination)."""

    __slots__ = ("delay", "half", "inlet")
    is_list = False

    def __init__(self, inlet: Inlet, delay: Delay, half: str | None = None) -> None:
        self.inlet = inlet
        self.delay = delay
        self.half = half

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and other.delay is self.delay and other.half == self.half

    def __hash__(self) -> int:
        return hash((id(self.delay), self.half))

    @property
    def delays(self) -> list[Delay]:
        return [self.delay]

    @property
    def destination(self) -> Event:
        """The other end of a Move."""
        return Event(self.inlet, self.delay, "To")

    @property
    def etype(self) -> str:
        return self.delay.etype

    @property
    def status(self) -> str:
        return self.delay.status

    @property
    def config(self) -> Config:
        return self.inlet.config

    @property
    def raw_path(self) -> bytes:
        """The path with its leading slash, as in log lines and lists: `/d/f`, `/d/e/`."""
        path2 = self.delay.path2
        return path2 if self.half == "To" and path2 is not None else self.delay.path

    @property
    def path(self) -> bytes:
        """`d/f`, `d/e/`."""
        return self.raw_path[1:]

    @property
    def pathname(self) -> bytes:
        """`d/f`, `d/e`: without a directory's slash."""
        return self.path.removesuffix(b"/")

    @property
    def pathdir(self) -> bytes:
        """`d/`, or nothing at the top: where the file or directory lies."""
        pathname = self.pathname
        return pathname[: pathname.rfind(b"/") + 1]

    @property
    def name(self) -> bytes:
        """`f`, `e/`."""
        return self.path[len(self.pathdir) :]

    @property
    def basename(self) -> bytes:
        """`f`, `e`."""
        return self.name.removesuffix(b"/")

    @property
    def is_dir(self) -> bool:
        return self.raw_path.endswith(b"/")

    @property
    def source(self) -> bytes:
        """The sync's source, absolute, with a trailing slash."""
        return self.inlet.source

    @property
    def source_path(self) -> bytes:
        """`/src//d/f`; the double slash is lsyncd's, and people match on it."""
        return self.source + self.raw_path

    @property
    def source_pathname(self) -> bytes:
        return self.source_path.removesuffix(b"/") if self.raw_path else self.source

    @property
    def source_pathdir(self) -> bytes:
        return self.source + b"/" + self.pathdir if self.raw_path else self.source

    @property
    def target(self) -> bytes:
        return self.inlet.target

    @property
    def target_path(self) -> bytes:
        """`/trg/d/f` for the target `/trg`, `/trg//d/f` for `/trg/`, as lsyncd does."""
        return self.target + self.raw_path

    @property
    def target_pathname(self) -> bytes:
        return self.target_path.removesuffix(b"/") if self.raw_path else self.target

    @property
    def target_pathdir(self) -> bytes:
        return self.target + b"/" + self.pathdir if self.raw_path else self.target


class EventList:
    """Several changes that one spawn serves, in the order of the queue."""

    __slots__ = ("delays", "inlet")
    is_list = True

    def __init__(self, inlet: Inlet, delays: list[Delay]) -> None:
        self.inlet = inlet
        self.delays = delays

    def __len__(self) -> int:
        return len(self.delays)

    def __iter__(self) -> Iterator[Event]:
        """One event for each change; of a Move its origin."""
        return (Event(self.inlet, delay, "Fr" if delay.etype == MOVE else None) for delay in self.delays)

    @property
    def config(self) -> Config:
        return self.inlet.config

    def paths(self) -> list[bytes]:
        """Every path with its leading slash; a Move gives both of its ends."""
        paths: list[bytes] = []
        for delay in self.delays:
            paths.append(delay.path)
            if delay.path2 is not None:
                paths.append(delay.path2)
        return paths


Agent = Event | EventList
"""What a spawn serves: the owner of a child."""


_ETYPE = attrgetter("etype")

_ALWAYS = frozenset({"Normal", "Warn", "Error"})

EventTest = Callable[[Event], bool | str | None]
"""True: take it. False or None: skip it and all that it blocks. "break": stop there."""


class StartsTransfers(Protocol):
    """What an inlet asks of the transfers of its sync; see Transfers."""

    tunnel: Tunnel | None

    def through(self, argv: list[bytes], names: Sequence[bytes] = ()) -> list[bytes] | None: ...

    def spawn(
        self,
        agent: Agent,
        argv: Sequence[bytes],
        stdin: bytes | None,
        on_finished: Callable[[], object],
        check: Check | None,
        on_stderr: Callable[[bytes], object] | None,
        through: SshConnection | None,
    ) -> str | None: ...

    def run(
        self,
        agent: Agent,
        job: Job,
        on_finished: Callable[[], object],
        check: Check | None,
        argv: Sequence[bytes] | None,
        progress: Callable[[], Progress] | None,
    ) -> str | None: ...


class HasParts(Protocol):
    """What an inlet asks of a startup in parts; see DividedStartup."""

    @property
    def division(self) -> Division | None: ...
    def part_of(self, delay: Delay) -> Part | None: ...


class SyncLike(Protocol):
    """What an inlet asks of its sync; see Sync."""

    number: int
    name: str
    source: bytes
    config: Config
    filters: Filters
    host: Host
    queue: Queue
    failing: Collection[bytes]
    conflicts: Sequence[bytes] | None

    @property
    def startup(self) -> HasParts | None: ...
    @property
    def log(self) -> Callable[..., None]: ...
    @property
    def transfers(self) -> StartsTransfers: ...
    @property
    def is_full_run_due(self) -> bool: ...
    @property
    def plans(self) -> Plans: ...
    def is_at_limit(self) -> bool: ...
    def add(self, etype: str, path: bytes, since: float | None = None) -> None: ...
    def discard(self, event: Event) -> None: ...
    def filters_changed(self) -> None: ...
    def report_retrying(self, count: int) -> None: ...
    def retry_ended(self, paths: Sequence[bytes], *, is_done: bool) -> None: ...
    def status(self) -> dict[str, Any]: ...


def _no_agent(method: str, value: object) -> TypeError:
    return TypeError(f"{method} takes an event or a list of events that get_events gave, not {_kind(value)}")


def _kind(value: object) -> str:
    return "a list of events" if isinstance(value, EventList) else repr(value)


def of_paths(event: Event) -> bool:
    """A test for `get_events`: all but startups and other runs over everything, which stand for no path."""
    return event.delay.etype not in SPECIAL


def _is_of_a_path(delay: Delay) -> bool:
    return delay.etype not in SPECIAL


def _target(config: Config, key: str) -> bytes:
    return encode(str(config.get(key, "")))


class Inlet:
    """The door between an action and its sync's queue.

    It belongs to the loop's thread, which made it: a job may use `source`, `name`, `number`, `log`,
    `log_lines`, `shows`, `read_program` and what `matcher()` gave. All else raises RuntimeError there.
    """

    def __init__(self, sync: SyncLike) -> None:
        self._thread = threading.get_ident()
        self._anywhere = sync
        self.kept: dict[object, Any] = {}
        """What actions keep of this sync; see PerSync."""

    @property
    def _sync(self) -> SyncLike:
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "of an inlet a job may use source, name, number, log, log_lines, shows, read_program and what "
                "matcher() gave; all else in action, collect or a callback of after()"
            )
        return self._anywhere

    @property
    def number(self) -> int:
        """Which sync of the daemon it is, from 1."""
        return self._anywhere.number

    @property
    def name(self) -> str:
        """The sync's name: `Sync1`, or `name` of its config."""
        return self._anywhere.name

    @property
    def config(self) -> Config:
        return self._anywhere.config if threading.get_ident() == self._thread else self._sync.config

    @property
    def source(self) -> bytes:
        """Absolute, all symlinks resolved, with a trailing slash."""
        return self._anywhere.source

    @property
    def target(self) -> bytes:
        """`config.target`, empty where there is none."""
        return self._sync.config.derived(_target, "target")

    @property
    def delay(self) -> float:
        """`config.delay`, in seconds; 0 where there is none."""
        return float(self._sync.config.get("delay") or 0.0)

    # ---- what is due --------------------------------------------------------------------------

    def get_event(self) -> Event | None:
        """The first change that waits; of a Move its origin (see Event.destination)."""
        delay = self._sync.queue.first_waiting()
        return None if delay is None else self.event(delay)

    def get_events(self, test: EventTest | None = None) -> EventList:
        """All changes that can be taken together now and that pass the test (spec 2.4)."""
        queue = self._sync.queue
        if test is None:
            return EventList(self, queue.select(None))
        if test is of_paths:  # as nearly always: no event need be made of each change
            delays = queue.select(None)
            has_others = not SPECIAL.isdisjoint(map(_ETYPE, delays))
            return EventList(self, queue.select(_is_of_a_path) if has_others else delays)
        ask = test
        return EventList(self, queue.select(lambda delay: ask(self.event(delay))))

    def event(self, delay: Delay) -> Event:
        return Event(self, delay, "Fr" if delay.etype == MOVE else None)

    def part_of(self, event: Event) -> Part | None:
        """The part of a startup that an Init or a Part event stands for; None: it stands for everything."""
        startup = self._sync.startup
        return None if startup is None else startup.part_of(event.delay)

    @property
    def division(self) -> Division | None:
        """The parts that the startup is made in; None: it is one run, or not known yet. A job may be given it."""
        startup = self._sync.startup
        return None if startup is None else startup.division

    def discard(self, event: Event) -> None:
        """Forget a waiting change, with an Error line if it does not wait."""
        if not isinstance(event, Event):
            raise TypeError(f"discard takes one event, not {_kind(event)}; of a list, each of its events")
        self._sync.discard(event)

    def blanket_event(self) -> Event:
        """A new event that everything after it waits for; spawn on it at once."""
        return Event(self, self._sync.queue.append(BLANKET, self._sync.host.clock.now(), b"", stacked=False))

    def full_event(self) -> Event:
        """A new event that asks for one more run over the whole tree."""
        return Event(self, self._sync.queue.append(FULL, self._sync.host.clock.now(), b"", stacked=False))

    @property
    def is_full_run_due(self) -> bool:
        """Whether a startup or full run waits for its turn, or comes when the source is back."""
        return self._sync.is_full_run_due

    def create(self, path: bytes) -> None:
        """Queue a Create of a path (leading slash; a directory's ends with one) as if it had just appeared."""
        self._sync.add(CREATE, path)

    def split_moves(self) -> None:
        """Make a Delete and a Create of each Move that waits: where a transfer of everything came between.

        The target has what the source has by now, under the origin's name as well: renaming that
        would put a newer file into the place of the one that was moved.
        """
        self._split([delay for delay in self._sync.queue if delay.etype == MOVE and delay.status != ACTIVE])

    def split(self, event: Event) -> None:
        """Make a Delete and a Create of a Move: one that waits, or one that is collected and was not done.

        So of all Moves that wait for it: what they would find at their origins may be what it should have replaced.
        For actions with `sets` only: to others a Delete of what is there anew would be one.
        """
        queue = self._sync.queue
        move = event.delay
        behind = queue.moves_behind(move)
        if move.status == ACTIVE:
            self._sync.add(DELETE, move.path, move.since)
            if move.path2 is not None:
                self._sync.add(CREATE, move.path2, move.since)
        else:
            behind.insert(0, move)
        self._split(behind)

    def split_behind(self, event: Event) -> None:
        """The same of those alone that wait for a Move, which is collected, was not done, and is made up for."""
        self._split(self._sync.queue.moves_behind(event.delay))

    def _split(self, moves: list[Delay]) -> None:
        for move in moves:
            path2 = move.path2
            self._sync.queue.turn(move)
            if path2 is not None:
                self._sync.add(CREATE, path2, move.since)

    def retry(self, path: bytes) -> None:
        """Queue a Modify of a path that could not be transferred: to be looked at again, whatever it is by now."""
        self._sync.add(MODIFY, path)

    def report_retrying(self, count: int) -> None:
        """Tell the status how many paths wait to be tried again outside the queue."""
        self._sync.report_retrying(count)

    def report_failing(self, paths: Collection[bytes]) -> None:
        """Which paths these are, where that is known: a verification does not count them. The collection is looked
        into later on, and may change. A RetryList does this by itself."""
        self._sync.failing = paths

    def report_arrived(self, paths: Sequence[bytes]) -> None:
        """Tell observers that these paths, which had waited to be tried again outside the queue, are transferred. A
        RetryList does this by itself."""
        self._sync.retry_ended(paths, is_done=True)

    def status(self) -> dict[str, Any]:
        """How the sync is doing, as the control socket reports it: contrib/CONTROL.md, "A sync"."""
        return self._sync.status()

    def report_conflicts(self, paths: Sequence[bytes]) -> None:
        """For the status: absolute paths that were changed on both sides, so that somebody has to decide."""
        self._sync.conflicts = paths

    # ---- acting -------------------------------------------------------------------------------

    def spawn(
        self,
        agent: Agent,
        argv: Sequence[str | bytes],
        stdin: bytes | None = None,
        on_finished: Callable[[], object] = nothing,
        check: Check | None = None,
        on_stderr: Callable[[bytes], object] | None = None,
        announce: str | bytes = b"",
        through: SshConnection | None = None,
    ) -> None:
        """Start a program for these changes; they are active until it ends.

        `argv[0]` is looked up in PATH; no shell. `check` decides before whether it may be. `on_finished` is called
        once, after `collect`, or when it turns out that nothing will be started after all (a hook forbids it, the
        user's onBatchStart fails): for putting away what the program needed. `on_stderr` is given what the program
        writes to stderr as it comes, all of it before `collect`; one that raises is reported and called no more. Raises
        ValueError for changes that do not wait. `announce`: a Normal line, which comes before all else that is logged
        of this transfer; the program does not wait for it. `through`: what `shared_ssh` gave, if its options are among
        the program's arguments.
        """
        if not isinstance(agent, (Event, EventList)):
            raise _no_agent("spawn", agent)
        if not isinstance(stdin, (bytes, type(None))):
            raise TypeError(f"stdin is bytes, not {stdin!r}")
        sync = self._sync
        spawn = partial(
            sync.transfers.spawn,
            agent,
            _words(argv),
            stdin,
            nothing if on_finished is nothing else self._guarded(on_finished),
            None if check is None else self._guarded_check(check),
            None if on_stderr is None else self._guarded_reader(on_stderr),
            through,
        )
        if announce:
            log = sync.host.log
            log.hold()
            try:
                sync.log("Normal", announce)
                problem = spawn()
            finally:
                log.release()
        else:
            problem = spawn()
        if problem:
            raise ValueError(problem)

    def run(
        self,
        agent: Agent,
        job: Job,
        on_finished: Callable[[], object] = nothing,
        check: Check | None = None,
        argv: Sequence[str | bytes] | None = None,
        progress: Callable[[], Progress] | None = None,
    ) -> None:
        """As spawn, with a function in a worker thread; what it returns is the exit code.

        It is given an Event that is set when it should come to an end. `argv`: of a program whose work it does, better
        than that would. Log, hooks and `orchestrator check` show that program; if a hook makes another of it, that is
        started instead. `progress()` gives how far the job is: the loop's thread asks while it runs, and at its end.
        """
        if not isinstance(agent, (Event, EventList)):
            raise _no_agent("run", agent)
        if not callable(job):
            raise TypeError(f"a job is a function, not {job!r}")
        program = None if argv is None else _words(argv)
        run = partial(self._sync.transfers.run, agent, job, self._guarded(on_finished), self._guarded_check(check))
        problem = run(program, self._guarded_progress(progress))
        if problem:
            raise ValueError(problem)

    def shared_ssh(self, command: Sequence[str], host: str) -> SshConnection | None:
        """The connection of `COMMAND… HOST` that transfers share where `sshShare` says so; None: there is none now.

        `command` is ssh with its options. A program that is given the connection's `options` for its own ssh, and is
        spawned with `through`, goes through it if it is open, else by itself.
        """
        own = self.config.get("sshShare")
        idle = self._sync.host.run.options.ssh_share if own is None else own
        if not idle or self._sync.transfers.tunnel is not None:
            return None
        return self._sync.host.ssh.share(command, host, float(idle))

    def run_pooled(
        self,
        agent: Agent,
        begin: Callable[[threading.Event, Ended], None],
        on_finished: Callable[[], object] = nothing,
        check: Check | None = None,
        progress: Callable[[], Progress] | None = None,
    ) -> None:
        """As run, for jobs that compute so much that there must be few threads for all of them, the action's own.

        `begin(stop, ended)` is called in the loop's thread, and has it done. Any thread calls `ended(result)` once;
        `result()` gives the exit code, or raises what went wrong.
        """
        self.run(agent, PooledJob(begin), on_finished, check, None, progress)

    @property
    def max_delete(self) -> MaxDelete | None:
        """What a full run may delete: the config's `maxDelete`, else the setting. None: anything."""
        own = self.config.get("maxDelete")
        return self._sync.host.run.options.max_delete if own is None else max_delete(own)

    def read_program(
        self,
        argv: Sequence[bytes],
        stdin: bytes | None,
        env: Mapping[str, str] | None,
        stop: threading.Event,
        feed: Callable[[bytes], None],
        *,
        merges_stderr: bool = False,
    ) -> tuple[int, bytes]:
        """For jobs and checks: run a program to its end, each line that it writes given to `feed`.

        When `stop` is set it is asked to end by TERM, and killed 5 seconds later. `env` None: the daemon's own.
        `merges_stderr`: lines of its stderr are given to `feed`, too, in their order. Returns the exit code (128 +
        signal) and the end of its stderr. Raises OSError or ValueError where it cannot be run.
        """
        from orchestrator.process.reading import read_program  # late: few daemons need it

        if self.shows("Exec"):
            self.log("Exec", exec_line(argv, stdin))
        return read_program(argv, stdin, env, stop, feed, merges_stderr=merges_stderr)

    def log_lines(self, lines: Sequence[bytes], *, is_short: bool = False) -> Sequence[bytes]:
        """Those of a list's lines, one for each path of a transfer, that the log shows: all, or with the setting
        `logPaths = "short"` the first ten and "(and N more)". `is_short`: as with that setting. May be called from any
        thread."""
        return shortened(lines) if is_short or self._anywhere.host.run.options.has_short_lists else lines

    def through_tunnel(self, argv: Sequence[str | bytes]) -> list[bytes]:
        """For `Action.verify`: the arguments as they go through the sync's tunnel; as they are where it has none.
        Raises CannotVerify while that is not up."""
        words = self._sync.transfers.through(_words(argv))
        if words is None:
            raise CannotVerify("its tunnel is not up")
        return words

    def max_processes_reached(self) -> str | None:
        """Which limit forbids one more process now: "sync", "global", None."""
        if self._sync.is_at_limit():
            return "sync"
        return "global" if self._sync.host.is_at_limit() else None

    def wake(self) -> None:
        """Offer again what the action has left waiting: something it waited for has changed."""
        self._sync.queue.offer_again()

    def after(self, seconds: float, callback: Callable[[], None], *, is_retry: bool = False) -> None:
        """Call back from the loop, once, after some seconds, unless the daemon ends or the sync is replaced before.

        While the sync is paused nothing is called: that is made up for when it goes on. `is_retry`: something failed
        and is tried again then, or earlier, where an administrator asks for that.
        """
        self._sync.plans.add(seconds, self._guarded(callback), is_retry=is_retry)

    def _guarded(self, callback: Callable[[], object]) -> Callable[[], None]:
        return (
            nothing
            if callback is nothing
            else guarded(self.log, f"a callback of {self._anywhere.name} failed", callback)
        )

    def _guarded_reader(self, on_stderr: Callable[[bytes], object] | None) -> Callable[[bytes], object] | None:
        """A function for what a program writes to stderr; once it has raised it is not called again."""
        if on_stderr is None:
            return None
        read, log, what = on_stderr, self.log, f"on_stderr of {self._anywhere.name} failed"
        has_failed = False

        def feed(data: bytes) -> None:
            nonlocal has_failed
            if has_failed:
                return
            try:
                read(data)
            except OrchestratorError:
                raise
            except (Exception, SystemExit) as error:
                has_failed = True
                say(log, what, error, getattr(read, "__module__", None) or "")

        return feed

    def _guarded_progress(self, progress: Callable[[], Progress] | None) -> Callable[[], Progress] | None:
        """A function that gives how far a job is; once it has raised it is not called again."""
        if progress is None:
            return None
        read, log, what = progress, self.log, f"progress of {self._anywhere.name} failed"
        has_failed = False

        def ask() -> Progress:
            nonlocal has_failed
            if not has_failed:
                try:
                    given = read()
                    if isinstance(given, Progress):
                        return given
                    raise TypeError(f"progress gives a Progress, not {given!r}")
                except OrchestratorError:
                    raise
                except (Exception, SystemExit) as error:
                    has_failed = True
                    say(log, what, error, getattr(read, "__module__", None) or "")
            return UNKNOWN

        return ask

    def _guarded_check(self, check: Check | None) -> Check | None:
        """Its functions that run in the loop harm nobody when they raise: they limit nothing then."""
        if check is None:
            return None
        if not isinstance(check, Check) or not isinstance(check.limit, MaxDelete):
            raise TypeError(f"check is a Check with a MaxDelete, not {check!r}")

        def limited(argv: list[bytes], allowed: int) -> list[bytes]:
            given = argv

            def ask() -> None:
                nonlocal given
                given = _words(check.limited(argv, allowed))

            self._guarded(ask)()
            return given

        def was_cut(exit_code: int, stderr: bytes) -> bool:
            given = False

            def ask() -> None:
                nonlocal given
                given = bool(check.was_cut(exit_code, stderr))

            self._guarded(ask)()
            return given

        return Check(check.limit, check.count, check.announce, limited, was_cut)

    # ---- filters ------------------------------------------------------------------------------

    def excludes(self) -> list[bytes]:
        return self._sync.filters.excludes()

    def filter_lines(self) -> list[bytes]:
        """The filter rules, `+ PATTERN` and `- PATTERN`, without the excludes."""
        return self._sync.filters.filter_lines()

    def rule_lines(self) -> list[bytes]:
        """All rules in order, `+ PATTERN` and `- PATTERN`: the filter rules, then what the excludes stand for."""
        return self._sync.filters.rules()

    def matcher(self) -> Callable[[bytes], bool] | None:
        """Whether a path is left out (leading slash; a directory's ends with one): the rules as they are now,
        safe to ask from a job's thread. None: there are no rules."""
        rules = self._sync.filters
        return rules.copy().excludes_path if rules else None

    def add_exclude(self, pattern: bytes) -> None:
        """Raises nothing: anything is an entry. Takes effect at once; directories are unwatched later."""
        self._sync.filters.add_exclude(pattern)
        self._sync.filters_changed()

    def rm_exclude(self, pattern: bytes) -> None:
        self._sync.filters.rm_exclude(pattern)
        self._sync.filters_changed()

    def append_filter(self, line: bytes) -> None:
        """Raises ValueError for a line that is no rule."""
        self._sync.filters.append_filter(line)
        self._sync.filters_changed()

    # ---- log ----------------------------------------------------------------------------------

    def log(self, category: str, *parts: str | bytes | int) -> None:
        """Say something; Normal, Warn and Error are always shown (spec 5.1)."""
        if category not in _ALWAYS and not is_category(category):
            raise ValueError(
                f"a category of the log is Normal, Warn, Error, or a name of your own with a capital letter, "
                f"not {category!r}"
            )
        self._anywhere.log(category, *parts)

    def shows(self, category: str) -> bool:
        """Whether anybody would see it: asked before a long message is made."""
        return self._anywhere.host.log.shows(category)
