"""Owns what a configuration is made of: syncs, monitors, status file. One `cycle` is one turn's work.

A Runner lives as long as its daemon, and goes over to another configuration when that is loaded. It knows what is due
when; the loop only waits.
"""

from __future__ import annotations

import select
from contextlib import contextmanager
from functools import partial
from time import asctime, localtime
from typing import TYPE_CHECKING

from orchestrator.logic.alarms import INFINITY
from orchestrator.logic.backoff import Backoff
from orchestrator.logic.roots import RootIndex
from orchestrator.logic.secrets import mask
from orchestrator.logic.summary import summary
from orchestrator.logic.text import counted
from orchestrator.monitor.drainer import Drainer
from orchestrator.monitor.filesystems import file_system_of, is_silent
from orchestrator.monitor.monitors import DEFAULT, MonitorFailed, Monitors
from orchestrator.monitor.presence import Presence
from orchestrator.monitor.privatemounts import PrivateMounts
from orchestrator.monitor.ways import Ways, links
from orchestrator.process.tunnels import Tunnels
from orchestrator.sync.identity import identity_of
from orchestrator.sync.inflow import Inflow
from orchestrator.sync.life import ATTENTION
from orchestrator.sync.statusfile import Report, StatusFile, SyncReport, Trouble, TunnelReport
from orchestrator.sync.succession import Succession
from orchestrator.sync.toodeep import LONGEST_PATH, TooDeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.config.lua.loader import LuaConfig
    from orchestrator.config.settings import Settings
    from orchestrator.masterloop import LoopLike
    from orchestrator.monitor.base import Monitor, MonitorKind
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.state.keeper import Source
    from orchestrator.state.states import States
    from orchestrator.sync.host import Host
    from orchestrator.sync.life import State
    from orchestrator.sync.steering import Steering
    from orchestrator.sync.sync import Sync

PROGRESS_INTERVAL = 10.0
"""Seconds between two lines about a tree that takes long to watch (spec 6 row 21)."""


READ_ALL_WITHIN = 1.0
"""Seconds. Under a writer that never stops, reading must come to an end."""

RETRY_AFTER = 1.0
"""Seconds until what could not be read, as descriptors or memory were short, is tried again."""

FIRST_PAUSE = 2.0
"""Seconds for which a source is left alone that moves faster than anybody can follow; doubled each time."""

QUIET = 60.0
"""Seconds after which the pauses of such a source begin anew."""

NOT_WHAT_THE_MACHINE_HAS = (
    ": something was mounted over it that only this process sees (as ProtectKernelModules=, PrivateTmp= and"
    " the like in a service's unit do): what is missing here is deleted on the target. Take that out, or exclude it."
)

NAME_MAX = 255
"""Bytes of one name."""

HEAVY = 4096
"""Changes whose handling may take long enough for the kernel's queue to overflow."""


