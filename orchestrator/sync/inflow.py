"""From a monitor's changes to the syncs that they concern, a slice at a time.

However much has come, the loop gets its turn: other monitors are read, signals handled, transfers started. It reports
the sources that keep it from coming to an end; the runner decides about them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from orchestrator.logic.change import Found
from orchestrator.logic.restless import Restless
from orchestrator.sync.toodeep import LONGEST_PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.logic.change import Change
    from orchestrator.logic.roots import RootIndex
    from orchestrator.sync.host import Host
    from orchestrator.sync.sync import Sync
    from orchestrator.sync.toodeep import TooDeep

SLICE: Final = 0.1
"""Seconds of work at a stretch."""
PATIENCE: Final = 0.5
"""Seconds that a backlog may last before a restless source is taken to be the reason."""


class Inflow:
    """The changes of one monitor on their way."""

    def __init__(self, host: Host, syncs: RootIndex[Sync], too_deep: TooDeep) -> None:
        self.syncs = syncs
        self._too_deep = too_deep
        self._host = host
        self._changes: deque[Change] = deque()
        self._restless = Restless()
        self._since: float | None = None  # when the backlog began

    def __len__(self) -> int:
        return len(self._changes)

    def take(self, changes: Sequence[Change]) -> None:
        """Oldest first, all later than those taken before."""
        self._changes.extend(changes)

    def work(self) -> None:
        """Gives changes to their syncs, for a slice of time."""
        host, of, changes = self._host, self.syncs.of, self._changes
        now = host.clock.now()
        end, logs = now + SLICE, host.log.shows("Delay")
        while changes:
            change = changes.popleft()
            etype, path, path2 = change
            if len(path) > LONGEST_PATH or (path2 is not None and len(path2) > LONGEST_PATH):
                etype, path, path2 = self._too_deep.what_is_left_of(change)
            if logs and isinstance(change, Found):
                self._log_found(path)
            for sync in of(path):
                if not sync.life.is_left_alone:
                    self._restless.note(sync.source, change)
                    sync.change(etype, now + sync.options.delay, path, path2, now)
            if path2 is not None:
                for sync in of(path2):
                    if not path.startswith(sync.source) and not sync.life.is_left_alone:
                        sync.change(etype, now + sync.options.delay, path, path2, now)
            if (path2 is not None or len(changes) % 64 == 0) and host.clock.now() >= end:
                return

    def restless(self, *, is_behind: bool) -> list[bytes]:
        """Sources that are why the work does not come to an end; `is_behind`: the monitor has more events."""
        if not self._changes and not is_behind:
            self._since = None
            self._restless.clear()
            return []
        now = self._host.clock.now()
        if self._since is None:
            self._since = now
        return self._restless.sources() if now - self._since >= PATIENCE else []

    def lost(self) -> list[bytes]:
        """As `restless`, where events were lost already."""
        return self._restless.sources()

    def _log_found(self, path: bytes) -> None:
        for sync in self.syncs.of(path):
            sync.log("Delay", "Create creates Create on ", path[len(sync.source) - 1 :])
