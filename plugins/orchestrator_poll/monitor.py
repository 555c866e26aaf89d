"""The poll monitor: compares how the sources look with how they looked before, again and again.

Looking takes long on a network file system, so a thread does it; what it found is told from the loop. Between two looks
there is nothing but a timer.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from orchestrator.api import MonitorError, SourceWatch
from orchestrator_poll.snapshot import Look, Snapshot, Stopped
from orchestrator_poll.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api import Change

IDLE = 30
"""So many times the CPU time of a look are between it and the next at least: three percent of a processor."""

_PATIENCE = 5.0  # seconds that close() waits for a file system that does not answer


class PollMonitor:
    """Tells of what has changed below the sources, every `interval` seconds at most."""

    def __init__(self, wants: Callable[[bytes], bool], log: Callable[..., None], interval: float) -> None:
        """As InotifyMonitor; `interval` in seconds. Raises MonitorError."""
        self.overflowed = False
        self._wants = wants
        self._log = log
        self._interval = interval
        try:
            self._timer = Timer()
        except OSError as error:
            raise MonitorError(f'The monitor "poll" cannot be used: {error.strerror}.') from None
        self._sources = SourceWatch()
        self._sources.attend(self._timer.fileno())
        self._snapshots: dict[bytes, Snapshot] = {}
        self._warned: set[bytes] = set()
        self._scan: _Scan | None = None
        self._timer.set(interval)

    def fileno(self) -> int:
        return self._sources.fileno()

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Looks at a source for the first time; what changes from then on is told."""
        self._sources.add(root)
        self._keep_up(progress)

    def unwatch(self, root: bytes) -> None:
        self._sources.remove(root)
        self._sources.check()
        self._keep_up()

    def rescan(self) -> None:
        """No events are lost here, and filters are asked at each look."""

    def drain(self) -> None:
        """There is nothing that could overflow."""

    def lost_roots(self) -> list[bytes]:
        return self._sources.lost()

    def returned_roots(self) -> list[bytes]:
        return self._sources.returned()

    def watched(self) -> list[bytes]:
        """All directories that are looked at."""
        return [path for snapshot in self._snapshots.values() for path in snapshot]

    def read(self) -> list[Change]:
        """What the last look found, once. Starts the next one when it is time."""
        self._sources.calm()
        if self._sources.check():
            self._keep_up()
        changes: list[Change] = []
        if self._scan is not None and self._scan.is_over:
            changes = self._finish(self._scan)
            self._scan = None
        if self._timer.has_expired() and self._scan is None:
            self._sources.check(anew=True)
            self._keep_up()
            self._scan = _Scan(dict(self._snapshots), self._wants, self._sources.ring)
            self._scan.start()
        return changes

    def close(self) -> None:
        if self._scan is not None:
            self._scan.stop.set()
            self._scan.join(_PATIENCE)
        self._timer.close()
        self._sources.close()

    def _finish(self, scan: _Scan) -> list[Change]:
        scan.join()
        # What was looked at may have been an empty mount point.
        self._sources.check(anew=True)
        lost = self._sources_lost_since(scan)
        changes: list[Change] = []
        for root, look in scan.looks.items():
            self._warn(look)
            if root not in lost:
                self._snapshots[root] = look.seen
                changes += look.changes
        self._keep_up()
        self._timer.set(max(self._interval, scan.cpu * IDLE))
        return changes

    def _sources_lost_since(self, scan: _Scan) -> set[bytes]:
        held = set(self._sources.held())
        return {root for root in scan.looks if root not in held or self._snapshots.get(root) is not scan.before[root]}

    def _keep_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Sources that are new or back are looked at, before a full run begins; lost ones are forgotten."""
        held = self._sources.held()
        for root in self._snapshots.keys() - set(held):
            del self._snapshots[root]
        for root in held:
            if root not in self._snapshots:
                look = Look(None, self._wants, progress=progress)
                look.walk(root)
                self._warn(look)
                self._snapshots[root] = look.seen

    def _warn(self, look: Look) -> None:
        for path, reason in look.unread:
            if path not in self._warned:
                self._warned.add(path)
                self._log("Warn", f"Cannot read {path.decode('utf-8', 'surrogateescape')}: {reason}.")


class _Scan(threading.Thread):
    """One look at all sources."""

    def __init__(
        self,
        before: dict[bytes, Snapshot],
        wants: Callable[[bytes], bool],
        ring: Callable[[], None],
    ) -> None:
        super().__init__(name="poll", daemon=True)
        self.before = before
        self.looks: dict[bytes, Look] = {}
        self.cpu = 0.0
        self.stop = threading.Event()
        self.is_over = False
        self._wants = wants
        self._ring = ring

    def run(self) -> None:
        try:
            self._look()
        finally:
            self.is_over = True
            if not self.stop.is_set():
                self._ring()

    def _look(self) -> None:
        begun = time.thread_time()
        for root, before in self.before.items():
            look = Look(before, self._wants, self.stop.is_set)
            try:
                look.walk(root)
            except Stopped:
                return
            self.looks[root] = look
        self.cpu = time.thread_time() - begun
