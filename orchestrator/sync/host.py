"""The services that all syncs of a daemon share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orchestrator.logic.alarms import Alarms
from orchestrator.logic.endpoint import Endpoint
from orchestrator.process.tunnel import Tunnel
from orchestrator.sync.feed import Feed
from orchestrator.sync.startups import Startups

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.clock import Clock
    from orchestrator.log import Log
    from orchestrator.logic.maxdelete import MaxDelete
    from orchestrator.logic.tunnel import TunnelOptions
    from orchestrator.process.processes import Processes
    from orchestrator.process.sshshare import SshConnections
    from orchestrator.sync.hooks import Hooks
    from orchestrator.sync.verifications import Verifications


CLOCK_SET: Final = 0.05
"""Seconds by which the system's clock has moved if it was set, and not merely read a moment later."""


@dataclass(frozen=True)
class RunOptions:
    """The settings that the syncs work by (configs/README.md)."""

    max_processes: int | None = None
    """Over all syncs; None: no limit."""
    insist: bool = False
    onepass: bool = False
    transfer_timeout: float | None = None
    """Seconds; None: a transfer may take as long as it likes."""
    max_delete: MaxDelete | None = None
    max_startups: int | None = None
    """Syncs that may do their startups at once; None: all."""
    stale_after: float = 600.0
    """Seconds after which a sync counts as stuck whose changes are not transferred; 0: none ever does."""
    log_sync: bool = False
    """A log line about a sync begins with its name."""
    has_short_lists: bool = False
    """Log messages list ten paths of a transfer at most."""
    ssh_share: float = 0.0
    """Seconds for which a shared ssh connection stays open unused; 0: none is shared."""


class Run:
    """What all syncs of the daemon go by, whichever configuration they come from."""

    def __init__(self, options: RunOptions | None = None) -> None:
        self.options = options or RunOptions()
        self.announced = 0
        """Transfers that are about to begin, of all syncs."""
        self.is_fading = False
        """Nothing is started any more."""
        self.wall_offset = 0.0
        """Seconds since 1970 at zero of the monotonic clock, as it was last taken; see Host.since_1970."""
        self.busy: Callable[..., object] = lambda work, call, *arguments: call(*arguments)
        """`busy(work, call, …)` calls something that works on so many changes: what else must go on meanwhile, does."""

    def begin(self, options: RunOptions) -> None:
        """A config is put to work: its settings count from now on, for the syncs that a reload keeps as well."""
        self.options = options

    def drain_when_busy(self, busy: Callable[..., object]) -> None:
        """From now on events are read: `busy` keeps that going during heavy work."""
        self.busy = busy

    def fade(self) -> None:
        """Start nothing any more."""
        self.is_fading = True


@dataclass(frozen=True)
class Host:
    """The daemon as its syncs see it. `hooks`: the plugins that observe."""

    clock: Clock
    log: Log
    processes: Processes
    hooks: Hooks
    run: Run = field(default_factory=Run)
    is_stop_requested: Callable[[], bool] = lambda: False
    """Whether a signal has asked the daemon to end or to start over, and it does not do so yet."""
    alarms: Alarms = field(default_factory=Alarms)
    deadlines: Alarms = field(default_factory=Alarms)
    """Of transfers: as alarms, but minded while fading, too."""
    tunnels: list[Tunnel] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    startups: Startups = field(default_factory=Startups)
    feed: Feed = field(default_factory=Feed)
    shared_ssh: list[SshConnections] = field(default_factory=list)
    """The ssh connections that syncs share; nothing before the first sync asks for one."""

    verifying: list[Verifications] = field(default_factory=list)
    """The verifications of syncs; nothing before the first is asked for."""

    @property
    def verifications(self) -> Verifications:
        """The verifications of all syncs."""
        if not self.verifying:
            from orchestrator.sync.verifications import Verifications  # late: few daemons need it

            self.verifying.append(Verifications())
        return self.verifying[0]

    @property
    def ssh(self) -> SshConnections:
        """The ssh connections that syncs share."""
        if not self.shared_ssh:
            from orchestrator.process.sshshare import SshConnections  # late: few daemons need it

            self.shared_ssh.append(SshConnections(self.processes, self.clock, self.alarms, self.deadlines, self.log))
        return self.shared_ssh[0]

    def add_tunnel(self, options: TunnelOptions) -> bool:
        """Make a tunnel; the runner starts it. False: there is one with that name already."""
        if any(tunnel.name == options.name for tunnel in self.tunnels):
            return False
        self.tunnels.append(Tunnel(options, self.processes, self.clock, self.alarms, self.log))
        return True

    def log_of(self, name: str) -> Callable[..., None]:
        """The log as the sync of that name writes to it. Whether a line begins with the name is decided each time: the
        config that sets that is still being read when its syncs are made."""
        log, run, prefix = self.log, self.run, f"[{name}] "

        def log_for_sync(category: str, *parts: str | bytes | int) -> None:
            if run.options.log_sync:
                log(category, prefix, *parts)
            else:
                log(category, *parts)

        return log_for_sync

    def since_1970(self, moment: float) -> float:
        """A time of the monotonic clock in seconds since 1970. The same moment has the same time whenever it is asked
        for, until somebody sets the system's clock."""
        offset = self.clock.wall() - self.clock.now()
        if abs(offset - self.run.wall_offset) > CLOCK_SET:
            self.run.wall_offset = offset
        return self.run.wall_offset + moment

    def endpoint(self, name: str) -> Endpoint:
        """The one with this name; made when it is first asked for."""
        return self.endpoints.setdefault(name, Endpoint(name))

    def is_at_limit(self) -> bool:
        most = self.run.options.max_processes
        return most is not None and len(self.processes) + self.run.announced >= most
