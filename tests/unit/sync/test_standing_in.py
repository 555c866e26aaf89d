"""A job that does the work of a program: log and hooks see the program, and what a hook makes of it is what runs."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import hookimpl
from orchestrator.config.model import DictConfig
from orchestrator.log import Log
from orchestrator.logic.filters import Filters
from orchestrator.masterloop import Loop
from orchestrator.plugins import make_manager
from orchestrator.process.processes import Processes
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Definition, Options, Sync
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.outcome import Outcome
    from orchestrator.sync.spawn import Spawn


class World:
    """A sync whose action stands in for `touch PATH`, and a plugin that may have its way with that."""

    def __init__(self, path: Path, hook: Callable[[Spawn], Any]) -> None:
        @hookimpl
        def orchestrator_before_spawn(spawn: Spawn) -> Any:
            return hook(spawn)

        plugin = SimpleNamespace(orchestrator_before_spawn=orchestrator_before_spawn)
        self.path = path
        self.log = Log(FakeClock())
        self.log.enable("Exec")
        self.loop = Loop()
        self.processes = Processes(self.loop, self.log)
        manager = make_manager([("meddler", plugin)])
        host = Host(FakeClock(), self.log, self.processes, Hooks(manager.hook, self.log))
        self.sync = Sync(host, Definition(1, "s", b"/src/", DictConfig({}), Filters(), Options()), self)
        self.ran: list[str] = []
        self.codes: list[int] = []

    def job(self, stop: threading.Event) -> int:
        self.ran.append("job")
        return 7

    def action(self) -> None:
        event = self.sync.inlet.get_event()
        assert event is not None
        self.sync.inlet.run(event, self.job, argv=["touch", str(self.path)])

    def collect(self, outcome: Outcome) -> Collected:
        self.codes.append(outcome.exit_code)
        return Collected("ok")

    def has_init(self) -> bool:
        return False

    def init(self, event: Any) -> None: ...
    def full(self, event: Any) -> None: ...
    def batch_start(self, agent: Agent) -> None: ...
    def batch_end(self, outcome: Outcome, verdict: str) -> None: ...

    def run(self) -> None:
        self.sync.change("Modify", 0.0, b"/src/f", None)
        self.sync.invoke(0.0)
        deadline = time.monotonic() + 20
        while len(self.processes):
            assert time.monotonic() < deadline
            self.loop.turn(0.1)
        self.processes.close()
        self.log.close()
        self.loop.close()


def test_the_job_runs_where_a_hook_lets_the_program_be(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[list[bytes]] = []
    world = World(tmp_path / "made", lambda spawn: seen.append(list(spawn.argv)))
    world.run()
    assert (world.ran, world.codes) == (["job"], [7])
    assert seen == [[b"touch", bytes(tmp_path / "made")]]
    assert not (tmp_path / "made").exists()
    assert f"Exec: touch [{tmp_path}/made]" in capfd.readouterr().err


def change_arguments(spawn: Spawn) -> None:
    spawn.argv[:0] = [b"env"]


def change_environment(spawn: Spawn) -> None:
    spawn.env = {"PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("hook", [change_arguments, change_environment])
def test_what_a_hook_makes_of_the_program_is_run_instead(tmp_path: Path, hook: Callable[[Spawn], None]) -> None:
    world = World(tmp_path / "made", hook)
    world.run()
    assert (world.ran, world.codes) == ([], [0])
    assert (tmp_path / "made").exists()


def test_a_hook_can_forbid_it(tmp_path: Path) -> None:
    world = World(tmp_path / "made", lambda spawn: False)
    world.run()
    assert (world.ran, world.codes) == ([], [])
    assert not (tmp_path / "made").exists()
