"""The life of the process (spec 1.2 to 1.5): load, detach, run, reset on HUP, fade and leave on TERM.

The only place that catches everything: a known error is one line, a bug of ours a traceback.
"""

from __future__ import annotations

import gc
import os
import signal
import stat
import sys
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.clock import MonotonicClock
from orchestrator.config.lua.loader import LuaConfig
from orchestrator.config.lua.runtime import DEFAULT_VERSION
from orchestrator.config.settings import settings_by_name
from orchestrator.errors import (
    EXIT_FAILURE,
    ConfigError,
    Died,
    LogfileError,
    MonitorError,
    OrchestratorError,
    Terminated,
    UsageError,
)
from orchestrator.log import Log
from orchestrator.log.adoption import adopt_loguru
from orchestrator.masterloop import Loop
from orchestrator.monitor.base import MonitorKind
from orchestrator.monitor.inotify import InotifyMonitor, content_flags
from orchestrator.monitor.monitors import AUTO, DEFAULT
from orchestrator.plugins import make_manager
from orchestrator.process.control import check_place
from orchestrator.process.detach import detach, fill_standard_descriptors
from orchestrator.process.orphans import Orphans
from orchestrator.process.pidfile import PidFile
from orchestrator.process.processes import Processes
from orchestrator.process.title import set_title
from orchestrator.runner import Runner
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from orchestrator.sync.pathlist import remove_lists_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api import Action
    from orchestrator.cli import CommandLine
    from orchestrator.config.settings import Settings

FADING_TELLS = 60.0
"""Seconds between two lines about children that are still waited for."""

PATIENCE = 60.0
"""Seconds of fading after which a second TERM is obeyed at once."""


HELPERS_PATIENCE = 2.0
"""Seconds that tunnels get to end by themselves."""


def _inotify(settings: Settings) -> dict[str, MonitorKind]:
    """The built-in monitor as the settings want it."""
    if settings.watch_limit != "degrade":
        return {DEFAULT: MonitorKind(DEFAULT, InotifyMonitor)}
    from orchestrator.monitor.rounds import Rounds  # only those who want it wait for it

    make_rounds = partial(Rounds, settings.poll_interval)
    return {DEFAULT: MonitorKind(DEFAULT, partial(InotifyMonitor, make_rounds=make_rounds))}


