"""A sync without a daemon: all of it is real but the processes, which a test ends, and the clock, which it moves.

    inlet = FakeInlet(MyAction(), {"target": "/trg"})
    inlet.change("Modify", b"/d/f")
    inlet.turn()
    assert inlet.spawned[0].argv == [b"push", b"/src//d/f"]
    assert inlet.end(inlet.spawned[0], 0) == "ok"

Time stands still unless `advance` is called; `execute` really runs what was spawned.
"""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.api import Agent, Check, Collected, DeletionCount, Event, Inlet, Option, Outcome, Progress
from orchestrator.config.model import DictConfig
from orchestrator.config.numbers import seconds_or_never
from orchestrator.config.pluginsettings import completed as completed_settings
from orchestrator.errors import Died
from orchestrator.logic.event import ACTIVE, WAIT
from orchestrator.logic.filters import Filters
from orchestrator.logic.text import to_bytes
from orchestrator.logic.verdict import AGAIN, DIE, JobResult, Verdict
from orchestrator.plugins import Manager
from orchestrator.process.dry import DryProcesses, Started
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host, Run, RunOptions
from orchestrator.sync.spawn import nothing
from orchestrator.sync.sync import Definition, Sync
from orchestrator.sync.sync import Options as SyncOptions
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.log import FakeLog
from orchestrator.testing.loop import FakeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.api import Action, Difference, Options, Verifier
    from orchestrator.process.jobs import Job
    from orchestrator.process.sshshare import SshConnection
    from orchestrator.sync.spawn import Spawn as Program


@dataclass(eq=False)
class Spawn:
    """What an action started: a program, or a job for a worker thread (then `argv` is that of the program whose work
    it does, if of any).

    With a `check`, that is what runs first. `runs`: what runs for it now, or ran last; None: nothing yet.
    """

    agent: Agent
    argv: list[bytes]
    stdin: bytes | None = None
    job: Job | None = None
    check: Check | None = None
    runs: Started | None = None

    @property
    def paths(self) -> list[bytes]:
        """The paths it is to bring up to date, with a leading slash."""
        return [delay.path for delay in self.agent.delays]


