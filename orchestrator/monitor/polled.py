"""Directories that there was no watch for (setting watchLimit = "degrade"): they, and all below them, are polled.

Such a directory is a node without a watch and without children; how it looked, with all below it, is kept here. When
there is a watch for it in a later cycle it is taken over: watched first and compared with how it looked afterwards, so
that earlier changes are found and later ones are reported by events. The directories in it are then polled apart, until
it is their turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.snapshot import below, differences
from orchestrator.logic.text import counted
from orchestrator.monitor.identity import Identity
from orchestrator.monitor.kernel import is_out_of_watches
from orchestrator.monitor.pollcycle import Tree
from orchestrator.monitor.watches import POLLED, UNWANTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.logic.change import Change
    from orchestrator.monitor.base import Log
    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.pollcycle import PollCycle
    from orchestrator.monitor.watches import Node, Watches

_AT_ONCE = 1000  # directories taken over before others get their turn

_AGAIN = 2
"""The shortage is reported again when so many times as many directories are polled."""


class Polled:
    """All polled directories. `changes`: what was found in them; to be taken by the owner."""

    def __init__(
        self,
        kernel: Kernel,
        watches: Watches,
        wants: Callable[[bytes], bool],
        log: Log,
        poll_cycle: PollCycle[Node],
    ) -> None:
        self.changes: list[Change] = []
        self.unwatched_ancestors = 0
        """How many directories above sources have no watch either: cycles go on as long as there are any."""
        self.has_adopted = False
        """Whether something was taken over, perhaps a source: who looks after those is to know its watch."""
        self._kernel = kernel
        self._watches = watches
        self._identity = Identity(kernel, watches)
        self._wants = wants
        self._log = log
        self._poll_cycle = poll_cycle
        self._trees: dict[Node, Tree] = {}
        self._sources: dict[bytes, Node] = {}  # of those, what stands for itself; some may be gone
        self._candidates: list[Node] = []  # to be taken over before the next cycle
        self._is_cycle_due = False
        self._count = 0
        self._reported = 0

    def __len__(self) -> int:
        """How many directories are polled; those that went away lately included."""
        return self._count

    def paths(self) -> list[bytes]:
        """The directories that are polled."""
        return [path for node, tree in self._trees.items() if self._is_polled(node) for path in tree.snapshot]

    def add(self, node: Node, path: bytes, *, report: bool, progress: Callable[[int], None]) -> list[Change]:
        """A directory could not be watched: has a look at it; gives a Create of all that is in it if `report`."""
        scan = self._poll_cycle.scan(path, {} if report else None, progress)
        self._trees[node] = Tree(path, scan.seen, node.parent is None)
        self._count += max(1, len(scan.seen))
        if node.parent is None:
            self._sources[path] = node
        return scan.changes

    def find(self, path: bytes) -> Node | None:
        """The source polled under this path, if it stands for itself."""
        node = self._sources.get(path)
        return node if node is not None and node.parent is None and self._is_polled(node) else None

    def take(self) -> None:
        """Takes up what a cycle found, if one is over."""
        results = self._poll_cycle.results()
        for node, tree, scan in results:
            # of what went away, or elsewhere, meanwhile, events have reported or will
            if self._trees.get(node) is tree and self._is_polled(node) and self._watches.path(node) == tree.path:
                self.changes += scan.changes
                self._trees[node] = tree._replace(snapshot=scan.seen)
        if results:
            self._recount()

    def is_due(self) -> bool:
        """Whether it is time for a cycle, once: sources are to be looked after, then `work` begins it."""
        if self._poll_cycle.is_due():
            self._is_cycle_due = True
            self._tidy()
            self._candidates = [*self._trees]
            return True
        return False

    def work(self) -> bool:
        """Takes over what it can before a cycle, and begins it. Gives whether there is more to do at once."""
        if self._is_cycle_due:
            if self._take_over():
                return True
            self._is_cycle_due = False
            self._tidy()
            if self._trees:
                self._poll_cycle.begin(dict(self._trees))
        if self._trees or self.unwatched_ancestors:
            self._poll_cycle.schedule()
        self._report()
        return False

    def close(self) -> None:
        self._poll_cycle.close()

    def _is_polled(self, node: Node) -> bool:
        return node.wd == POLLED and node in self._watches.idle

    def _recount(self) -> None:
        self._count = sum(max(1, len(tree.snapshot)) for tree in self._trees.values())

    def _tidy(self) -> None:
        """Forgets what is gone; what is elsewhere now is reported as new."""
        watches = self._watches
        for node, tree in list(self._trees.items()):
            if not self._is_polled(node):
                del self._trees[node]
                continue
            path = watches.path(node)
            if node.parent is not None and not self._wants(path):
                parent, name = node.parent, node.name
                watches.drop(node)
                watches.add(UNWANTED, parent, name)
                del self._trees[node]
            elif path != tree.path:
                self._trees[node] = Tree(path, {}, node.parent is None)
        self._recount()

    def _take_over(self) -> bool:
        """Watches what it can; gives whether there is more to be tried."""
        for _ in range(_AT_ONCE):
            if not self._candidates:
                return False
            node = self._candidates.pop()
            if self._is_polled(node) and not self._adopt(node, self._trees[node]):
                self._candidates.clear()
                return False
        return True

    def _adopt(self, node: Node, tree: Tree) -> bool:
        """Takes a directory over, if that can be done now. False: there are no watches left."""
        kernel, watches, path = self._kernel, self._watches, tree.path
        place = path if node.parent is None else path[:-1]
        try:
            wd = kernel.watch(place)
        except OSError as error:
            return not is_out_of_watches(error)
        if wd in watches.nodes:
            self._unite(node, watches.nodes[wd], path)
            return True
        try:
            now = self._poll_cycle.read_directory(path)
        except OSError:
            now = None
        if now is None or watches.path(node) != path or not self._identity.is_same_directory(place, wd):
            if wd not in watches.path_watches:
                kernel.unwatch(wd)
            return True
        before = tree.snapshot.get(path)
        self.changes += differences(path, before, now, is_reported=node.parent is None)
        del self._trees[node]
        watches.awaken(node, wd)
        self.has_adopted = True
        for name in now.entries:
            if name.endswith(b"/"):
                self._poll_below(node, name[:-1], path + name, tree)
        return True

    def _unite(self, node: Node, other: Node, path: bytes) -> None:
        """The polled directory is watched as `other`: a source within another one, one of them being polled so far.

        Or it is bound to two places, or was moved here, of which an event is going to report: then nothing is done.
        """
        watches = self._watches
        if watches.path(other) != path or node.parent is other.parent:
            return
        if node.parent is None:
            watches.stand_in(node, other)
        elif other.parent is None:
            parent, name = node.parent, node.name
            watches.drop(node)
            watches.move(other, parent, name)
        else:
            return
        self.has_adopted = True
        del self._trees[node]

    def _poll_below(self, parent: Node, name: bytes, path: bytes, tree: Tree) -> None:
        if not self._wants(path):
            self._watches.add(UNWANTED, parent, name)
            return
        child = self.find(path)
        if child is None:
            child = self._watches.add(POLLED, parent, name)
            self._trees[child] = Tree(path, below(tree.snapshot, path), is_source=False)
        else:
            self._watches.move(child, parent, name)
        self._candidates.append(child)

    def _report(self) -> None:
        wanting = self._count + self.unwatched_ancestors
        if wanting and wanting >= self._reported * _AGAIN:
            self._reported = wanting
            placed = len(self._watches.nodes) + len(self._watches.path_watches - self._watches.nodes.keys())
            self._log(
                "Warn",
                f"Out of inotify watches: {placed} are in place, {placed + wanting} are needed. "
                f"{wanting} directories are polled instead, every {counted(self._poll_cycle.interval, 'second')}. "
                "Consider increasing /proc/sys/fs/inotify/max_user_watches",
            )
        elif self._reported and not wanting:
            self._reported = 0
            self._log("Normal", "All directories are watched by inotify now.")