def _spare_the_collector() -> None:
    """Python looks for cycles in all objects again and again, the loop standing still meanwhile.

    With 200,000 pending changes one look takes 100 ms, in which the kernel's queue overflows. What has
    been loaded is not looked at again, and all that is pending only after ten million new objects:
    changes go by themselves when they are done with, cycles are few.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)
    gc.enable()


class Daemon:
    """One process, from the parsed command line to its exit status."""

    def __init__(self, line: CommandLine) -> None:
        fill_standard_descriptors()
        self._line = line
        self._clock = MonotonicClock()
        self._log = Log(self._clock)
        self._loop = Loop()
        self._processes = Processes(self._loop, self._log, self._clock)
        self._actions: dict[str, Action] = {}
        self._monitors: dict[str, MonitorKind] = {}
        self._plugin_problems: dict[str, str] = {}
        self._hooks = Hooks(None, self._log)
        self._pidfile: PidFile | None = None
        self._orphans: Orphans | None = None
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:  # deleted
            self._directory = "/"
        self._config_path = os.path.abspath(line.config) if line.config is not None else None
        self._scripts = [os.path.abspath(script) for script in line.scripts]
        self._insists = False
        self._signal: signal.Signals | None = None
        self._asks_reset = False
        self._is_urged = False
        # From now on: what has been read of the config when it comes may be old.
        self._loop.on_signal(signal.SIGHUP, self._on_signal(signal.SIGHUP))

    def run(self) -> int:
        """Run to the end. Returns the exit status."""
        try:
            return self._run()
        except Terminated as error:
            return error.exit_code
        except Died as error:
            return error.exit_code
        except OrchestratorError as error:
            self._log("Error", str(error))
            return error.exit_code
        except Exception:
            import traceback

            self._log("Error", "this is a bug of lsyncd-orchestrator:\n", traceback.format_exc())
            return EXIT_FAILURE
        finally:
            self._leave()

    def _run(self) -> int:
        for category in self._line.log:
            self._log.enable(category)
        set_title(b"lsyncd", [argument.encode("utf-8", "surrogateescape") for argument in self._line.arguments])
        manager = make_manager()
        adopt_loguru(self._log)
        for problem in manager.problems():
            self._log("Error", problem)
        self._actions = manager.actions()
        self._plugin_problems = manager.problem_by_name()
        self._monitors = {DEFAULT: MonitorKind(DEFAULT, InotifyMonitor)} | manager.monitors()
        self._hooks = Hooks(manager.hook, self._log)
        if self._line.asks_monitors:
            return self._list_monitors()
        config, settings, host = self._load()
        self._check_monitor(settings)
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._loop.on_signal(signum, self._on_signal(signum))
        self._switch_log(settings)
        self._tell_startup(settings)
        if settings.nodaemon:
            self._open_pidfile(settings)
        else:
            detach(lambda: self._open_pidfile(settings))
            self._log.detach()
        return self._live(config, settings, host)

    def _tell_startup(self, settings: Settings) -> None:
        self._log("Normal", "--- Startup ---" if settings.nodaemon else "--- Startup, daemonizing ---")

    def _list_monitors(self) -> int:
        print("This Lsyncd supports these monitors:", *(f"   {name}" for name in (*self._monitors, AUTO)), "", sep="\n")
        return EXIT_FAILURE

    # ---- one configuration after the other ----------------------------------------------------

    def _live(self, config: LuaConfig, settings: Settings, host: Host) -> int:
        while True:
            config.lock()
            _spare_the_collector()
            self._processes.environment = dict(os.environb)
            runner = Runner(host, self._loop, config, settings, self._monitors | _inotify(settings))
            self._hooks.tell(
                "orchestrator_configured",
                settings=settings_by_name(settings),
                inlets=[sync.inlet for sync in config.syncs],
            )
            try:
                runner.start(partial(self._attend, host))
                self._look_for_orphans(runner)
                following = self._turn(runner)
            finally:
                self._forget_orphans()
                runner.close()
                self._end_helpers()
            if following is None:
                return self._exit_status(host)
            config, settings, host = following
            # what the old configuration was made of may go now
            gc.unfreeze()
            gc.collect()
            self._switch_log(settings)
            self._tell_startup(settings)

    def _look_for_orphans(self, runner: Runner) -> None:
        """Transfers of a killed daemon may put what is old over what the startup brings: then a full run mends it."""
        killed = self._pidfile.previous if self._pidfile is not None else None
        if killed is None:
            return

        def mend() -> None:
            remove_lists_of(killed)
            self._log("Normal", "transfers of the daemon before this one have ended.")
            for sync in runner.syncs:
                sync.request_full()

        self._orphans = Orphans(self._loop, killed, mend)
        if left := len(self._orphans):
            told = f"{left} processes of a daemon that was killed (pid {killed}) still run"
            self._log("Warn", f"{told}; a full run follows when they have ended.")
        else:
            remove_lists_of(killed)

    def _forget_orphans(self) -> None:
        if self._orphans is not None:
            self._orphans.close()

    def _turn(self, runner: Runner) -> tuple[LuaConfig, Settings, Host] | None:
        """Turn until the end (None), or until a reset has brought a new configuration."""
        # Signals first: one that came while starting is obeyed before anything more is spawned.
        self._loop.turn(0.0)
        while True:
            if self._signal is not None:
                self._fade(runner.host, _fading(self._signal))
                return None
            if self._asks_reset:
                self._asks_reset = False
                following = self._reset(runner)
                if following is not None:
                    return following
                if self._signal is not None:
                    continue
            runner.cycle()
            if self._is_over(runner):
                return None
            if self._loop.turn(runner.timeout()):
                runner.touch()

    def _is_over(self, runner: Runner) -> bool:
        if all(sync.life.is_stopped for sync in runner.syncs):
            raise Died("every sync is stopped")
        if runner.settings.onepass and runner.is_done():
            if not runner.has_succeeded():
                raise Died("not every sync has done its startup")
            self._log("Info", "onepass active and all syncs finished. Exiting successfully")
            return True
        return False

    def _reset(self, runner: Runner) -> tuple[LuaConfig, Settings, Host] | None:
        """Read the configuration again. One that does not load leaves the old one at work (spec 6 row 9)."""
        self._log("Normal", "--- HUP signal, resetting ---")
        self._insists = True
        try:
            following = self._load()
            self._check(following[1])
            _check_sources(runner, following[0])
        except OrchestratorError as error:
            self._log("Error", str(error))
            self._log("Error", "keeping the old configuration.")
            return None
        self._fade(runner.host)
        return None if self._signal is not None else following

    def _load(self) -> tuple[LuaConfig, Settings, Host]:
        host = Host(self._clock, self._log, self._processes, self._hooks)
        config = LuaConfig(
            host,
            self._loop,
            self._actions,
            (AUTO, *self._monitors),
            self._line.settings,
            self._line.lua or DEFAULT_VERSION,
            self._plugin_problems,
        )
        for file in [*self._scripts, *([self._config_path] if self._config_path is not None else [])]:
            self._look_at_rights(file)
            config.run_file(file)
        for action, values in self._line.syncs:
            config.add_command_line_sync(action, values)
        settings = config.finish()
        if not config.syncs:
            raise UsageError("Nothing to watch!")
        host.max_processes = settings.max_processes
        host.insist = settings.insist or self._insists
        host.onepass = settings.onepass
        host.transfer_timeout = settings.transfer_timeout
        host.max_delete = settings.delete_limit
        return config, settings, host

    def _look_at_rights(self, path: str) -> None:
        """A config is a program: whoever may write it can do what the daemon can."""
        try:
            mode = os.stat(path).st_mode
        except OSError:
            return  # reading it tells
        if os.geteuid() != 0 or not mode & (stat.S_IWGRP | stat.S_IWOTH):
            return
        message = f"{path} may be written by others than its owner, and runs as root; chmod go-w would mend that."
        if self._line.is_strict:
            raise ConfigError(message)
        self._log("Warn", message)

    # ---- the end ------------------------------------------------------------------------------

    def _on_signal(self, signum: signal.Signals) -> Callable[[], None]:
        def note() -> None:
            if signum == signal.SIGHUP:
                self._asks_reset = True
            elif self._signal is None:
                self._signal = signum
            else:
                self._is_urged = True

        return note

    def _attend(self, host: Host) -> None:
        """Raise Terminated where the daemon was told to end: the loop stands still while trees are looked through."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            if self._loop.has_caught(signum):
                self._fade(host, _fading(signum))  # startups of earlier syncs may run
                raise Terminated(128 + signum)

    def _fade(self, host: Host, message: str | None = None) -> None:
        """Start nothing more, and wait for what runs (spec 1.5); a reset's fading ends when TERM or INT comes."""
        if message is not None:
            self._log("Normal", message)
        host.fading = True
        self._hooks.tell("orchestrator_fading", reason=message or "reset")
        self._processes.stop_jobs()
        self._is_urged = False
        begun = next_tell = self._clock.now()
        while len(self._processes):
            now = self._clock.now()
            if now >= next_tell:
                self._log("Normal", f"waiting for {len(self._processes)} more child processes.")
                next_tell = now + FADING_TELLS
            if self._is_urged and now - begun >= PATIENCE:
                return
            self._is_urged = False  # too early: it changes nothing
            if message is None and self._signal is not None:
                return  # told to end while resetting: that has words of its own, and a minute
            while (overdue := host.deadlines.pop_due(now)) is not None:
                overdue()
            soonest = host.deadlines.next()
            self._loop.turn((next_tell if soonest is None else min(next_tell, soonest)) - now)

    def _end_helpers(self) -> None:
        """Tunnels have been told to end. One that does not is killed: its port may be wanted again."""
        self._processes.abandon()  # where the daemon leaves at once; else none is left
        deadline = self._clock.now() + HELPERS_PATIENCE
        while self._processes.helpers() and (left := deadline - self._clock.now()) > 0:
            self._loop.turn(left)
        for child in self._processes.helpers():
            self._processes.kill(child, signal.SIGKILL)

    def _exit_status(self, host: Host) -> int:
        if host.failed:
            return EXIT_FAILURE
        return 128 + self._signal if self._signal is not None else 0

    def _leave(self) -> None:
        if self._pidfile is not None:
            self._pidfile.remove()
        self._processes.close()
        self._log.close()
        self._loop.close()

    # ---- places -------------------------------------------------------------------------------

    def _switch_log(self, settings: Settings) -> None:
        try:
            self._log.configure(
                nodaemon=settings.nodaemon,
                logfile=self._from_start(settings.logfile),
                facility=settings.logfacility,
                ident=settings.logident,
            )
        except LogfileError as error:
            # bare, as lsyncd says it: there is no log to say it in
            sys.stderr.write(f"{error}\n")
            raise Died(str(error)) from None
        self._processes.output = self._log.logfile if not settings.nodaemon else None

    def _from_start(self, path: str | None) -> str | None:
        """A path as it was meant where the daemon was started, also when it has gone to / since."""
        return os.path.join(self._directory, path) if path else None

    def _open_pidfile(self, settings: Settings) -> None:
        if settings.pidfile is not None and self._pidfile is None:
            self._pidfile = PidFile(settings.pidfile)

    def _check(self, settings: Settings) -> None:
        """Raise where a configuration that has loaded would end the daemon when it is put to work."""
        self._check_monitor(settings)
        content_flags(settings.inotify_mode)
        self._log.check(logfile=self._from_start(settings.logfile), facility=settings.logfacility)
        if settings.control_socket is not None:
            check_place(settings.control_socket)

    def _check_monitor(self, settings: Settings) -> None:
        if settings.monitor is not None and settings.monitor not in (AUTO, *self._monitors):
            raise MonitorError(f'event monitor "{settings.monitor}" unknown.')


def _fading(signum: signal.Signals) -> str:
    return f"--- {signum.name.removeprefix('SIG')} signal, fading ---"


def _check_sources(runner: Runner, config: LuaConfig) -> None:
    """Raise where a source is gone: a startup would take for it what is there now (spec 6 row 22)."""
    gone = {sync.source for sync in runner.syncs if sync.life.is_suspended}
    for sync in config.syncs:
        if sync.source in gone:
            source = sync.source.decode("utf-8", "surrogateescape")
            raise ConfigError(f"source {source} is gone: the target would become as empty as what is there now.")