class Runner:
    """The syncs of one configuration at work."""

    def __init__(
        self,
        host: Host,
        loop: LoopLike,
        config: LuaConfig,
        settings: Settings,
        monitors: Mapping[str, MonitorKind],
    ) -> None:
        """`monitors`: the kinds that there are, by name."""
        self.host = host
        self.config = config
        self.settings = settings
        self.syncs = config.syncs
        self.overflows = 0
        """Of the kernel's queues, since the start."""
        self._loop = loop
        self._first = 0
        self._soonest: float | None = None  # when a sync has something to do, while that is known
        self._roots = RootIndex((sync.source, sync) for sync in self.syncs)
        self._status: StatusFile | None = None
        self._presence: Presence | None = None
        self._tunnels = Tunnels(host.clock, host.alarms)
        self._succession = Succession(host)
        self._on_follow: Callable[[], None] | None = None  # called once, when a sync of a reload begins
        self._older_configs: list[LuaConfig] = []  # of syncs that reloads have kept
        self._is_changing = False  # from one configuration to another
        self._states: dict[Sync, State] = {}
        self._reports_states = host.hooks.has("orchestrator_sync_state")
        self._next_progress = 0.0
        self._check_for_end: Callable[[], None] = lambda: None
        self._recorded: States | None = None
        self._older_states: list[States] = []
        self._too_deep = TooDeep(host.log)
        self._wanted = _Wanted(self._roots, self._too_deep)
        self._monitors = Monitors(monitors, settings.inotify_mode, self._wanted, host.log)
        self._monitor_of: dict[Sync, Monitor] = {}
        self._watched_by: dict[Monitor, Inflow] = {}
        self._unread = select.poll()  # over the monitors: whether any of them has something to report
        self._retrying: set[Monitor] = set()  # that are read again, as they had a shortage
        self._ways: Ways | None = None
        self._pauses: dict[bytes, Backoff] = {}  # of sources that moved too fast to be followed
        self._resumed: dict[bytes, float] = {}  # when they were last
        self._steering: Steering | None = None

    def _monitor_name(self, sync: Sync) -> str:
        """The setting comes before the sync's own key (spec 2.3)."""
        return self.settings.monitor or sync.options.monitor or DEFAULT

    def _warn_of_silent_sources(self, syncs: Sequence[Sync]) -> None:
        for source in dict.fromkeys(sync.source for sync in syncs if self._monitor_name(sync) != "poll"):
            kind = file_system_of(source)
            if is_silent(kind):
                unheard = f' lies on {kind}: changes made by other machines go unnoticed; the monitor "poll" sees them.'
                self.host.log("Warn", source, unheard)

    def _warn_of_private_mounts(self, syncs: Sequence[Sync]) -> None:
        mounts, wanted = PrivateMounts(), self._wanted
        for source in dict.fromkeys(sync.source for sync in syncs):
            for place in mounts.within(source):
                if place.rstrip(b"/") + b"/" == source or wanted(place.rstrip(b"/") + b"/"):
                    self.host.log("Warn", place, NOT_WHAT_THE_MACHINE_HAS)

    def _warn_of_what_may_delete(self, syncs: Sequence[Sync]) -> None:
        if self.settings.max_delete is None:
            return
        names = [sync.name for sync in syncs if not sync.options.has_max_delete]
        if names:
            unbound = "what they run deletes as it likes."
            self.host.log("Warn", f"the setting maxDelete has no say over {', '.join(names)}: {unbound}")

    def start(self, check_for_end: Callable[[], None]) -> None:
        """Watch every source and begin the startups, in the order in which the syncs were made (spec 1.2).

        A startup does not wait for the trees of later syncs to be watched: what changes meanwhile is queued anyway.
        `check_for_end` is called now and then while trees are walked, and may raise.
        """
        self._check_for_end = check_for_end
        self.config.begin()
        self._prepare(self.syncs)
        self._open_states()
        self._change_tunnels(self.syncs, keeps=lambda tunnel: False)
        for sync in self.syncs:
            self._begin(sync)
            if not self.host.is_at_limit():
                sync.invoke(self.host.clock.now())
        if self._reports_states:
            self._report_states()
        self._listen()
        self._watch_ways()
        self.host.processes.before_end = self.read_all
        self.host.run.drain_when_busy(self._while_draining)
        self._open_status_file()
        self.touch()

    def _prepare(self, syncs: Sequence[Sync]) -> None:
        """Syncs are about to begin: warn of what may be wrong with them."""
        self._next_progress = self.host.clock.now() + PROGRESS_INTERVAL
        self._warn_of_silent_sources(syncs)
        self._warn_of_private_mounts(syncs)
        self._warn_of_what_may_delete(syncs)

    def _begin(self, sync: Sync) -> None:
        """Have its source watched, and queue its startup."""
        sync.on_filters_changed = self._refilter
        if self._steering is not None:
            self._steering.begin(sync)
        monitor = self._monitors.watch(self._monitor_name(sync), sync.source, self._tell_progress)
        self._monitor_of[sync] = monitor
        for root in monitor.lost_roots():  # with insist, one may not be there yet
            for owner in self._roots.at(root):
                owner.suspend()
        self._keep_state_of(sync)
        sync.start()
        self._check_for_end()

    def _listen(self) -> None:
        """Each monitor's changes go to the syncs that it watches for, from now on."""
        syncs_of: dict[Monitor, list[Sync]] = {}
        for sync in self.syncs:
            syncs_of.setdefault(self._monitor_of[sync], []).append(sync)
        for monitor, syncs in syncs_of.items():
            roots = RootIndex((sync.source, sync) for sync in syncs)
            inflow = self._watched_by.get(monitor)
            if inflow is not None:
                inflow.syncs = roots
                continue
            self._watched_by[monitor] = Inflow(self.host, roots, self._too_deep)
            self._loop.add_reader(monitor.fileno(), partial(self._read_from, monitor))
            self._unread.register(monitor.fileno(), select.POLLIN)

    def _watch_ways(self) -> None:
        self._ways = self._links_on_the_way()
        if self._ways:
            self._loop.add_reader(self._ways.fileno(), self._look_after_ways)
            self._look_after_ways(anew=True)

    def _forget_ways(self) -> None:
        if self._ways:
            self._loop.remove_reader(self._ways.fileno())
            self._ways.close()
            self._ways = None

    def _open_status_file(self) -> None:
        settings = self.settings
        if not settings.status_file:
            return
        self._status = StatusFile(
            settings.status_file, settings.status_interval, self.host.log, heartbeat=settings.status_heartbeat
        )
        self._presence = _presence()
        if self._presence:
            self._loop.add_reader(self._presence.fileno(), self._look_after_status)

    def _close_status_file(self) -> None:
        if self._presence:
            self._loop.remove_reader(self._presence.fileno())
            self._presence.close()
        self._presence = self._status = None

    def _open_states(self) -> None:
        """Open the directory of recorded states, where the config wants them."""
        directory = self.settings.state_dir
        before, self._recorded = self._recorded, None
        if before is not None and before.directory == directory:
            self._recorded = before
            return
        if before is not None:
            self._older_states.append(before)  # of syncs that leave, or go on
            if self._steering is not None:
                self._steering.remember(None)
        if directory is None:
            return
        from orchestrator.state.place import Unusable  # late: SQLite, which few have a use for
        from orchestrator.state.states import States

        warn = partial(self.host.log, "Warn")
        try:
            self._recorded = States(directory, self._loop, warn)
            if self._steering is not None or len(self._recorded.paused):
                self.steering.remember(self._recorded.paused)
        except Unusable as error:
            warn(f"stateDir {directory} cannot be used, each start is a full one: {error}.")

    def _keep_state_of(self, sync: Sync) -> None:
        """Record what its target has, where its action has a use for that."""
        states = self._recorded
        if states is None or sync.resumable is None or not sync.calls.is_of_plugin():
            return
        kind = states.untrusted(sync.source)
        if kind:
            self.host.log(
                "Warn",
                f"no state of {sync.name} is kept, as not all of its source is on a local file system",
                f" that is known to keep inodes and times: {kind}.",
            )
            return
        sync.keep(states.of(sync.name, partial(_source_of, sync)), sync.resumable)

    def _change_tunnels(self, fresh: Sequence[Sync], keeps: Callable[[Tunnel], bool]) -> None:
        """The configuration's tunnels are at work from now on. `fresh`: syncs that have not begun; `keeps`: see
        Tunnels."""
        kept = self._tunnels.replace(self.config.host.tunnels, keeps)
        for sync in fresh:
            tunnel = sync.transfers.tunnel
            if tunnel in kept:
                sync.go_through(kept[tunnel])
        self._tunnels.settle(self._succession.uses)

    @property
    def steering(self) -> Steering:
        """Does with the syncs as an administrator asks."""
        if self._steering is None:
            from orchestrator.sync.steering import Steering  # late: few daemons need it

            self._steering = Steering(self.host)
            if self._recorded is not None:
                self._steering.remember(self._recorded.paused)
        return self._steering

    # ---- another configuration ----------------------------------------------------------------

    def replace(
        self, config: LuaConfig, settings: Settings, kept: Mapping[Sync, Sync], monitors: Mapping[str, MonitorKind],
        on_follow: Callable[[], None],
    ) -> None:  # fmt: skip
        """Go over to another configuration. `kept`: syncs of it that are the same as one at work, which goes on in
        their place. All others begin anew, each when the transfers of those before it have ended (see Succession).
        `on_follow` is called when the first of them begins.

        Nothing that changes meanwhile goes unnoticed: sources are watched for the new syncs before the old ones go.
        """
        self.read_all()
        self._on_follow = on_follow
        before, self.settings = self.settings, settings
        syncs = [kept.get(sync, sync) for sync in config.syncs]
        gone = [sync for sync in self.syncs if sync not in kept.values()]
        fresh = [sync for sync in config.syncs if sync not in kept]
        self._states = {sync: state for sync, state in self._states.items() if sync not in gone}
        self.syncs, self._first = syncs, 0
        self._change_config(config, kept)
        self._prepare(fresh)
        self._open_states()
        self._succession.replace(gone, syncs, fresh)
        # a tunnel that is the same goes on with the syncs; made anew with all of them, unless a transfer still uses it
        self._change_tunnels(fresh, keeps=(lambda tunnel: True) if kept else self._succession.uses)
        self._roots = self._wanted.roots = RootIndex((sync.source, sync) for sync in syncs)
        for monitor in [monitor for monitor in self._monitors if monitor not in self._watched_by]:
            self._monitors.drop(monitor)  # it has failed
        if _of_monitors(settings) != _of_monitors(before):
            self._monitors = Monitors(monitors, settings.inotify_mode, self._wanted, self.host.log)
        for sync in fresh:
            self._begin(sync)
        for old in gone:
            if old.life.is_left_alone:
                self._leave_alone_as(old)
        self._listen()
        self._unwatch(gone)
        self._forget_ways()
        self._watch_ways()
        if _of_status_file(settings) != _of_status_file(before):
            self._close_status_file()
            self._open_status_file()
        for connections in self.host.shared_ssh:
            connections.renew()
        self._settle()
        self.touch()

    def has_callbacks(self) -> bool:
        """Whether functions of the user's are called that belong to no sync."""
        return any(config.has_callbacks for config in (*self._older_configs, self.config))

    def _change_config(self, config: LuaConfig, kept: Mapping[Sync, Sync]) -> None:
        """Syncs that go on do so with the tables of the new config, but for those with functions of the user's: these
        have a state, and their config stays as long as they do."""
        configs = [*self._older_configs, self.config]
        for same, sync in kept.items():
            if sync.fingerprint is not None and not sync.fingerprint.has_functions:
                before = next(before for before in configs if before.syncs_by_number.get(sync.number) is sync)
                config.move_in(sync, same, before)
            else:
                config.leave_out(same)
        going_on = set(kept.values())
        self._older_configs = [old for old in configs if not going_on.isdisjoint(old.syncs_by_number.values())]
        for old in configs:
            if old not in self._older_configs:
                old.close()
        self.config = config
        config.begin()

    def _leave_alone_as(self, old: Sync) -> None:
        """Nobody listens to the source of an old sync until its pause is over: that holds for those that follow."""
        for sync in self._roots.at(old.source):
            if not sync.life.is_left_alone and self._monitor_of[sync] is self._monitor_of[old]:
                sync.life.leave_alone()

    def _unwatch(self, gone: Sequence[Sync]) -> None:
        """End the watches that only syncs that are gone have needed, and monitors that no sync uses any more."""
        has_dropped_rules = any(self._has_watched_otherwise(sync) for sync in gone)
        monitor_of = {sync: self._monitor_of.pop(sync) for sync in gone}
        in_use = set(self._monitor_of.values())
        for sync, monitor in monitor_of.items():
            if monitor in in_use and monitor in self._watched_by:
                with self._stopping_syncs_of(monitor):
                    monitor.unwatch(sync.source)
        for monitor in set(monitor_of.values()) - in_use:
            if monitor in self._watched_by:
                self._read_from(monitor)  # what it knows still goes to the old syncs, and from them to the new ones
            if monitor in self._watched_by:
                self._stop_reading(monitor)
            self._monitors.drop(monitor)
        if has_dropped_rules:
            self._rescan()

    def _has_watched_otherwise(self, old: Sync) -> bool:
        """Whether directories are still watched that old rules may have wanted, and others may not."""
        near = [sync for sync in self.syncs if sync.source.startswith(old.source) or old.source.startswith(sync.source)]
        rules = old.filters.rules()
        return bool(near) and not any(sync.source == old.source and sync.filters.rules() == rules for sync in near)

    def _stop_reading(self, monitor: Monitor) -> None:
        del self._watched_by[monitor]
        self._loop.remove_reader(monitor.fileno())
        self._unread.unregister(monitor.fileno())

    def _settle(self) -> None:
        """Syncs have their turn when transfers of those before them have ended; tunnels come and go."""
        self._succession.settle()
        self._tunnels.settle(self._succession.uses)
        self._is_changing = len(self._succession) > 0 or self._tunnels.is_changing
        if self._on_follow is not None and not all(sync.life.is_awaiting for sync in self.syncs):
            on_follow, self._on_follow = self._on_follow, None
            on_follow()

    def close(self) -> None:
        """Stop watching and serving. Transfers go on, tunnels are asked to end."""
        self._close_status_file()
        self._forget_ways()
        self.host.run.fade()
        self._tunnels.close()
        for connections in self.host.shared_ssh:
            connections.close()
        self.host.processes.before_end = lambda: None
        for sync in self.syncs:
            sync.transfers.holds.close()
            sync.close()
        self._succession.close()
        for states in (*self._older_states, self._recorded):
            if states is not None:
                states.close()
        for monitor in self._watched_by:
            self._loop.remove_reader(monitor.fileno())
        self._monitors.close()
        for config in (*self._older_configs, self.config):
            config.close()

    # ---- one turn -----------------------------------------------------------------------------

    def timeout(self) -> float | None:
        """Seconds until something is due by itself; None: never (spec 3.8). To be asked after a cycle."""
        host = self.host
        soonest = min(host.alarms.soonest, host.deadlines.soonest)
        if self._status:
            written = self._status.alarm()
            soonest = soonest if written is None else min(soonest, written)
        if not host.is_at_limit():
            soonest = min(soonest, self._soonest_of_syncs())
        return None if soonest == INFINITY else max(0.0, soonest - host.clock.now())

    def _soonest_of_syncs(self) -> float:
        """When the first of them has something to do. The cycle before this has asked; if it has called nothing, and
        nothing has come in, that is so still."""
        if self._soonest is not None:
            return self._soonest
        soonest = INFINITY
        for sync in self.syncs:
            alarm = sync.next_alarm()
            if alarm is not None:
                soonest = min(soonest, alarm)
        return soonest

    def cycle(self) -> None:
        """Do what is due: alarms, delays, the status file."""
        if self._is_changing:
            self._settle()
        if self._steering is not None:
            self._steering.settle()
        now = self.host.clock.now()
        for alarms in (self.host.deadlines, self.host.alarms):
            while alarms.soonest <= now and (callback := alarms.pop_due(now)) is not None:
                callback()
                self.touch()
        # The one that started something last goes last, so under the global limit each has its turn (spec 3.5).
        count, first = len(self.syncs), self._first
        soonest, has_called = INFINITY, False
        for place in range(first, first + count):
            sync = self.syncs[place % count]
            alarm = sync.next_alarm()
            if alarm is None:
                continue
            if alarm > now:
                soonest = min(soonest, alarm)
                continue
            running, has_called = len(sync.transfers), True
            self._while_draining(len(sync.queue), sync.invoke, now)
            if len(sync.transfers) > running:
                self._first = (place + 1) % count
            self.touch()
        if self._status and self._status.write_if_due(now, self._report):
            written = self._status.written
            if self._presence and written and not self._presence.watch(self._status.path, written):
                self._status.has_gone(now)
            self.host.hooks.tell("orchestrator_status_written", path=self._status.path)
            has_called = True
        if self._reports_states and self._report_states():
            has_called = True
        self._soonest = None if has_called else soonest

    def _report_states(self) -> bool:
        """Report the state of each sync to the hooks, where it has changed since the last report. Gives whether any
        was reported."""
        has_reported = False
        for sync in self.syncs:
            state = sync.state
            if self._states.get(sync) is not state:
                self._states[sync] = state
                self.host.hooks.tell("orchestrator_sync_state", inlet=sync.inlet, state=state.value)
                has_reported = True
        return has_reported

    def _look_after_status(self) -> bool:
        """A status file that is rotated away, or deleted, is there again, though nothing has changed."""
        has_gone = self._presence is not None and self._presence.has_gone()
        if has_gone and self._status:
            self._status.has_gone(self.host.clock.now())
        return has_gone

    @property
    def is_changing(self) -> bool:
        """Whether a reload is not over: transfers or tunnels of the configuration before are still at work."""
        return self._is_changing

    def summary(self) -> str:
        """How the syncs are doing, in one line."""
        return summary((sync.state.value for sync in self.syncs), sum(len(sync.queue) for sync in self.syncs))

    def touch(self) -> None:
        """Something may have changed that the status file shows."""
        if self._status:
            self._status.touch()

    def is_done(self) -> bool:
        """Whether with `onepass` there is nothing left to do (spec 1.5)."""
        return not len(self.host.processes) and all(
            sync.life.is_started_up or sync.life.is_stopped or sync.life.is_suspended or sync.life.is_paused
            for sync in self.syncs
        )

    def has_succeeded(self) -> bool:
        """Whether every sync's startup has been done, and none was stopped since."""
        return all(sync.life.is_started_up and not sync.life.is_stopped for sync in self.syncs)

    def has_failed(self) -> bool:
        """Whether any sync was stopped for good."""
        return any(sync.life.is_stopped for sync in self.syncs)

    # ---- events -------------------------------------------------------------------------------

    def _read_from(self, monitor: Monitor) -> bool:
        """A slice of what has changed. False: woken for nothing, as a monitor of whole file systems is by our own
        status file, too.
        """
        inflow = self._watched_by.get(monitor)
        if inflow is None:
            return False
        has_changed = True
        try:
            has_changed = self._take_in(monitor, inflow)
            for root in inflow.restless(is_behind=monitor.is_behind()):
                self._pause(monitor, inflow, root)
            if len(inflow):
                self._loop.soon(partial(self._read_from, monitor))
        except MonitorFailed as error:
            self._stop_syncs_of(monitor, error)
        return has_changed

    def _take_in(self, monitor: Monitor, inflow: Inflow) -> bool:
        self._soonest = None  # what comes in may be due
        if len(inflow):  # from the last time
            monitor.drain()
            self._while_draining(len(inflow), inflow.work)
            return True
        changes = monitor.read()
        if monitor.has_shortage() and monitor not in self._retrying:
            self._retrying.add(monitor)
            self.host.alarms.add(self.host.clock.now() + RETRY_AFTER, partial(self._retry, monitor))
        inflow.take(changes)
        if changes:
            self._while_draining(len(changes), inflow.work)
        has_changed = self._look_after_roots(monitor, inflow.syncs) or bool(changes)
        if monitor.overflowed:
            monitor.overflowed = False
            self._recover(monitor, inflow)
            has_changed = True
        return has_changed

    def _retry(self, monitor: Monitor) -> None:
        self._retrying.discard(monitor)
        self._read_from(monitor)

    def _pause(self, monitor: Monitor, inflow: Inflow, root: bytes) -> None:
        """Pauses a source that moves faster than its changes can be worked off, each time for longer."""
        syncs = [sync for sync in inflow.syncs.at(root) if not sync.life.is_left_alone]
        if not syncs:
            return
        now = self.host.clock.now()
        pause = self._pauses.setdefault(root, Backoff(FIRST_PAUSE))
        if now - self._resumed.get(root, now) > QUIET:
            pause.succeed()
        pause.fail()
        monitor.pause(root)
        for sync in syncs:
            sync.leave_alone(pause.pause)
        self.host.alarms.add(now + pause.pause, partial(self._resume, monitor, root))

    def _resume(self, monitor: Monitor, root: bytes) -> None:
        inflow = self._watched_by.get(monitor)
        if inflow is None or not any(sync.life.is_left_alone for sync in inflow.syncs.at(root)):
            return
        with self._stopping_syncs_of(monitor):
            monitor.resume(root, self._tell_progress)
            self._resumed[root] = self.host.clock.now()
            for sync in inflow.syncs.at(root):
                sync.look_through()
            self._look_after_roots(monitor, inflow.syncs)

    @contextmanager
    def _stopping_syncs_of(self, monitor: Monitor) -> Iterator[None]:
        """If a plugin's monitor fails, its syncs are stopped, as they would miss changes. The others go on."""
        try:
            yield
        except MonitorFailed as error:
            self._stop_syncs_of(monitor, error)

    def _stop_syncs_of(self, monitor: Monitor, error: MonitorFailed) -> None:
        if monitor in self._watched_by:
            self._stop_reading(monitor)
            for sync in self.syncs:
                if self._monitor_of.get(sync) is monitor:
                    sync.life.stop(f"its event monitor failed: {error.reason}")

    def read_all(self) -> None:
        """Every change that was made before this call is in the queue after it, if that takes no longer than a second.

        Called before a transfer is done with: else a Move that is still unread would find nothing to be blocked by, and
        be done on a target that already has what came after it.
        """
        if not self._has_unread() and not any(self._watched_by.values()):
            return  # as nearly always: no monitor has anything, and no inflow a rest
        end = self.host.clock.now() + READ_ALL_WITHIN
        for monitor, inflow in list(self._watched_by.items()):
            has_read = False
            with self._stopping_syncs_of(monitor):
                # whatever comes later than this was made later
                while monitor in self._watched_by and (not has_read or len(inflow) or monitor.is_behind()):
                    has_read = has_read or not len(inflow)
                    self._read_from(monitor)
                    if self.host.clock.now() >= end:
                        break

    def _has_unread(self) -> bool:
        try:
            return bool(self._unread.poll(0))
        except OSError:
            return True  # more descriptors than the process may have by now (prlimit(1)): poll(2) refuses

    def _while_draining(self, work: int, call: Callable[..., object], *arguments: object) -> None:
        """Call something; if that is heavy work, the kernel's queue is emptied meanwhile."""
        if work < HEAVY:  # as nearly always
            call(*arguments)
            return
        with Drainer(self._drain):
            call(*arguments)

    def _drain(self) -> None:
        for monitor in self._watched_by:
            monitor.drain()

    def _recover(self, monitor: Monitor, inflow: Inflow) -> None:
        """Events were lost. One full run of each sync finds the changes (spec 6 row 8)."""
        self.overflows += 1
        self.host.log("Normal", "--- OVERFLOW in event queue ---")
        for root in inflow.lost():
            self._pause(monitor, inflow, root)
        monitor.rescan(self._tell_progress)
        # nothing is mirrored from a source whose end was among what was lost
        self._look_after_roots(monitor, inflow.syncs)
        for sync in inflow.syncs.all():
            if not sync.life.is_left_alone:
                sync.request_full()

    def _look_after_roots(self, monitor: Monitor, syncs: RootIndex[Sync]) -> bool:
        """Sources that went away, or came back (spec 6 rows 7 and 22). Gives whether any did."""
        lost, returned = monitor.lost_roots(), monitor.returned_roots()
        for root in lost:
            for sync in syncs.at(root):
                sync.suspend()
        for root in returned:
            for sync in syncs.at(root):
                sync.resume()
        if lost and self._ways:
            self._loop.soon(partial(self._look_after_ways, anew=True))  # a directory on the way was moved, perhaps
        return bool(lost or returned)

    def _links_on_the_way(self) -> Ways | None:
        """The watch for links on the way to sources that come to lead elsewhere; None where there are no links."""
        paths = {sync.way for sync in self.syncs if sync.way.rstrip(b"/") + b"/" != sync.source and links(sync.way)}
        try:
            return Ways(paths) if paths else None
        except OSError as error:
            self.host.log("Warn", f"Cannot look after the links on the way to sources: {error.strerror}.")
            return None

    def _look_after_ways(self, *, anew: bool = False) -> bool:
        """Follows links on the way to sources that lead elsewhere by now."""
        found = self._ways.changed(anew=anew) if self._ways else None
        has_changed = False
        for sync in self.syncs if found else ():
            source = found.get(sync.way) if found else None
            if source is not None and source != sync.source:
                self._move(sync, source)
                has_changed = True
        if has_changed:
            self.touch()
        return has_changed

    def _move(self, sync: Sync, source: bytes) -> None:
        monitor = self._monitor_of[sync]
        inflow = self._watched_by.get(monitor)
        if inflow is None:
            return
        with self._stopping_syncs_of(monitor):
            monitor.unwatch(sync.source)
            for roots in (self._roots, inflow.syncs):
                roots.move(sync.source, sync, source)
            sync.move_to(source)
            monitor.watch(source, self._tell_progress)
            self._look_after_roots(monitor, inflow.syncs)

    def _refilter(self, sync: Sync) -> None:
        """Rules changed while running."""
        self._rescan()

    def _rescan(self) -> None:
        """Watch what is wanted now, drop what is not."""
        for monitor, inflow in list(self._watched_by.items()):
            with self._stopping_syncs_of(monitor):
                monitor.rescan(self._tell_progress)
                self._look_after_roots(monitor, inflow.syncs)

    def _tell_progress(self, directories: int) -> None:
        self._check_for_end()
        now = self.host.clock.now()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_INTERVAL
            self.host.log("Normal", f"watching {counted(directories, 'directory', 'directories')} so far")

    # ---- status -------------------------------------------------------------------------------

    def count_watches(self) -> tuple[int, int]:
        """The directories that are watched, and those that are polled for lack of watches."""
        watched = 0
        for monitor in list(self._watched_by):
            with self._stopping_syncs_of(monitor):
                watched += monitor.count_watched()
        return watched, len(self._listed(lambda monitor: monitor.polled()))

    def tunnel_status(self) -> list[dict[str, str]]:
        """Name and status of each tunnel."""
        return [{"name": tunnel.name, "status": tunnel.status.value} for tunnel in self._tunnels]

    def _listed(self, ask: Callable[[Monitor], list[bytes]]) -> list[bytes]:
        """What each monitor answers, one after the other."""
        found: list[bytes] = []
        for monitor in list(self._watched_by):
            with self._stopping_syncs_of(monitor):
                found += ask(monitor)
        return found

    def _trouble(self, sync: Sync) -> Trouble | None:
        """What the status file says more of a sync than lsyncd's: where somebody should have a look."""
        if sync.state not in ATTENTION:
            return None
        oldest, error = sync.oldest(), sync.history.last_error
        return Trouble(
            sync.state.value,
            None if oldest is None else self.host.since_1970(oldest),
            sync.history.last_success,
            None if error is None else error["time"],
            "" if error is None else error["cause"],
        )

    def _report(self) -> Report:
        return Report(
            wall=self.host.clock.wall(),
            syncs=[
                SyncReport(
                    name=mask(sync.name),
                    source=sync.source,
                    delays=sync.queue,
                    filters=sync.filters.filter_lines(),
                    excludes=sync.filters.excludes(),
                    retrying=sync.retrying,
                    trouble=self._trouble(sync),
                )
                for sync in self.syncs
            ],
            tunnels=[_tunnel_report(tunnel) for tunnel in self._tunnels],
            watched=self._listed(lambda monitor: monitor.watched()),
            polled=self._listed(lambda monitor: monitor.polled()),
        )


