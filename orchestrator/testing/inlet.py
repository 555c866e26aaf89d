"""A sync without a daemon: what an action sees, with real queue and filters, and nothing that runs by itself.

    inlet = FakeInlet(MyAction(), {"target": "/trg"})
    inlet.change("Modify", b"/d/f")
    inlet.turn()
    assert inlet.spawned[0].argv == [b"push", b"/src//d/f"]
    assert inlet.end(inlet.spawned[0], 0) == "ok"

Time stands still unless `clock.advance` is called; `execute` really runs what was spawned.
"""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from orchestrator.api import Agent, Check, DeletionCount, Event, EventList, Inlet, Option, etypes, exit_codes_of
from orchestrator.config.model import DictConfig
from orchestrator.logic.alarms import Alarms
from orchestrator.logic.filters import Filters
from orchestrator.logic.queue import Queue
from orchestrator.logic.verdict import AGAIN, COMMON, DIE, Kind, Verdict, Wording, judge
from orchestrator.sync import transfer
from orchestrator.sync.collector import delays_of
from orchestrator.sync.scan import is_there
from orchestrator.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from orchestrator.api import Action, Options
    from orchestrator.logic.delay import Delay


@dataclass(eq=False)
class Spawn:
    """What an action started: a program, or a job for a worker thread (then `argv` is that of the program whose work
    it does, if of any)."""

    agent: Agent
    argv: list[bytes]
    stdin: bytes | None = None
    job: Callable[[threading.Event], int] | None = None
    on_finished: Callable[[], object] = lambda: None
    check: Check | None = None
    on_stderr: Callable[[bytes], object] = lambda data: None

    @property
    def paths(self) -> list[bytes]:
        """The paths it is to bring up to date, with a leading slash."""
        return [delay.path for delay in self.agent.delays]


