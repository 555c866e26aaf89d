"""Looking at trees in rounds, for what the kernel tells nothing of.

Looking takes long, so a thread does it; what it found is told from the loop. Between two rounds there is nothing but a
timer.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from orchestrator.errors import MonitorError
from orchestrator.logic.text import to_text
from orchestrator.monitor.look import Look, Stopped, examine
from orchestrator.monitor.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.logic.snapshot import Directory, Snapshot
    from orchestrator.monitor.base import Log

IDLE = 30
"""So many times the CPU time of a round are between it and the next at least: three percent of a processor."""

_PATIENCE = 5.0  # seconds that close() waits for a file system that does not answer

Key = TypeVar("Key")


class Tree(NamedTuple):
    """A directory with all below it, and how it looked when last looked at."""

    path: bytes
    snapshot: Snapshot
    is_source: bool = True


class Rounds(Generic[Key]):
    """Rounds of looks at trees, every `interval` seconds at most. Each tree is known by a key."""

    def __init__(self, interval: float, wants: Callable[[bytes], bool], log: Log, ring: Callable[[], None]) -> None:
        """`ring` is called from another thread, when a round is over. Raises MonitorError."""
        try:
            self._timer = Timer()
        except OSError as error:
            raise MonitorError(f"Directories cannot be polled: {error.strerror}.") from None
        self.interval = interval
        self._wants = wants
        self._log = log
        self._ring = ring
        self._round: _Round[Key] | None = None
        self._is_set = False
        self._cpu = 0.0  # seconds that the last round took
        self._warned: set[bytes] = set()

    def fileno(self) -> int:
        """Readable when the next round is due."""
        return self._timer.fileno()

    def look(self, path: bytes, before: Snapshot | None, progress: Callable[[int], None] | None = None) -> Look:
        """A look at a tree outside of the rounds, here and now."""
        look = Look(before, self._wants, progress=progress)
        look.walk(path)
        self._warn(look)
        return look

    def examine(self, path: bytes) -> Directory:
        """One directory as it is now. Raises OSError."""
        return examine(path)

    def rest(self) -> None:
        """Sets the timer for the next round, unless it is set, or one is going on."""
        if not self._is_set and self._round is None:
            self._is_set = True
            self._timer.set(max(self.interval, self._cpu * IDLE))

    def is_due(self) -> bool:
        """Whether it is time for a round; once."""
        if self._round is not None or not self._timer.has_expired():
            return False
        self._is_set = False
        return True

    def begin(self, trees: Mapping[Key, Tree]) -> None:
        """Starts a round."""
        self._round = _Round(trees, self._wants, self._ring)
        self._round.start()

    def results(self) -> list[tuple[Key, Tree, Look]]:
        """What the round found that is over, once: how each tree was before, and how it is."""
        if self._round is None or not self._round.is_over:
            return []
        done, self._round = self._round, None
        done.join()
        self._cpu = done.cpu
        for _, _, look in done.looks:
            self._warn(look)
        return done.looks

    def close(self) -> None:
        if self._round is not None:
            self._round.stop.set()
            self._round.join(_PATIENCE)
        self._timer.close()

    def _warn(self, look: Look) -> None:
        for path, reason in look.unread:
            if path not in self._warned:
                self._warned.add(path)
                self._log("Warn", f"Cannot read {to_text(path)}: {reason}.")


class _Round(threading.Thread, Generic[Key]):
    """One look at each tree."""

    def __init__(self, trees: Mapping[Key, Tree], wants: Callable[[bytes], bool], ring: Callable[[], None]) -> None:
        super().__init__(name="poll", daemon=True)
        self.looks: list[tuple[Key, Tree, Look]] = []
        self.cpu = 0.0
        self.stop = threading.Event()
        self.is_over = False
        self._trees = trees
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
        for key, tree in self._trees.items():
            look = Look(tree.snapshot, self._wants, self.stop.is_set)
            try:
                look.walk(tree.path, is_source=tree.is_source)
            except Stopped:
                return
            self.looks.append((key, tree, look))
        self.cpu = time.thread_time() - begun