def _source_of(sync: Sync) -> Source:
    from orchestrator.state.keeper import Source  # late, see _open_states

    excludes = sync.filters.copy().excludes_path if sync.filters else None
    return Source(sync.source, identity_of(sync), excludes)


def _presence() -> Presence | None:
    try:
        return Presence()
    except OSError:  # as many instances as the user may have: a status file that goes is written with the next change
        return None


class _Wanted:
    """Whether any sync has a use for a directory (spec 3.2: excluded directories are not watched)."""

    def __init__(self, roots: RootIndex[Sync], too_deep: TooDeep) -> None:
        self.roots = roots
        self._too_deep = too_deep

    def __call__(self, directory: bytes) -> bool:
        if len(directory) > LONGEST_PATH:
            self._too_deep.warn(directory)
            return False
        return any(
            not sync.filters.excludes_path(directory[len(sync.source) - 1 :]) for sync in self.roots.of(directory)
        )

    def all_in(self, directory: bytes) -> bool:
        """Whether all directories in this one are wanted, since some sync excludes nothing."""
        if len(directory) + NAME_MAX + 1 > LONGEST_PATH:
            return False
        return any(not sync.filters for sync in self.roots.search(directory))


def _of_monitors(settings: Settings) -> tuple[str, str, float]:
    """The settings that a monitor is made with."""
    return settings.inotify_mode, settings.watch_limit, settings.poll_interval


def _of_status_file(settings: Settings) -> tuple[str | None, float, float | None]:
    """The settings that a status file is made with."""
    return settings.status_file, settings.status_interval, settings.status_heartbeat


def _tunnel_report(tunnel: Tunnel) -> TunnelReport:
    processes = [(pid, kind, asctime(localtime(started))) for pid, kind, started in tunnel.running()]
    return TunnelReport(tunnel.name, tunnel.status.value, processes)