class FakeInlet(Inlet):
    """The inlet of one sync, and the handles a test turns it with.

    `spawned` holds all that was ever started, `running` what has not ended, `logged` every log line as
    (category, text). `sync` is the sync itself.
    """

    def __init__(
        self,
        action: Action,
        config: Mapping[str, Any] | None = None,
        *,
        source: bytes = b"/src/",
        insist: bool = True,
        prepare: bool = True,
        observers: Mapping[str, object] | None = None,
    ) -> None:
        """`config`: the user's keys; the action's defaults are added. `delay` counts only where the user's keys have
        it. `observers`: plugins by their names, whose hooks are called. Raises ConfigError as `prepare` does.
        """
        config = config or {}
        self.action = action
        self.clock = FakeClock()
        self.spawned: list[Spawn] = []
        self.running: list[Spawn] = []
        self.collected = Collected()
        """The answer of the action's `collect` about the transfer that ended last."""
        self._log = FakeLog(shown=None)
        self._processes = DryProcesses(FakeLoop(self.clock), self._log, self.clock)
        completed = complete(config, action)
        if prepare:
            action.prepare(completed)
        filters = Filters()
        for pattern in _list_of(completed.get("exclude")):
            filters.add_exclude(pattern)
        for line in _list_of(completed.get("filter")):
            filters.append_filter(line)
        self._calls = _Calls(self)
        self._plugins = Manager(())
        for plugin_name, plugin in (observers or {}).items():
            self._plugins.register(plugin, plugin_name)
        self._hooks = Hooks(self._plugins.hook if observers else None, self._log, self.clock.now)
        host = Host(self.clock, self._log, self._processes, self._hooks, Run(RunOptions(insist=insist)))
        name = str(completed.get("name", "Sync1"))
        options = _options(completed, action, config)
        definition = Definition(1, name, source, completed, filters, options)
        self.sync = Sync(host, definition, self._calls, self._become_inlet)

    def _become_inlet(self, sync: Sync) -> Inlet:
        super().__init__(sync)
        return self

    # ---- what happens to the sync

    def configure(self, **own: Mapping[str, Any]) -> None:
        """A config has been loaded that sets this of the plugins, by their names. Raises ConfigError as they do."""
        values = {}
        for name, settings in self._plugins.settings().items():
            values[name] = completed_settings(own.get(name, {}), settings.options, is_anchored=False)
            if name in own:
                settings.check(values[name])
        self._hooks.tell("orchestrator_configured", settings={"plugins": values}, inlets=[self])

    def _tell_state(self) -> None:
        """As the daemon's loop does once a turn."""
        state = self.sync.state.value
        if state != self._reported:
            self._reported = state
            self._hooks.tell("orchestrator_sync_state", inlet=self, state=state)

    def change(self, etype: str, path: bytes, path2: bytes | None = None) -> None:
        """Something changed, `delay` seconds ago: `/d/f`, a directory `/d/e/`. Due at once."""
        source = self.source
        self.sync.change(etype, self.clock.now(), source + path[1:], None if path2 is None else source + path2[1:])

    def startup(self) -> Event:
        """Queue the Init event and offer it to the action."""
        self.sync.start()
        event = self.event(next(iter(self.sync.queue)))
        self.turn()
        return event

    def turn(self) -> None:
        """Offer the action all that is due, as the daemon's loop does; a startup in parts looks through the source."""
        self.sync.invoke(self.clock.now())
        for started in self._processes.running() if self.sync.startup is not None else ():
            if started.job is not None and all(spawn.runs is not started for spawn in self.running):
                self._processes.end(started, started.job(started.child.stop or threading.Event()))
                self.sync.invoke(self.clock.now())
        self._tell_state()

    def end(self, spawn: Spawn, exit_code: int, stderr: bytes = b"") -> Verdict:
        """The program ended: what the action makes of it, or the common rule of spec 3.7, after which the sync goes
        on, tries again, or stops. A check that still counts has allowed it before.
        """
        if spawn.check is not None and self._is_counting(spawn):
            self._end(spawn, 0)
        return self._end(spawn, exit_code, stderr)

    def execute(self, spawn: Spawn, timeout: float = 60.0, **environment: str) -> Verdict:
        """Really run it, and its check before, wait for its end, and `end` it with its exit code."""
        if self._is_counting(spawn):
            self.count_deletions(spawn)
            if spawn not in self.running:
                return self._calls.verdict
        assert spawn.runs is not None
        if spawn.runs.job is not None:
            return self._end(spawn, spawn.runs.job(threading.Event()))
        done = subprocess.run(
            spawn.argv,
            input=spawn.stdin if spawn.stdin is not None else b"",
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
            env={**os.environ, **environment},
        )
        code = done.returncode
        return self._end(spawn, code if code >= 0 else 128 - code, done.stderr)

    def count_deletions(self, spawn: Spawn) -> DeletionCount | None:
        """Let its check count what it would delete (`maxDelete`); None where it has none.

        If that is not too much it runs from now on, its argv as the check has limited it; else it is refused, and not
        among `running` any more.
        """
        if spawn.check is None:
            return None
        assert self._is_counting(spawn), "it has counted"
        assert spawn.runs is not None
        assert spawn.runs.job is not None
        self._counted = None
        self._end(spawn, spawn.runs.job(spawn.runs.child.stop or threading.Event()))
        return self._counted

    def advance(self, seconds: float) -> None:
        """Let time pass: what the action asked for by `after` is called when due."""
        host, end = self.sync.host, self.clock.now() + seconds
        while (soonest := host.alarms.next()) is not None and soonest <= end:
            self.clock.advance(max(0.0, soonest - self.clock.now()))
            callback = host.alarms.pop_due(self.clock.now())
            assert callback is not None
            callback()
        self.clock.advance(end - self.clock.now())
        self._tell_state()

    def settle(self) -> None:
        """Turn and execute until nothing is left to do."""
        self.turn()
        while self.running:
            self.execute(self.running[0])
            self.turn()

    def verify(self, paths: Sequence[bytes] | None = None, *, quick: bool = False) -> list[Difference]:
        """Really have the action compare source and target, or these paths of them: what it finds, by paths. Raises
        CannotVerify; an error of the comparison is an AssertionError."""
        found: list[Difference] = []
        compared = self.action.verify(self, paths, quick=quick)(threading.Event(), found.append)
        assert not compared.error, compared.error
        return sorted(found)

    # ---- what a test looks at

    @property
    def was_partial(self) -> bool:
        """Whether the action said of the transfer that ended last that not all arrived (`Collected.failed`)."""
        return self.collected.failed is not None

    @property
    def waiting(self) -> list[tuple[str, bytes]]:
        """The pending changes, without active ones: (etype, path), in the order of the queue."""
        return [(delay.etype, delay.path) for delay in self.sync.queue if delay.status != ACTIVE]

    @property
    def retrying(self) -> int:
        """How many paths the action says wait outside the queue."""
        return self.sync.retrying

    @property
    def logged(self) -> list[tuple[str, str]]:
        """Every log line, as (category, text)."""
        return self._log.lines

    def lines(self, category: str) -> list[str]:
        """The texts logged under a category."""
        return [text for logged, text in self.logged if logged == category]

    # ---- what the action does

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
        known = len(self._processes.started)
        super().spawn(agent, argv, stdin, on_finished, self._recorded(check), on_stderr, announce, through)
        self._note(Spawn(agent, [], stdin, check=check), known)

    def run(
        self,
        agent: Agent,
        job: Job,
        on_finished: Callable[[], object] = nothing,
        check: Check | None = None,
        argv: Sequence[str | bytes] | None = None,
        progress: Callable[[], Progress] | None = None,
    ) -> None:
        known = len(self._processes.started)
        super().run(agent, job, on_finished, self._recorded(check), argv, progress)
        self._note(Spawn(agent, [], job=job, check=check), known)

    def _note(self, spawn: Spawn, known: int) -> None:
        """`known`: how many processes there were before."""
        self._follow(spawn, known)
        if spawn.runs is not None:
            self.spawned.append(spawn)
            self.running.append(spawn)

    def _follow(self, spawn: Spawn, known: int) -> bool:
        """Take the process or job that was started since as its next step. Gives whether there is one."""
        started = self._processes.started[known:]
        if started:
            spawn.runs = started[0]
            spawn.argv = list(started[0].child.argv)
        return bool(started)

    def _is_counting(self, spawn: Spawn) -> bool:
        return spawn.check is not None and spawn.runs is not None and spawn.runs.job not in (None, spawn.job)

    def _recorded(self, check: Check | None) -> Check | None:
        if check is None:
            return None
        counts = check.count

        def count(stop: threading.Event, spawn: Program | None) -> DeletionCount:
            self._counted = counts(stop, spawn)
            return self._counted

        return Check(check.limit, count, check.announce, check.limited, check.was_cut)

    _counted: DeletionCount | None = None
    _reported = ""

    def _end(self, spawn: Spawn, exit_code: int | JobResult, stderr: bytes = b"") -> Verdict:
        assert spawn.runs is not None
        is_counting, known = self._is_counting(spawn), len(self._processes.started)
        self.collected = Collected()
        self._calls.verdict = AGAIN
        if not is_counting:
            self.running.remove(spawn)
        try:
            self._processes.end(spawn.runs, exit_code, stderr)
        except Died:
            assert self._calls.verdict == DIE
        if is_counting and not self._follow(spawn, known):
            self.running.remove(spawn)
        self._tell_state()
        return self._calls.verdict