class FakeInlet(Inlet):
    """The inlet of one sync, and the handles a test turns it with.

    `spawned` holds all that was ever started, `running` what has not ended, `logged` every log line
    as (category, text).
    """

    def __init__(
        self,
        action: Action,
        config: Mapping[str, Any] | None = None,
        *,
        source: bytes = b"/src/",
        insist: bool = True,
        prepare: bool = True,
    ) -> None:
        """`config`: the user's keys; the action's defaults are added. Raises ConfigError as `prepare` does."""
        self.action = action
        self.clock = FakeClock()
        self.spawned: list[Spawn] = []
        self.running: list[Spawn] = []
        self.logged: list[tuple[str, str]] = []
        self.insist = insist
        self._world = _World(self, source, complete(config or {}, action))
        super().__init__(self._world)  # type: ignore[arg-type]  # plays the part of a Sync
        if prepare:
            action.prepare(self.config)
            self._world.make_queue()  # `prepare` may ask for Moves
        for pattern in _list_of(self.config.get("exclude")):
            self.add_exclude(pattern)
        for line in _list_of(self.config.get("filter")):
            self.append_filter(line)

    # ---- what happens to the sync

    def change(self, etype: str, path: bytes, path2: bytes | None = None) -> None:
        """Something changed: `/d/f`, a directory `/d/e/`. Due at once."""
        if not self._world.filters.excludes_path(path):
            was_split = self._world.queue.add(etype, self.clock.now(), path, path2)
            if was_split and path2 is not None:
                self._world.add_below(path2)

    def startup(self) -> Event:
        """Queue the Init event and hand it to the action."""
        event = self.event(self._world.queue.append(etypes.INIT, self.clock.now(), b"", stacked=False))
        self.action.init(event)
        return event

    def turn(self) -> None:
        """Offer the action all that is due, as the daemon's loop does."""
        while not self._world.is_at_limit():
            delay = self._world.queue.first_due(self.clock.now(), 1000)
            if delay is None:
                return
            if delay.etype == etypes.INIT:
                self.action.init(self.event(delay))
            elif delay.etype == etypes.FULL:
                self.action.full(self.event(delay))
            else:
                self.action.action(self)
            if delay.status == etypes.WAIT and delay in list(self._world.queue):
                self._world.queue.decline(delay)

    def end(self, spawn: Spawn, exit_code: int, stderr: bytes = b"") -> Verdict:
        """The program ended: what the action makes of it, or the common rule of spec 3.7."""
        self.running.remove(spawn)
        self._world.stderr_tail = stderr
        spawn.on_stderr(stderr)
        self._world.partial = None
        verdict = self.action.collect(spawn.agent, exit_code)
        if verdict is None:
            verdict = self.judge(spawn.agent, exit_code, self.action.wording, self.action.exit_codes(spawn.agent))
        failed = delays_of(self._world.partial or (), spawn.agent.delays)
        for delay in spawn.agent.delays:
            if delay in failed:
                self._world.queue.retry(delay, self.clock.now() + 1.0, is_apart=True)
            elif verdict == AGAIN:
                self._world.queue.retry(delay, self.clock.now() + (0.0 if failed else 1.0))
            elif verdict != DIE:
                self._world.queue.remove(delay)
        spawn.on_finished()
        return verdict

    def execute(self, spawn: Spawn, timeout: float = 60.0, **environment: str) -> Verdict:
        """Really run it, wait for its end, and `end` it with its exit code."""
        if spawn.job is not None:
            return self.end(spawn, spawn.job(threading.Event()))
        done = subprocess.run(
            spawn.argv,
            input=spawn.stdin if spawn.stdin is not None else b"",
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
            env={**os.environ, **environment},
        )
        code = done.returncode
        return self.end(spawn, code if code >= 0 else 128 - code, done.stderr)

    def count_deletions(self, spawn: Spawn) -> DeletionCount | None:
        """What its check finds that it would delete (`maxDelete`); None where it has none."""
        if spawn.check is None:
            return None
        program = None if spawn.job is not None else transfer.Spawn(spawn.argv, spawn.stdin)
        return spawn.check.count(threading.Event(), program)

    def advance(self, seconds: float) -> None:
        """Let time pass: what the action asked for by `after` is called when due."""
        end = self.clock.now() + seconds
        while (soonest := self._world.host.alarms.next()) is not None and soonest <= end:
            self.clock.advance(max(0.0, soonest - self.clock.now()))
            self._world.host.alarms.pop_due(self.clock.now())()
        self.clock.advance(end - self.clock.now())

    def settle(self) -> None:
        """Turn and execute until nothing is left to do."""
        self.turn()
        while self.running:
            self.execute(self.running[0])
            self.turn()

    # ---- what a test looks at

    @property
    def was_partial(self) -> bool:
        """Whether the action said of what ended last that not all arrived (`report_partial`)."""
        return self._world.partial is not None

    @property
    def waiting(self) -> list[tuple[str, bytes]]:
        """What is pending, active changes left out: (etype, path), in the order of the queue."""
        return [(delay.etype, delay.path) for delay in self._world.queue if delay.status != etypes.ACTIVE]

    @property
    def retrying(self) -> int:
        """How many paths the action says wait outside the queue."""
        return self._world.retrying

    def lines(self, category: str) -> list[str]:
        """The texts logged under a category."""
        return [text for logged, text in self.logged if logged == category]

    # ---- the world's part

    def judge(
        self,
        agent: Agent,
        exit_code: int,
        wording: Wording = COMMON,
        exit_codes: Mapping[int, Verdict] | None = None,
    ) -> Verdict:
        """The common rule of spec 3.7, its log line among `logged`. `exit_codes` None: the config's `exitcodes`."""
        if exit_codes is None:
            exit_codes = exit_codes_of(self.config, "exitcodes")
        event = agent if isinstance(agent, Event) else None
        kind: Kind = "list" if event is None else "init" if event.etype == etypes.INIT else "event"
        judgement = judge(
            kind,
            "" if event is None else event.etype,
            b"" if event is None else event.source_path,
            self.source,
            self.target,
            exit_code,
            exit_codes,
            self.insist,
            wording,
        )
        self.log(judgement.category, judgement.message)
        return judgement.verdict


