"""What all syncs of a daemon share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.logic.alarms import Alarms
from orchestrator.logic.endpoint import Endpoint
from orchestrator.process.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.clock import Clock
    from orchestrator.log import Log
    from orchestrator.logic.maxdelete import MaxDelete
    from orchestrator.logic.tunnel import TunnelOptions
    from orchestrator.process.processes import Processes
    from orchestrator.sync.hooks import Hooks


@dataclass
class Host:
    """The daemon as its syncs see it. `max_processes`: over all syncs, None for no limit.

    `fading`: nothing is started any more. `hooks`: the plugins that observe.
    """

    clock: Clock
    log: Log
    processes: Processes
    hooks: Hooks
    max_processes: int | None = None
    insist: bool = False
    onepass: bool = False
    transfer_timeout: float | None = None
    max_delete: MaxDelete | None = None
    log_sync: bool = False
    """What is logged of a sync begins with its name (setting `logSync`)."""
    fading: bool = False
    alarms: Alarms = field(default_factory=Alarms)
    deadlines: Alarms = field(default_factory=Alarms)
    """Of transfers: as alarms, but minded while fading, too."""
    tunnels: list[Tunnel] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    busy: Callable[[int], AbstractContextManager[None]] = lambda work: nullcontext()
    """A context for work on so many changes: what else must go on meanwhile, does."""
    is_told: Callable[[], bool] = lambda: False
    """Whether the daemon has been told to end or to start over, and does not do so yet."""

    def add_tunnel(self, options: TunnelOptions) -> bool:
        """Make a tunnel; the runner starts it. False: there is one with that name already."""
        if any(tunnel.name == options.name for tunnel in self.tunnels):
            return False
        self.tunnels.append(Tunnel(options, self.processes, self.clock, self.alarms, self.log))
        return True

    def log_of(self, name: str) -> Callable[..., None]:
        """The log as the sync of that name writes to it. Whether it says its name is asked each time: the config that
        sets that is still being read when its syncs are made."""
        log, prefix = self.log, f"[{name}] "

        def log_for_sync(category: str, *parts: str | bytes | int) -> None:
            if self.log_sync:
                log(category, prefix, *parts)
            else:
                log(category, *parts)

        return log_for_sync

    def endpoint(self, name: str) -> Endpoint:
        """The one with this name; made when it is first asked for."""
        return self.endpoints.setdefault(name, Endpoint(name))

    def is_at_limit(self) -> bool:
        return self.max_processes is not None and len(self.processes) >= self.max_processes