class _Calls:
    """The functions of a sync's config, where nothing of the action was replaced. `verdict`: the last one."""

    def __init__(self, inlet: FakeInlet) -> None:
        self.verdict: Verdict = AGAIN
        self._inlet = inlet
        self._action = inlet.action

    def moved(self, source: bytes) -> None: ...

    def move_into(self, other: object) -> None: ...

    def has_init(self) -> bool:
        return True

    def has_startup(self) -> bool:
        return True

    def init(self, event: Event) -> None:
        self._action.init(event)
        self._drop_left(event)

    def full(self, event: Event) -> None:
        self._action.full(event)
        self._drop_left(event)

    def action(self) -> None:
        self._action.action(self._inlet)

    def collect(self, outcome: Outcome) -> Collected:
        action, answer = self._action, self._action.collect(outcome)
        collected = answer if isinstance(answer, Collected) else Collected(answer)
        self._inlet.collected = collected
        if collected.verdict is None:
            judge, exit_codes = self._inlet.sync.judge, action.exit_codes(outcome.agent)
            judgement = judge.judge(outcome, action.wording, exit_codes)
            collected = replace(collected, verdict=judgement.verdict, judgement=judgement)
        self.verdict = collected.verdict or AGAIN
        return collected

    def batch_start(self, agent: Agent) -> bytes | bool | None:
        return None

    def batch_end(self, outcome: Outcome, verdict: str) -> bytes | None:
        return None

    def verifier(self, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        return self._action.verify(self._inlet, paths, quick=quick)

    def repairs(self, differences: Sequence[Difference]) -> None:
        self._action.repairs(self._inlet, differences)

    def is_of_plugin(self) -> bool:
        return True

    def remarks(self) -> Sequence[str]:
        return self._action.remarks(self._inlet.config)

    def resumes(self, cut_off: Sequence[bytes], until: float | None) -> None:
        self._action.resumes(self._inlet, cut_off, until)

    def started(self, outcome: Outcome) -> None: ...

    def _drop_left(self, event: Event) -> None:
        """An action that leaves its startup waiting has nothing to do."""
        sync = self._inlet.sync
        if event.status == WAIT and event.delay in sync.queue and not sync.transfers.is_deferred:
            sync.discard(event)


def _options(config: DictConfig, action: Action, own: Mapping[str, Any]) -> SyncOptions:
    """`own`: the user's keys."""
    return SyncOptions(
        delay=float(own.get("delay", 0)),
        max_delays=float(config.get("maxDelays", 1000)),
        max_processes=float(config.get("maxProcesses", 1)),
        sets=action.sets,
        mirrors_source=action.mirrors_source,
        on_move=bool(config.get("onMove")),
        chains_moves=action.chains_moves,
        own_die_codes=frozenset(code for code, verdict in own.get("exitcodes", {}).items() if verdict == DIE),
        settle=float(config.get("settle", 0)),
        stale_after=seconds_or_never(config.get("staleAfter")),
        startup_processes=1 if action.undivided(config) is not None else int(config.get("startupProcesses") or 1),
        has_max_delete="maxDelete" in action.options,
    )


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
    return [to_bytes(item) for item in values]


__all__ = ["FakeInlet", "Spawn", "complete"]
