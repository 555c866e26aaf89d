"""A config loaded with nothing behind it: processes are noted down, never started."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from orchestrator.clock import MonotonicClock
from orchestrator.config.lua.loader import LuaConfig
from orchestrator.config.lua.runtime import DEFAULT_VERSION
from orchestrator.log import Log
from orchestrator.masterloop import Loop
from orchestrator.monitor.monitors import AUTO, DEFAULT
from orchestrator.plugins import make_manager
from orchestrator.process.child import Child
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.config.settings import Settings
    from orchestrator.process.processes import Processes


CHAIN = 3
"""Of processes that follow one another (onBatchStart, the transfer, onBatchEnd), so many are told of."""


@dataclass
class Noted:
    """A process that would have been started; `job`: work of a plugin's own instead."""

    child: Child
    stdin: bytes | None = None
    job: str | None = None


@dataclass
class DryProcesses:
    """Stands in for Processes."""

    noted: list[Noted] = field(default_factory=list)
    clock: MonotonicClock = field(default_factory=MonotonicClock)

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Child]:
        return iter(())

    def spawn(
        self,
        argv: Sequence[bytes],
        *,
        on_exit: Callable[[Child, int], None],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Child:
        child = Child(list(argv), self.clock.now(), on_exit)
        self.noted.append(Noted(child, stdin))
        return child

    def run_job(self, job: Callable[[threading.Event], int], on_exit: Callable[[Child, int], None]) -> Child:
        child = Child([], self.clock.now(), on_exit)
        self.noted.append(Noted(child, job=getattr(job, "__doc__", None) or type(job).__name__))
        return child

    def take(self) -> list[Noted]:
        """What was noted since the last call; each is told that it went well, and may bring more."""
        taken: list[Noted] = []
        for _ in range(CHAIN):
            noted, self.noted = self.noted, []
            for one in noted:
                one.child.on_exit(one.child, 0)
            taken += noted
        self.noted.clear()
        return taken


class DryLog(Log):
    """Keeps quiet, but for the warnings and errors that loading brings."""

    def __init__(self) -> None:
        super().__init__()
        self.is_quiet = False

    def __call__(self, category: str, *parts: Any) -> None:
        if not self.is_quiet:
            super().__call__(category, *parts)


class DryRun:
    """A config file loaded. Use it in a `with`; raises OrchestratorError where it does not load."""

    def __init__(self, path: str, lua: str | None = None) -> None:
        self.path = os.path.abspath(path)
        self.processes = DryProcesses()
        self.log = DryLog()
        self._loop = Loop()
        manager = make_manager()
        self.actions = manager.actions()
        self.problems = manager.problems()
        clock = MonotonicClock()
        host = Host(clock, self.log, cast("Processes", self.processes), Hooks(None, self.log))
        monitors = {AUTO, DEFAULT, *manager.monitors()}
        try:
            self.config = LuaConfig(
                host, self._loop, self.actions, monitors, {}, lua or DEFAULT_VERSION, manager.problem_by_name()
            )
            self.config.run_file(self.path)
            self.settings: Settings = self.config.finish()
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> DryRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.config.close()
        self._loop.close()
