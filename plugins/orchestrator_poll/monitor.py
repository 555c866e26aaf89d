"""The poll monitor: compares how the sources look with how they looked before, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import Monitor, PollCycle, SourceWatch, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api import Change, TreeScan


class PollMonitor(Monitor):
    """Reports of what has changed below the sources, every `interval` seconds at most."""

    def __init__(self, wants: Callable[[bytes], bool], log: Callable[..., None], interval: float) -> None:
        """As InotifyMonitor; `interval` in seconds. Raises MonitorError."""
        self.overflowed = False
        self._sources = SourceWatch(checks_anew=True)
        self._poll_cycle: PollCycle[bytes] = PollCycle(interval, wants, log, self._sources.wake)
        self._sources.also_poll(self._poll_cycle.fileno())
        self._trees: dict[bytes, Tree] = {}
        self._poll_cycle.schedule()

    def fileno(self) -> int:
        return self._sources.fileno()

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Looks at a source for the first time; what changes from then on is reported."""
        self._sources.add(root)
        self._keep_up(progress)

    def unwatch(self, root: bytes) -> None:
        self._sources.remove(root)
        self._sources.check()
        self._keep_up()

    def lost_roots(self) -> list[bytes]:
        return self._sources.lost()

    def returned_roots(self) -> list[bytes]:
        return self._sources.returned()

    def watched(self) -> list[bytes]:
        """All directories that are looked at."""
        return [path for tree in self._trees.values() for path in tree.snapshot]

    def read(self) -> list[Change]:
        """What the last cycle found, once. Starts the next one when it is time."""
        self._sources.clear_wake()
        if self._sources.check():
            self._keep_up()
        changes: list[Change] = []
        if results := self._poll_cycle.results():
            changes = self._take(results)
        if self._poll_cycle.is_due():
            self._sources.check(anew=True)
            self._keep_up()
            self._poll_cycle.begin(dict(self._trees))
        else:
            self._poll_cycle.schedule()
        return changes

    def close(self) -> None:
        self._poll_cycle.close()
        self._sources.close()

    def _take(self, results: list[tuple[bytes, Tree, TreeScan]]) -> list[Change]:
        # The tree that was scanned may have been an empty mount point.
        self._sources.check(anew=True)
        held = set(self._sources.held())
        changes: list[Change] = []
        for root, tree, scan in results:
            if root in held and self._trees.get(root) is tree:
                self._trees[root] = Tree(root, scan.seen)
                changes += scan.changes
        self._keep_up()
        return changes

    def _keep_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Sources that are new or back are looked at, before a full run begins; lost ones are forgotten."""
        held = self._sources.held()
        for root in self._trees.keys() - set(held):
            del self._trees[root]
        for root in held:
            if root not in self._trees:
                self._trees[root] = Tree(root, self._poll_cycle.scan(root, None, progress).seen)
