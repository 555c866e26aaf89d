"""Polls directories whose changes the kernel does not report: scans of whole trees, one cycle after the other.

A scan takes long, so a thread does it; the loop takes the results. Between two cycles there is nothing but a timer.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from orchestrator.errors import MonitorError
from orchestrator.logic.text import to_text
from orchestrator.monitor.timer import Timer
from orchestrator.monitor.treescan import ScanStopped, TreeScan, read_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.logic.snapshot import Directory, Snapshot
    from orchestrator.monitor.base import Log

IDLE = 30
"""So many times the CPU time of a cycle are between it and the next at least: three percent of a processor."""

_PATIENCE = 5.0  # seconds that close() waits for a file system that does not answer

Key = TypeVar("Key")


class Tree(NamedTuple):
    """A directory with all below it, and how it looked when last looked at."""

    path: bytes
    snapshot: Snapshot
    is_source: bool = True


class PollCycle(Generic[Key]):
    """PollCycle of looks at trees, every `interval` seconds at most. Each tree is known by a key."""

    def __init__(self, interval: float, wants: Callable[[bytes], bool], log: Log, wake: Callable[[], None]) -> None:
        """`wake()` is called from another thread, when a cycle is over. Raises MonitorError."""
        try:
            self._timer = Timer()
        except OSError as error:
            raise MonitorError(f"Directories cannot be polled: {error.strerror}.") from None
        self.interval = interval
        self._wants = wants
        self._log = log
        self._wake = wake
        self._cycle: _Cycle[Key] | None = None
        self._is_set = False
        self._cpu = 0.0  # seconds that the last cycle took
        self._warned: set[bytes] = set()

    def fileno(self) -> int:
        """Readable when the next cycle is due."""
        return self._timer.fileno()

    def scan(self, path: bytes, before: Snapshot | None, progress: Callable[[int], None] | None = None) -> TreeScan:
        """A look at a tree outside of the cycles, here and now."""
        scan = TreeScan(before, self._wants, progress=progress)
        scan.walk(path)
        self._warn(scan)
        return scan

    def read_directory(self, path: bytes) -> Directory:
        """One directory as it is now. Raises OSError."""
        return read_directory(path)

    def schedule(self) -> None:
        """Sets the timer for the next cycle, unless it is set, or one is going on."""
        if not self._is_set and self._cycle is None:
            self._is_set = True
            self._timer.set(max(self.interval, self._cpu * IDLE))

    def is_due(self) -> bool:
        """Whether it is time for a cycle; once."""
        if self._cycle is not None or not self._timer.has_expired():
            return False
        self._is_set = False
        return True

    def begin(self, trees: Mapping[Key, Tree]) -> None:
        """Starts a cycle."""
        self._cycle = _Cycle(trees, self._wants, self._wake)
        self._cycle.start()

    def results(self) -> list[tuple[Key, Tree, TreeScan]]:
        """What the cycle found that is over, once: how each tree was before, and how it is."""
        if self._cycle is None or not self._cycle.is_over:
            return []
        done, self._cycle = self._cycle, None
        done.join()
        self._cpu = done.cpu
        for _, _, scan in done.scans:
            self._warn(scan)
        return done.scans

    def close(self) -> None:
        if self._cycle is not None:
            self._cycle.stop.set()
            self._cycle.join(_PATIENCE)
        self._timer.close()

    def _warn(self, scan: TreeScan) -> None:
        for path, reason in scan.unread:
            if path not in self._warned:
                self._warned.add(path)
                self._log("Warn", f"Cannot read {to_text(path)}: {reason}.")


class _Cycle(threading.Thread, Generic[Key]):
    """One look at each tree."""

    def __init__(self, trees: Mapping[Key, Tree], wants: Callable[[bytes], bool], wake: Callable[[], None]) -> None:
        super().__init__(name="poll", daemon=True)
        self.scans: list[tuple[Key, Tree, TreeScan]] = []
        self.cpu = 0.0
        self.stop = threading.Event()
        self.is_over = False
        self._trees = trees
        self._wants = wants
        self._wake = wake

    def run(self) -> None:
        try:
            self._scan()
        finally:
            self.is_over = True
            if not self.stop.is_set():
                self._wake()

    def _scan(self) -> None:
        begun = time.thread_time()
        for key, tree in self._trees.items():
            scan = TreeScan(tree.snapshot, self._wants, self.stop.is_set)
            try:
                scan.walk(tree.path, is_source=tree.is_source)
            except ScanStopped:
                return
            self.scans.append((key, tree, scan))
        self.cpu = time.thread_time() - begun
