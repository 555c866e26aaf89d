"""One sync without a daemon: all of it is real but its processes and its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.model import DictConfig
from orchestrator.logic.filters import Filters
from orchestrator.masterloop import Loop
from orchestrator.process.dry import DryProcesses, Started
from orchestrator.process.processes import Processes
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Definition, Options, Sync
from orchestrator.testing.log import FakeLog
from orchestrator.testing.loop import FakeLoop
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.outcome import Outcome


class Calls:
    """The functions of a config that does nothing; `asked` are the moments at which they were called."""

    def __init__(self) -> None:
        self.sync: Sync
        self.asked: list[float] = []

    def ask(self) -> None:
        self.asked.append(self.sync.host.clock.now())

    def has_init(self) -> bool:
        return False

    def init(self, event: Event) -> None:
        self.ask()

    def full(self, event: Event) -> None:
        self.ask()

    def action(self) -> None:
        self.ask()

    def collect(self, outcome: Outcome) -> Collected:
        return Collected()

    def batch_start(self, agent: Agent) -> bytes | bool | None:
        return None

    def batch_end(self, outcome: Outcome, verdict: str) -> bytes | None:
        return None


class Machine:
    """What syncs share here. `said`: what was logged, each as `Category: text`.

    `exit_code_of(started)`: what a program ends with. Jobs are run.
    """

    def __init__(self, clock: FakeClock | None = None, hooks: Any = None) -> None:
        self.clock = clock or FakeClock()
        self.log = FakeLog()
        self.processes = self.make_processes()
        self.is_stop_requested = False
        hooks = hooks or Hooks(None, self.log)
        self.host = Host(self.clock, self.log, self.processes, hooks, is_stop_requested=lambda: self.is_stop_requested)
        self.exit_code_of: Callable[[Started], int] = lambda started: 0

    def make_processes(self) -> DryProcesses:
        return DryProcesses(FakeLoop(self.clock), self.log, self.clock)

    @property
    def said(self) -> list[str]:
        return [f"{category}: {text}" for category, text in self.log.lines]

    def wait(self) -> None:
        """What runs ends, and what follows it, until nothing runs."""
        while running := self.processes.running():
            started = running[0]
            job, stop = started.job, started.child.stop
            code = job(stop) if job is not None and stop is not None else self.exit_code_of(started)
            self.processes.end(started, code)


class SyncWorld(Machine):
    """A sync of the name `s`. To be closed."""

    def __init__(
        self, calls: Calls, options: Options | None = None, hooks: Any = None, source: bytes = b"/src/", **config: Any
    ) -> None:
        super().__init__(hooks=hooks)
        self.sync = Sync(
            self.host, Definition(1, "s", source, DictConfig(config), Filters(), options or Options()), calls
        )
        calls.sync = self.sync

    def change(self, *paths: bytes, etype: str = "Modify") -> None:
        """Changes that are seen now."""
        for path in paths:
            now = self.clock.now()
            self.sync.change(etype, now + self.sync.options.delay, self.sync.source + path[1:], None)

    def run(self, seconds: float = 0.0) -> None:
        """Let that time pass, and do what is due, as the runner does; processes take no time."""
        end = self.clock.now() + seconds
        for _ in range(10_000):
            now = self.clock.now()
            while (callback := self.host.alarms.pop_due(now)) is not None:
                callback()
            alarm = self.sync.next_alarm()
            if alarm is not None and alarm <= now and not self.host.is_at_limit():
                self.sync.invoke(now)
            elif len(self.processes):
                self.wait()
            else:
                times = [time for time in (self.host.alarms.next(), alarm) if time is not None]
                soonest = min(times, default=end)
                if soonest > end:
                    self.clock.advance(end - now)
                    return
                if soonest == end == now:
                    return
                self.clock.advance(soonest - now)
        raise AssertionError("it never rests")

    def close(self) -> None:
        self.wait()


class SyncWithProcesses(SyncWorld):
    """With real processes, for what becomes of their ends and of what they write."""

    def make_processes(self) -> Processes:  # type: ignore[override]
        self.loop = Loop()
        return Processes(self.loop, self.log, self.clock)

    def wait(self) -> None:
        while len(self.processes):
            self.loop.turn(20)

    def close(self) -> None:
        super().close()
        self.processes.close()
        self.loop.close()
