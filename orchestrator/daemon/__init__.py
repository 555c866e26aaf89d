"""The life of the process (spec 1.2 to 1.5): load, detach, run, reload on HUP, fade and leave on TERM.

The only place that catches everything: a known error is one line, a bug of ours a traceback.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.config.lua.loader import Installed
from orchestrator.config.settings import settings_by_name
from orchestrator.daemon.change import Change, change_of
from orchestrator.daemon.fading import Fading
from orchestrator.daemon.loading import Loaded, Loading
from orchestrator.daemon.serving import Serving, check
from orchestrator.daemon.signals import Signals, StopRequest
from orchestrator.daemon.system import System
from orchestrator.errors import (
    EXIT_FAILURE,
    Died,
    Interrupted,
    LogfileError,
    MonitorError,
    OrchestratorError,
    Terminated,
    trace,
)
from orchestrator.log import ALWAYS_SHOWN
from orchestrator.monitor.base import MonitorKind
from orchestrator.monitor.inotify import InotifyMonitor, content_flags
from orchestrator.monitor.monitors import AUTO, DEFAULT
from orchestrator.process.pidfile import CannotCreate, PidFile
from orchestrator.requests.desk import Desk
from orchestrator.runner import Runner
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.commandline import CommandLine
    from orchestrator.config.settings import Settings
    from orchestrator.daemon.orphans import OrphanedTransfers
    from orchestrator.requests.desk import ReloadDone
    from orchestrator.sync.host import RunOptions
    from orchestrator.sync.sync import Sync


def _inotify(settings: Settings) -> dict[str, MonitorKind]:
    """The built-in monitor as the settings want it."""
    if settings.watch_limit != "degrade":
        return {DEFAULT: MonitorKind(DEFAULT, InotifyMonitor)}
    from orchestrator.monitor.pollcycle import PollCycle  # only those who want it wait for it

    make_poll_cycle = partial(PollCycle, settings.poll_interval)
    return {DEFAULT: MonitorKind(DEFAULT, partial(InotifyMonitor, make_poll_cycle=make_poll_cycle))}


def _nothing() -> None: ...


class Daemon:
    """One process, from the parsed command line to its exit status."""

    def __init__(self, line: CommandLine, system: System | None = None) -> None:
        self._line = line
        self._system = system or System()
        self._clock = self._system.clock
        self._log = self._system.log
        self._loop = self._system.loop
        self._processes = self._system.processes
        self._service = self._system.service
        self._monitors: dict[str, MonitorKind] = {}
        self._hooks = Hooks(None, self._log)
        self._host: Host
        self._loading: Loading
        self._fading: Fading
        self._serving = Serving(self._log)
        self._reload_waiters: list[ReloadDone] = []
        self._began = self._clock.now()
        self._pidfile: PidFile | None = None
        self._orphaned: OrphanedTransfers | None = None
        self._is_starting = True
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:  # deleted
            self._directory = "/"
        self._signals = Signals(self._loop)

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
            self._log_cause(error)
            return error.exit_code
        except Exception:
            self._log("Error", _bug())
            return EXIT_FAILURE
        finally:
            self._leave()

    def _run(self) -> int:
        for category in self._line.log:
            self._log.enable(category)
        self._system.set_title((self._line.program, *self._line.arguments))
        manager = self._system.make_manager()
        for problem in manager.problems():
            self._log("Error", problem)
        for found in manager.found:
            if found.trace is not None:
                self._log("Debug", found.trace)
        actions, problems = manager.actions(), manager.problem_by_name()
        self._monitors = {DEFAULT: MonitorKind(DEFAULT, InotifyMonitor)} | manager.monitors()
        self._hooks = Hooks(manager.hook, self._log, self._clock.now)
        if self._line.asks_monitors:
            return self._list_monitors()
        is_stop_requested = self._signals.is_stop_requested
        self._host = Host(self._clock, self._log, self._processes, self._hooks, is_stop_requested=is_stop_requested)
        installed = Installed(actions, (AUTO, *self._monitors), problems, manager.settings())
        self._loading = Loading(
            self._line, self._directory, self._loop, self._make_host, installed, self._signals.unhandled_end
        )
        self._fading = Fading(self._clock, self._log, self._loop, self._processes, self._hooks, self._signals)
        runner = self._make_runner(self._detached())
        return self._live(runner)

    def _detached(self) -> Loaded:
        """The first configuration, once the process is the one that stays."""
        loaded = self._loading.load()
        self._check_monitor(loaded.settings)
        self._signals.install_stop_handlers()
        self._switch_log(loaded.settings)
        check(loaded.settings)
        self._log("Normal", "--- Startup ---" if loaded.settings.nodaemon else "--- Startup, daemonizing ---")
        if loaded.settings.nodaemon:
            try:
                self._open_pidfile(loaded.settings)
            except CannotCreate as error:  # lsyncd has none in the foreground, so nobody relies on it
                self._log("Warn", f"{error}: {error.reason}; going on without one.")
        else:
            self._system.detach(lambda: self._open_pidfile(loaded.settings))
        self._system.open_lifeline()
        return loaded

    def _make_host(self) -> Host:
        """For one configuration: all of the daemon's, but for its tunnels."""
        return replace(self._host, tunnels=[])

    def _list_monitors(self) -> int:
        print("This Lsyncd supports these monitors:", *(f"   {name}" for name in (*self._monitors, AUTO)), "", sep="\n")
        return EXIT_FAILURE

    # ---- one configuration after the other ----------------------------------------------------

    def _make_runner(self, loaded: Loaded) -> Runner:
        config, settings, options = loaded
        config.lock()
        self._system.spare_garbage()
        runner = Runner(self._host, self._loop, config, settings, self._monitors | _inotify(settings))
        self._put_to_work(options, settings, config.syncs)
        return runner

    def _live(self, runner: Runner) -> int:
        """Run to the end, with one configuration after the other. Nothing here holds on to the first."""
        try:
            try:
                runner.start(self._check_for_end)
            except Interrupted as error:
                self._log("Warn", str(error))
                self._read_signals()
            self._is_starting = False
            if runner.settings.nodaemon and os.isatty(1):
                from orchestrator.daemon.progress import StartupProgress  # late: few daemons are looked at

                StartupProgress(self._host, lambda: runner.syncs, self._log.show_progress)
            self._serving.open(self._make_desk(runner), runner.settings)
            self._service.ready()
            self._wait_for_orphaned_transfers(runner)
            self._turn(runner)
        finally:
            self._service.stopping()
            if self._orphaned is not None:
                self._orphaned.close()
            self._serving.close()
            runner.close()
            self._fading.end_helpers()
        return self._exit_status(runner)

    def _make_desk(self, runner: Runner) -> Desk:
        desk = Desk(runner, self._loop, self._log, self._began, config=self._line.config)
        desk.reload = self._ask_to_reload
        desk.log_changed = self._system.connect_plugins
        return desk

    def _ask_to_reload(self, done: ReloadDone) -> None:
        self._reload_waiters.append(done)
        self._signals.ask_to_reload()

    def _put_to_work(self, options: RunOptions, settings: Settings, syncs: Sequence[Sync]) -> None:
        """What counts for all is as this configuration has it from now on."""
        self._host.run.begin(options)
        self._processes.environment = dict(os.environb)
        inlets = [sync.inlet for sync in syncs]
        self._hooks.tell("orchestrator_configured", settings=settings_by_name(settings), inlets=inlets)

    def _wait_for_orphaned_transfers(self, runner: Runner) -> None:
        killed = self._pidfile.previous if self._pidfile is not None else None
        if killed is not None:
            from orchestrator.daemon.orphans import OrphanedTransfers  # late: few daemons need it

            self._orphaned = OrphanedTransfers(killed, lambda: runner.syncs, self._loop, self._log)

    def _turn(self, runner: Runner) -> None:
        """Turn until the end."""
        # Signals first: one that came while starting takes effect before anything more is spawned.
        self._loop.turn(0.0)
        while True:
            if self._signals.end is not None:
                self._service.stopping()
                self._serving.ending(f"signal {self._signals.end.name}")
                self._fading.stop(runner.host, self._signals.end)
                return
            request = self._signals.take_reload()
            if request is not None:
                self._service.reloading()
                self._reload_and_tell(runner, request)
                self._service.ready()
                continue
            try:
                runner.cycle()
                if self._is_over(runner):
                    return
                self._service.turned(runner.summary)
                now = self._clock.now()
                self._serving.work(now)
                if self._loop.turn(self._serving.timeout(now, self._service.limited(runner.timeout()))):
                    runner.touch()
            except Interrupted as error:
                self._log("Warn", str(error))
                self._read_signals()

    def _read_signals(self) -> None:
        """A function of the config was cut short: nothing else is begun before the signal is known."""
        while self._signals.end is None:
            try:
                self._loop.turn(0.0)
            except Interrupted as error:
                self._log("Warn", str(error))

    def _is_over(self, runner: Runner) -> bool:
        if all(sync.life.is_stopped for sync in runner.syncs):
            raise Died("every sync is stopped")
        if runner.settings.onepass and runner.is_done():
            if not runner.has_succeeded():
                raise Died("not every sync has done its startup")
            self._log("Info", "onepass active and all syncs finished. Exiting successfully")
            return True
        return False

    def _reload_and_tell(self, runner: Runner, request: StopRequest) -> None:
        """Read the configuration again, and tell those who have asked for that by the control socket."""
        waiters, self._reload_waiters = self._reload_waiters, []
        before, lines = runner.settings, []

        def hear(category: str, text: str) -> None:
            if category in ALWAYS_SHOWN:
                lines.append(f"{category}: {text}")

        with self._log.heard(hear):
            why = "by the control socket" if waiters and request is StopRequest.RELOAD else ""
            problem = self._reload(runner, request, why)
        for done in waiters:
            done(lines, problem)
        if not problem:
            self._serving.change(before, runner.settings)

    def _reload(self, runner: Runner, request: StopRequest, asked: str) -> str:
        """Read the configuration again. One that does not load leaves the old one at work (spec 6 row 9): gives what is
        wrong with it, else nothing. `asked`: how, if not by a signal."""
        is_reset = request is StopRequest.RESET
        signal_line = "--- HUP signal, resetting ---" if is_reset else "--- USR2 signal, reloading ---"
        self._log("Normal", f"--- asked {asked}, reloading ---" if asked else signal_line)
        loaded = self._load_again(runner, is_reset=is_reset)
        if isinstance(loaded, str):
            return loaded
        following, change = loaded
        self._switch_log(change.settings)
        self._put_to_work(following.options, change.settings, change.syncs)
        begins: Callable[[], None] = partial(self._log, "Normal", "--- Startup ---")
        if change.kept:
            self._log("Normal", f"reload: {change.summary}.")
            begins = _nothing
        else:
            self._hooks.tell("orchestrator_fading", reason="reset")
        for warning in change.warnings:
            self._log("Warn", warning)
        monitors = self._monitors | _inotify(change.settings)
        runner.replace(following.config, change.settings, change.kept, monitors, begins)
        self._system.collect_garbage()
        self._system.spare_garbage()
        return ""

    def _load_again(self, runner: Runner, *, is_reset: bool) -> tuple[Loaded, Change] | str:
        """The configuration as it is by now; or why it cannot be put to work, which has been logged."""
        following = None
        try:
            following = self._loading.load(insists=True)
            self._check(following.settings)
            following.config.lock()
            keeps_same = not is_reset or following.settings.reload == "changed"
            return following, change_of(runner, following, keeps_same=keeps_same)
        except Interrupted as error:
            self._log("Warn", str(error))
            self._read_signals()
            return str(error)
        except Exception as error:  # whatever it is: the old configuration has done nothing wrong
            problem = str(error) if isinstance(error, OrchestratorError) else _bug()
            self._log("Error", problem)
            self._log_cause(error)
            self._log("Error", "keeping the old configuration.")
            if following is not None:
                following.config.close()
            return problem

    def _log_cause(self, error: Exception) -> None:
        """Log the traceback of the exception of a plugin that led to an error, if there is one."""
        if isinstance(error, OrchestratorError) and error.__cause__ is not None:
            self._log("Debug", trace(error.__cause__))

    # ---- the end ------------------------------------------------------------------------------

    def _check_for_end(self) -> None:
        """Raise Terminated where a signal asks for the end: the loop stands still while trees are looked through."""
        self._service.busy(is_starting=self._is_starting)
        signum = self._signals.unhandled_end()
        if signum is not None:
            self._service.stopping()
            self._fading.stop(self._host, signum)  # startups of earlier syncs may run
            raise Terminated(128 + signum)

    def _exit_status(self, runner: Runner) -> int:
        if runner.has_failed():
            return EXIT_FAILURE
        return 128 + self._signals.end if self._signals.end is not None else 0

    def _leave(self) -> None:
        if self._pidfile is not None:
            self._pidfile.remove()
        self._system.close()

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
        self._system.connect_plugins()  # modules have been imported since: plugins, and what the config needs of them
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
        check(settings)

    def _check_monitor(self, settings: Settings) -> None:
        if settings.monitor is not None and settings.monitor not in (AUTO, *self._monitors):
            raise MonitorError(f'event monitor "{settings.monitor}" unknown.')


def _bug() -> str:
    """The log line about the exception that is being handled, which nobody foresaw."""
    import traceback

    return f"this is a bug of lsyncd-orchestrator:\n{traceback.format_exc()}"
