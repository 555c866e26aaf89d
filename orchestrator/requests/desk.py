"""The parts of the daemon that commands may reach, and the state of the daemon as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.log import Log
    from orchestrator.masterloop import LoopLike
    from orchestrator.runner import Runner


class DaemonState(Enum):
    """The state of a daemon as a whole."""

    STARTING = "starting"
    RUNNING = "running"
    RELOADING = "reloading"
    ENDING = "ending"


ReloadDone = Callable[[list[str], str], None]
"""Called when a reload is over: with the lines of the log about it, and why the old configuration stays, if it does."""


def _no_reload(done: ReloadDone) -> None: ...


def _nothing() -> None: ...


@dataclass
class Desk:
    """`began`: when the daemon was started, as `now`; `config`: the path of the config, None where the command line is
    all of it; `reload`: asks for one, as USR2 does. `log_changed`: other categories are shown than before.
    """

    runner: Runner
    loop: LoopLike
    log: Log
    began: float
    config: str | None = None
    reload: Callable[[ReloadDone], None] = _no_reload
    log_changed: Callable[[], None] = _nothing
    reloads: int = 0
    is_ending: bool = False

    @property
    def now(self) -> float:
        """Seconds, of the clock that nobody sets."""
        return self.runner.host.clock.now()

    @property
    def time(self) -> float:
        """Seconds since 1970."""
        return self.runner.host.clock.wall()

    @property
    def started(self) -> float:
        """Seconds since 1970."""
        return self.time - (self.now - self.began)

    @property
    def state(self) -> DaemonState:
        if self.is_ending:
            return DaemonState.ENDING
        if self.runner.is_changing:
            return DaemonState.RELOADING
        if any(sync.state.value == "starting" for sync in self.runner.syncs):
            return DaemonState.STARTING
        return DaemonState.RUNNING
