"""How far one sync has come in its life: its startup is done, its source or target is gone, it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.sync.host import Host


class Life:
    """What decides whether a sync starts anything at all. `is_source_gone`, `is_target_gone`: it waits for that.

    `is_left_alone`: its source changes faster than anybody can follow, nobody listens for a while.
    """

    def __init__(self, host: Host, name: str) -> None:
        self.is_started_up = False
        self.is_source_gone = False
        self.is_target_gone = False
        self.is_left_alone = False
        self.is_stopped = False
        self._host = host
        self._log = host.log_of(name)
        self._name = name

    @property
    def is_suspended(self) -> bool:
        return self.is_source_gone or self.is_target_gone

    def goes_on(self) -> bool:
        """Whether what a transfer was prepared for may still follow."""
        return not (self._host.fading or self.is_stopped or self.is_suspended)

    def stop(self, reason: str) -> None:
        """Do nothing more for this sync; the others go on."""
        if self.is_stopped:
            return
        self.is_stopped = True
        self._host.failed = True
        self._log("Error", f"{self._name} is stopped: ", reason)
