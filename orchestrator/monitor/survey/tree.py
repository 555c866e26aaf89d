"""The state that a survey keeps in line with the disk: the watched tree, and what is still to be done about it.

Each class owns one part of it; `Tree` bundles them for whoever works on the tree. Reads no directory.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.logic.change import Change, Found
from orchestrator.monitor.identity import Identity
from orchestrator.monitor.watches import MISSING, POLLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.monitor.base import Progress
    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.watches import Node, Watches

SLICE = 20_000
"""Changes given by one read() at most, but for the one directory that it is at."""

PERIOD = 1000
"""Directories between two calls of `progress`, and as many as are dealt with at a stretch at most."""
_SOON = 50  # directories between two reads of the kernel's queue: a disk may take 10 ms for one


class Account:
    """The changes to be reported, in order. Others append to `changes`, too.

    Decides nothing about directories. Changes are found in three ways: by an event of their own, in a directory that is
    new, or while the tree is read again after lost events. The last are not reported, since all is transferred then.
    """

    def __init__(self, limit: int = SLICE) -> None:
        """`limit`: so many changes are enough for one read."""
        self.limit = limit
        self.changes: list[Change] = []
        self.current_event = b""
        """The path of the directory that the current event is about, and in which other things are found."""
        self.is_partial = False
        """Whether a walk ended early, as there were enough changes for one read: no event may be worked off before it
        has come to its end."""
        self.is_sweeping = False
        """Whether the tree is read again: nothing known of it is relied on, and no correction is reported."""

    def found(self, path: bytes) -> None:
        """A directory is there, by the current event, or by reading the directory that this is about."""
        self.changes.append(Change("Create", path) if path == self.current_event else Found("Create", path))

    def retract(self, path: bytes) -> None:
        """All that was reported of a directory, and of what is in it, was wrong, or is so by now."""
        if not self.is_sweeping:
            self.changes.append(Change("Delete", path))

    def is_full(self) -> bool:
        """Whether there is enough to be taken before more is looked for."""
        return len(self.changes) >= self.limit

    def take(self) -> list[Change]:
        """The changes since the last call."""
        changes, self.changes = self.changes, []
        return changes


class Pace:
    """Keeps up what must not be forgotten during long work: the kernel's queue is emptied, progress is reported.

    Reading 150,000 directories takes seconds, in which nobody reads events; the queue holds 16,384, and drops the rest.
    """

    def __init__(self, drain: Callable[[], object]) -> None:
        """`drain` takes the kernel's events into memory; quick."""
        self.drain = drain
        self._progress: Progress | None = None
        self._count = 0

    @contextmanager
    def reporting(self, progress: Progress | None) -> Iterator[None]:
        """For the time of the context, `progress` is called now and then; an exception of it comes out of the walk."""
        before, self._progress = self._progress, progress
        try:
            yield
        finally:
            self._progress = before

    def begin(self) -> None:
        """Counting begins anew."""
        self._count = 0

    def step(self) -> None:
        """One more directory has been read."""
        self._count += 1
        if self._count % _SOON == 0:
            self.drain()
        if self._count % PERIOD == 0 and self._progress is not None:
            self._progress(self._count)

    def tick(self, directories: int) -> None:
        """`directories` have been read by somebody who does not count them here."""
        self.drain()
        if self._progress is not None:
            self._progress(directories)


class Unsettled:
    """Facts to be remembered until all events are worked off, by whoever watches a directory or drops one.

    As long as events wait, a path that one of them gave may lead to another directory than the one it was about: that
    went away before we came, and another one took its place. Only after the last event this can be checked
    (`Survey.settle`), and then it can be forgotten.
    """

    def __init__(self) -> None:
        self.bound: list[Node] = []
        """Directories that were watched, or put elsewhere, perhaps while events were waiting."""
        self.entered: list[Node] = []
        """Sources whose whole trees were, likewise."""
        self.absent: list[Node] = []
        """Places of directories exchanged for something outside that were empty: moved with a directory above?"""
        self.ended: set[bytes] = set()
        """Directories reported as deleted when their watches ended: their parents' events come later."""
        self.has_moved = False
        """Whether events say that directories went away. If not, none can have taken another's place."""

    def trust(self) -> None:
        """Everything is where it was found: no events were waiting."""
        self.bound.clear()
        self.entered.clear()
        self.absent.clear()
        self.has_moved = False

    def take(self) -> tuple[list[Node], list[Node]] | None:
        """All events are worked off: gives `bound` and `entered`, which are to be checked, if anything can be wrong."""
        bound, entered, had_moved = self.bound, self.entered, self.has_moved
        self.bound, self.entered, self.has_moved = [], [], False
        self.ended.clear()
        return (bound, entered) if had_moved else None


class Branches:
    """Gives up branches of the tree: a directory with all that is known below it.

    There are several reasons, which differ in what is to be reported and done. In all of them the watches end first;
    whoever comes back to the place afterwards begins with nothing.
    """

    def __init__(self, kernel: Kernel, watches: Watches, account: Account, pace: Pace) -> None:
        self.to_recheck: list[tuple[Node, bytes]] = []
        """Places (parent, name) at which the next walk finds out what is there."""
        self._kernel = kernel
        self._watches = watches
        self._account = account
        self._pace = pace

    def drop(self, top: Node) -> None:
        """Forgets a branch and ends its watches. Reports nothing: the caller has reported the reason already."""
        for count, wd in enumerate(self._watches.drop(top), 1):
            self._kernel.unwatch(wd)
            if count % PERIOD == 0:  # each ended watch is an event of its own
                self._pace.drain()

    def give_up(self, top: Node) -> None:
        """Drops a branch that is another than believed: all that was reported of it is retracted."""
        if top.wd > 0 or top.wd == POLLED:
            self._account.retract(self._watches.path(top))
        self.drop(top)

    def replace(self, node: Node, wd: int) -> None:
        """Drops a branch, and notes in its place the reason why it is watched no longer."""
        parent, name = node.parent, node.name
        self.drop(node)
        if parent is not None:
            self._watches.add(wd, parent, name)

    def mark_missing(self, node: Node) -> None:
        """Gives up a directory that went away while it was read; its event comes later."""
        parent, name = node.parent, node.name
        self.give_up(node)
        if parent is not None:
            self._watches.add(MISSING, parent, name)

    def recheck(self, node: Node) -> None:
        """`node` is about to leave its place: that is looked at again, and its contents reported anew."""
        if node.parent is not None:
            self._account.retract(self._watches.path(node))
            self.to_recheck.append((node.parent, node.name))

    def drop_and_recheck(self, top: Node) -> None:
        """Drops a branch of which nothing is certain any more; its place is looked at again."""
        self.recheck(top)
        self.drop(top)


class Tree(NamedTuple):
    """The parts of the state, and the kernel by which it is compared with the disk."""

    kernel: Kernel
    watches: Watches
    account: Account
    pace: Pace
    unsettled: Unsettled
    branches: Branches
    identity: Identity


def make_tree(kernel: Kernel, watches: Watches, drain: Callable[[], object], limit: int = SLICE) -> Tree:
    """`drain`: see Pace; `limit`: see Account."""
    account, pace = Account(limit), Pace(drain)
    branches = Branches(kernel, watches, account, pace)
    return Tree(kernel, watches, account, pace, Unsettled(), branches, Identity(kernel, watches))
