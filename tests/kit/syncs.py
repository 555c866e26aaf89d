"""One sync without a daemon: real queue, real processes, a clock that moves only when told to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from orchestrator.config.model import DictConfig
from orchestrator.log import Log
from orchestrator.logic.filters import Filters
from orchestrator.masterloop import Loop
from orchestrator.process.processes import Processes
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Definition, Options, Sync
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
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


class SyncWorld:
    """`said`: what was logged, each as `Category: text`. To be closed."""

    def __init__(
        self, calls: Calls, options: Options | None = None, hooks: Any = None, source: bytes = b"/src/", **config: Any
    ) -> None:
        self.clock = FakeClock()
        self.loop = Loop()
        self.said: list[str] = []
        self.log = Log(self.clock, lambda message: self.said.append(message[:-1]))
        self.processes = Processes(self.loop, self.log, self.clock)
        self.host = Host(self.clock, self.log, self.processes, hooks or Hooks(None, self.log))
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

    def wait(self) -> None:
        """Until all processes have ended."""
        deadline = time.monotonic() + 20
        while len(self.processes):
            assert time.monotonic() < deadline
            self.loop.turn(0.1)

    def close(self) -> None:
        self.wait()
        self.processes.close()
        self.log.close()
        self.loop.close()