class _World:
    """What an inlet asks of its sync."""

    def __init__(self, inlet: FakeInlet, source: bytes, config: DictConfig) -> None:
        self.inlet = inlet
        self.name = config.get("name", "Sync1")
        self.number = 1
        self.config = config
        self.source = source
        self.filters = Filters()
        self.queue: Queue
        self.make_queue()
        self.log = _Log(inlet)
        self.host = SimpleNamespace(
            clock=inlet.clock,
            log=self.log,
            insist=inlet.insist,
            is_at_limit=lambda: False,
            max_delete=None,
            hooks=None,
            alarms=Alarms(),
        )
        self.retrying = 0
        self.is_full_run_due = False
        self.stderr_tail = b""
        self.cause = ""
        self.partial: set[bytes] | None = None

    def report_partial(self, failed: Iterable[bytes]) -> None:
        self.partial = (self.partial or set()) | set(failed)

    @property
    def transfers(self) -> _World:
        """It plays this part as well."""
        return self

    @property
    def collector(self) -> _World:
        """And this."""
        return self

    def make_queue(self) -> None:
        action, on_move = self.inlet.action, bool(self.config.get("onMove"))
        self.queue = Queue(sets=action.sets, on_move=on_move, chains_moves=action.chains_moves)

    def is_at_limit(self) -> bool:
        return len(self.inlet.running) >= int(self.config.get("maxProcesses", 1))

    def add(self, etype: str, path: bytes) -> None:
        """As the daemon does: a Create of a directory brings Creates of all that is in it, and none of what is gone."""
        if etype == etypes.CREATE and not self.inlet.action.sets and not is_there(self.source + path[1:]):
            return
        self.queue.add(etype, self.inlet.clock.now(), path)
        if etype == etypes.CREATE:
            self.add_below(path)

    def add_below(self, path: bytes) -> None:
        """Creates for all that is in a directory, if it is one."""
        if not path.endswith(b"/"):
            return
        for top, directories, files in os.walk(self.source + path[1:]):
            below = b"/" + top[len(self.source) :].rstrip(b"/") + b"/"
            for name in [*(directory + b"/" for directory in sorted(directories)), *sorted(files)]:
                self.queue.add(etypes.CREATE, self.inlet.clock.now(), below + name)

    def discard(self, event: Event) -> None:
        if event.delay.status != etypes.WAIT:
            self.inlet.log("Error", "Ignored cancel of a non-waiting event of type ", event.etype)
        else:
            self.queue.remove(event.delay)

    def spawn(
        self,
        agent: Agent,
        argv: Sequence[bytes],
        stdin: bytes | None,
        on_finished: Callable[[], object],
        check: Check | None,
        on_stderr: Callable[[bytes], object] | None,
    ) -> str | None:
        spawn = Spawn(agent, list(argv), stdin, on_finished=on_finished, check=check)
        if on_stderr is not None:
            spawn.on_stderr = on_stderr
        return self._begin(spawn)

    def run(
        self,
        agent: Agent,
        job: Callable[[threading.Event], int],
        on_finished: Callable[[], object],
        check: Check | None,
        argv: Sequence[bytes] | None,
    ) -> str | None:
        return self._begin(Spawn(agent, list(argv or ()), job=job, on_finished=on_finished, check=check))

    def filters_changed(self) -> None:
        """Nothing is watched here."""

    def _begin(self, spawn: Spawn) -> str | None:
        may_be = (etypes.WAIT, etypes.BLOCK) if isinstance(spawn.agent, EventList) else (etypes.WAIT,)
        delays: list[Delay] = spawn.agent.delays
        if any(delay.status not in may_be for delay in delays):
            return f"spawn() called on an non-waiting event{' list' if spawn.agent.is_list else ''}"
        self.queue.activate(delays)
        self.inlet.spawned.append(spawn)
        self.inlet.running.append(spawn)
        return None


class _Log:
    def __init__(self, inlet: FakeInlet) -> None:
        self._inlet = inlet

    def __call__(self, category: str, *parts: object) -> None:
        text = "".join(
            part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else str(part) for part in parts
        )
        self._inlet.logged.append((category, text))

    def shows(self, category: str) -> bool:
        return True


def complete(config: Mapping[str, Any], action: Action) -> DictConfig:
    """The user's keys with the action's defaults behind them, as a sync of it sees its config."""
    data: dict[Any, Any] = {**dict(action.defaults), **config}
    _add_defaults(data, action.options)
    return DictConfig(data)


def _add_defaults(data: dict[Any, Any], options: Options) -> None:
    for key, option in options.items():
        if not isinstance(option, Option):
            table = data.setdefault(key, {})
            if isinstance(table, dict):
                data[key] = dict(table)
                _add_defaults(data[key], option)
        elif option.default is not None:
            default = option.default
            data.setdefault(key, dict(default) if isinstance(default, dict) else default)


def _list_of(value: Any) -> list[bytes]:
    if value is None:
        return []
    values = [value] if isinstance(value, str) else value.list()
    return [item.encode("utf-8", "surrogateescape") for item in values]


__all__ = ["FakeInlet", "Spawn", "complete"]
