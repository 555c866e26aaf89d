"""What the daemon says while it waits for what runs (spec 1.5)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.daemon.fading import Fading
from orchestrator.daemon.signals import Signals
from orchestrator.log import Log
from orchestrator.masterloop import Loop
from orchestrator.process.processes import Processes
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.process.child import Child

HANGS = (b"/bin/sh", b"-c", b"kill -STOP $$")


class Leaping(Loop):
    """Waits no time at all: the clock leaps to the end of each wait. `at(now)` is called after each.

    It says whether it has caused something that is to be waited for.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.at: Callable[[float], bool] = lambda now: False

    def turn(self, timeout: float | None) -> bool:
        assert timeout is not None
        if timeout > 0:
            self.clock.advance(timeout)
        return super().turn(20 if self.at(self.clock.now()) else 0)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = Log(self.clock)
        self.loop = Leaping(self.clock)
        self.processes = Processes(self.loop, self.log, self.clock)
        hooks = Hooks(None, self.log)
        self.host = Host(self.clock, self.log, self.processes, hooks)
        self.fading = Fading(self.clock, self.log, self.loop, self.processes, hooks, Signals(self.loop))

    def spawn(self, serves: str = "") -> Child:
        child = self.processes.spawn(HANGS, on_exit=lambda child, code: None)
        child.serves = serves
        return child

    def end_after(self, seconds: float) -> None:
        end = self.clock.now() + seconds

        def at(now: float) -> bool:
            if now >= end:
                for child in self.processes:
                    self.processes.kill(child, signal.SIGKILL)
            return now >= end

        self.loop.at = at


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for child in world.processes:
        world.processes.kill(child, signal.SIGKILL)
    world.processes.close()
    world.log.close()
    world.loop.close()


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


def test_who_is_waited_for_is_told_after_a_while_and_each_minute(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    child = world.spawn("mirror")
    world.clock.advance(5)
    world.end_after(60.5)
    world.fading.stop(world.host, signal.SIGTERM)
    still = f"Normal: still running: /bin/sh (pid {child.pid}) of mirror, for "
    assert told(capfd) == [
        "Normal: --- TERM signal, fading ---",
        "Normal: waiting for 1 more child processes.",
        f"{still}15 s",
        "Normal: waiting for 1 more child processes.",
        f"{still}65 s",
    ]


def test_what_ends_soon_is_not_named(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.spawn()
    world.end_after(5)
    world.host.deadlines.add(world.clock.now() + 5, lambda: None)
    world.fading.stop(world.host, signal.SIGTERM)
    assert told(capfd) == ["Normal: --- TERM signal, fading ---", "Normal: waiting for 1 more child processes."]


def test_those_that_run_longest_are_named(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    children = [world.spawn() for _ in range(7) if world.clock.advance(1) is None]
    world.end_after(11)  # after they were named
    world.fading.stop(world.host, signal.SIGTERM)
    line = next(line for line in told(capfd) if "still running" in line)
    assert line.startswith(f"Normal: still running: /bin/sh (pid {children[0].pid}), for 16 s, /bin/sh (pid ")
    assert line.endswith(f"(pid {children[4].pid}), for 12 s, and 2 more")


def test_jobs_are_asked_to_end(world: World) -> None:
    codes: list[int] = []
    world.processes.run_job(
        lambda stop: 0 if stop.wait(5) else 1,
        lambda child, code: codes.append(code),
    )
    world.loop.at = lambda now: True  # waits for the job as long as it takes
    world.fading.stop(world.host, signal.SIGTERM)
    assert codes == [0]


def test_a_transfer_that_takes_too_long_is_ended_while_it_is_waited_for_too(world: World) -> None:
    """As `transferTimeout` does, by a deadline."""
    child = world.spawn()
    due = world.clock.now() + 5
    world.host.deadlines.add(due, lambda: world.processes.kill(child, signal.SIGKILL))
    turns: list[float] = []

    def at(now: float) -> bool:
        turns.append(now)
        assert len(turns) < 100, "nobody ends it"
        return now > due

    world.loop.at = at
    world.fading.stop(world.host, signal.SIGTERM)
    assert not len(world.processes)
