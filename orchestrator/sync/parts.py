"""What the parts of one sync share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.logic.queue import Queue
    from orchestrator.sync.calls import Calls
    from orchestrator.sync.figures import Figures
    from orchestrator.sync.history import History
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.life import Life
    from orchestrator.sync.retries import Retries


@dataclass(frozen=True)
class Parts:
    """Given to each that takes part in a transfer. Every one of these owns a state of its own."""

    host: Host
    inlet: Inlet
    queue: Queue
    calls: Calls
    life: Life
    retries: Retries
    history: History
    figures: Figures

    @property
    def log(self) -> Callable[..., None]:
        """The log as this sync writes to it."""
        return self.host.log_of(self.inlet.name)
