"""A daemon that a test turns: all of it is real but its machine (clock, loop, log, processes) and its monitor.

    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert daemon.programs() == ["rsync"]
        daemon.end(0)
        yield 15

    assert turn(box, script, lua=...) == 143

Whenever the daemon has nothing to do the script goes on; it says for how many seconds the daemon is to be left alone.
No time passes and no process runs. When the script is over, all that runs ends well and TERM comes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.api import Change, Monitor, MonitorKind, hookimpl
from orchestrator.commandline import CommandLine
from orchestrator.daemon import Daemon
from orchestrator.daemon.system import System
from orchestrator.plugins import make_manager
from orchestrator.process.dry import DryProcesses, Started
from orchestrator.servicemanager import ServiceManager
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.log import SHOWN, FakeLog
from orchestrator.testing.loop import FakeLoop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.plugins import Manager

Script = Iterator["float | None"]

RESTLESS = 2000
"""Turns in which no time passes and the script is not asked: more mean that the loop never rests."""

TERMINATED = 128 + signal.SIGTERM


class ScriptFailed(BaseException):
    """Passes through a daemon, which catches every Exception."""


class FakeMonitor(Monitor):
    """Reports what a test says. `calls`: what else it was asked for. `fails`: what `read` raises."""

    def __init__(self, plugin: TestPlugin) -> None:
        self._plugin = plugin
        self._watched: list[bytes] = []
        self.changes: list[Change] = []
        self.lost: list[bytes] = []
        self.returned: list[bytes] = []
        self.calls: list[str] = []
        self.unwatched: list[bytes] = []
        self.is_closed = False
        self.behind = False
        self.short = False
        self.fails: Exception | None = None
        plugin.made += 1
        self._fileno = 1000 + plugin.made
        plugin.monitor = self

    def fileno(self) -> int:
        return self._fileno

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        self._watched.append(root)
        self._plugin.on_watch(root)
        if progress is not None:
            progress(len(self._watched))

    def unwatch(self, root: bytes) -> None:
        self._watched.remove(root)
        self.unwatched.append(root)

    def rescan(self, progress: Callable[[int], None] | None = None) -> None:
        self.calls.append("rescan")

    def is_behind(self) -> bool:
        return self.behind

    def has_shortage(self) -> bool:
        return self.short

    def pause(self, root: bytes) -> None:
        self.calls.append(f"pause {root.decode()}")

    def resume(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        self.calls.append(f"resume {root.decode()}")

    def read(self) -> list[Change]:
        if self.fails is not None:
            raise self.fails
        changes, self.changes = self.changes, []
        return changes

    def lost_roots(self) -> list[bytes]:
        lost, self.lost = self.lost, []
        return lost

    def returned_roots(self) -> list[bytes]:
        returned, self.returned = self.returned, []
        return returned

    def watched(self) -> list[bytes]:
        return list(dict.fromkeys(self._watched))

    def close(self) -> None:
        self.is_closed = True


class TestPlugin:
    """The plugin `test`: its monitor, and hooks that note what they are given.

    `allows(argv)`: whether a program may be started (orchestrator_before_spawn). `on_state(inlet, state)` hears of each
    state.
    """

    __test__ = False

    def __init__(self) -> None:
        self.monitor: FakeMonitor
        self.made = 0  # monitors
        self.allows: Callable[[list[str]], bool] = lambda argv: True
        self.on_watch: Callable[[bytes], object] = lambda root: None
        self.on_state: Callable[[Any, str], object] = lambda inlet, state: None
        self.states: dict[str, str] = {}
        self.ended: list[tuple[int, str]] = []
        self.fading: list[str] = []
        self.full_runs: list[tuple[bool, str]] = []

    @hookimpl
    def orchestrator_full_run_ended(self, is_startup: bool, verdict: str) -> None:
        self.full_runs.append((is_startup, verdict))

    @hookimpl
    def orchestrator_monitors(self) -> list[MonitorKind]:
        return [MonitorKind("test", lambda mode, wants, log: FakeMonitor(self))]

    @hookimpl
    def orchestrator_before_spawn(self, inlet: Any, agent: Any, spawn: Any) -> bool | None:
        return None if self.allows([word.decode() for word in spawn.argv]) else False

    @hookimpl
    def orchestrator_after_collect(self, exit_code: int, verdict: str) -> None:
        self.ended.append((exit_code, verdict))

    @hookimpl
    def orchestrator_sync_state(self, inlet: Any, state: str) -> None:
        self.states[inlet.name] = state
        self.on_state(inlet, state)

    @hookimpl
    def orchestrator_fading(self, reason: str) -> None:
        self.fading.append(reason)


class FakeSystem(System):
    """A machine on which nothing happens by itself."""

    clock: FakeClock
    log: FakeLog
    loop: FakeLoop
    processes: DryProcesses

    def __init__(self, plugin: TestPlugin, log: Sequence[str]) -> None:
        self.clock = FakeClock()
        self.log = FakeLog((*SHOWN, *log))
        self.loop = FakeLoop(self.clock)
        self.processes = DryProcesses(self.loop, self.log, self.clock)
        self.service = ServiceManager(os.environ, self.clock)
        self._plugin = plugin
        self._ends: dict[Started, tuple[int, bytes]] = {}
        self.loop.on_signal(signal.SIGCHLD, self._reap)

    def make_manager(self) -> Manager:
        return make_manager([("test", self._plugin)])

    def end(self, started: Started, exit_code: int, stderr: bytes = b"") -> None:
        """A process ends; the daemon collects it in the next turn."""
        self._ends[started] = (exit_code, stderr)
        self.loop.send(signal.SIGCHLD)

    def _reap(self) -> None:
        ends, self._ends = self._ends, {}
        for started, (code, stderr) in ends.items():
            self.processes.end(started, code, stderr)

    def connect_plugins(self) -> None: ...

    def set_title(self, words: Sequence[str]) -> None: ...

    def open_lifeline(self) -> None: ...

    def spare_garbage(self) -> None: ...

    def collect_garbage(self) -> None: ...

    def close(self) -> None:
        self.processes.close()
        self.service.close()
        self.loop.close()


class TurnedDaemon:
    """What a script may do to a daemon, and look at."""

    def __init__(self, file: Path, log: Sequence[str]) -> None:
        self.file = file
        self.plugin = TestPlugin()
        self.system = FakeSystem(self.plugin, log)
        self.processes = self.system.processes
        self.clock = self.system.clock

    # ---- what happens

    def change(self, *paths: str, etype: str = "Modify") -> None:
        """Absolute paths have changed."""
        self.plugin.monitor.changes += [Change(etype, path.encode()) for path in paths]
        self._wake()

    def lose(self, source: str) -> None:
        """A source is gone; with a slash at its end."""
        self.plugin.monitor.lost.append(source.encode())
        self._wake()

    def give_back(self, source: str) -> None:
        """A source that was gone is there again."""
        self.plugin.monitor.returned.append(source.encode())
        self._wake()

    def overflow(self) -> None:
        """Changes were lost."""
        self.plugin.monitor.overflowed = True
        self._wake()

    def send(self, signum: int) -> None:
        """A signal comes."""
        self.system.loop.send(signum)

    def end(self, *exit_codes: int, of: str = "", stderr: bytes = b"") -> None:
        """What runs ends, the oldest first, one for each exit code. `of`: only that with this in its last argument."""
        found = [started for started in self.running if of.encode() in started.child.argv[-1]]
        for started, code in zip(found, exit_codes, strict=False):
            self.system.end(started, code, stderr)

    def lack(self, reason: str) -> None:
        """What runs could not be started: something was lacking that comes back by itself."""
        for started in self.running:
            started.child.error, started.child.is_resource_shortage = reason, True
            self.system.end(started, 255)

    def config(self, text: str) -> None:
        """Write another config; the daemon reads it when HUP comes."""
        self.file.write_text(text)

    def end_all(self, exit_code: int = 0) -> None:
        for started in self.running:
            self.system.end(started, exit_code)

    # ---- what there is to see

    @property
    def running(self) -> list[Started]:
        """What has not ended, oldest first."""
        return self.processes.running()

    def argv(self, index: int = -1) -> list[str]:
        """That of a program that was started, by default of the last."""
        return [word.decode() for word in self.processes.started[index].child.argv]

    def running_argv(self) -> list[list[str]]:
        """Of all that runs."""
        return [[word.decode() for word in started.child.argv] for started in self.running]

    def lines(self, category: str = "") -> list[str]:
        """The texts of the log, of one category or of all."""
        return [text for logged, text in self.system.log.lines if category in ("", logged)]

    def break_monitor(self, error: Exception) -> None:
        """Its next `read` raises that."""
        self.plugin.monitor.fails = error
        self._wake()

    def _wake(self) -> None:
        self.system.loop.ready.add(self.plugin.monitor.fileno())


def turn(
    box: Path, script: Callable[[TurnedDaemon], Script], lua: str, *, log: Sequence[str] = (), **settings: Any
) -> int:
    """Run a daemon with this config from its start to its end; its exit status.

    `log`: categories that are shown besides. `settings`: of the command line.
    """
    config = box / "config.lua"
    config.write_text(lua)
    daemon = TurnedDaemon(config, log)
    steps = script(daemon)
    until, restless, is_over, has_term = daemon.clock.now(), 0, False, False

    def idle(timeout: float | None) -> None:
        nonlocal until, restless, is_over, has_term
        left = max(0.0, until - daemon.clock.now())
        if timeout is not None and timeout <= left:
            restless = 0 if timeout else restless + 1
            assert restless < RESTLESS, "it never rests"
            daemon.clock.advance(timeout)
            return
        restless = 0
        daemon.clock.advance(left)
        assert not has_term, f"it does not end; it said: {daemon.lines()}"
        if is_over:
            has_term = True
            daemon.end_all()
            daemon.send(signal.SIGTERM)
            return
        try:
            until = daemon.clock.now() + (next(steps) or 0.0)
        except StopIteration:
            is_over = True

    def guarded_idle(timeout: float | None) -> None:
        try:
            idle(timeout)
        except Exception as error:
            raise ScriptFailed from error

    daemon.system.loop.idle = guarded_idle
    if "monitor =" not in lua:
        settings.setdefault("monitor", "test")
    line = CommandLine(config=str(config), settings={"nodaemon": True, **settings})
    try:
        status = Daemon(line, daemon.system).run()
    except ScriptFailed as failed:
        raise (failed.__cause__ or failed) from None
    if not is_over:
        for _ in steps:
            raise AssertionError(f"it has ended with {status} before the script was over; it said: {daemon.lines()}")
    return status
