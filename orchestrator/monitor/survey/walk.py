"""Reads directories, and sends the visitor to what is found in them, until nothing is left to read.

Iterative throughout: the depth of a tree is not limited by Python's stack. Anything may turn out meanwhile: a
directory on the stack may be gone or elsewhere when it is its turn, and so may the one whose entries we are at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Found
from orchestrator.monitor.survey.pace import PERIOD
from orchestrator.monitor.watches import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.survey.account import Account
    from orchestrator.monitor.survey.branches import Branches
    from orchestrator.monitor.survey.pace import Pace
    from orchestrator.monitor.survey.unread import Unread
    from orchestrator.monitor.survey.visitor import Reading, Visitor
    from orchestrator.monitor.watches import Node, Watches
    from orchestrator.monitor.whereabouts import Whereabouts


class Walk:
    """A stack of directories to be read. What `push` and `visit` put on it is read by `run`, with all below it."""

    def __init__(
        self,
        kernel: Kernel,
        watches: Watches,
        account: Account,
        whereabouts: Whereabouts,
        branches: Branches,
        visitor: Visitor,
        unread: Unread,
        pace: Pace,
    ) -> None:
        self._kernel = kernel
        self._watches = watches
        self._account = account
        self._whereabouts = whereabouts
        self._branches = branches
        self._visitor = visitor
        self._unread = unread
        self._pace = pace
        self._stack: list[Reading] = []
        self._is_left = False  # a part of the stack, from an earlier run

    def push(self, node: Node, path: bytes, *, report: bool, again: bool) -> None:
        """A directory is to be read; `report`: tells of what is found in it, `again`: even of what is known."""
        self._stack.append((node, path, report, again))

    def visit(self, parent: Node, name: bytes, path: bytes, *, report: bool = True, again: bool = False) -> None:
        """There is a directory, perhaps, at a place: see `Visitor`."""
        reading = self._visitor.visit(parent, name, path, report=report, again=again)
        if reading is not None:
            self._stack.append(reading)

    def look_again(self, idle: Iterable[Node]) -> None:
        """Visits directories that could not be watched so far, or were not wanted, and reads what is there."""
        for node in idle:
            if node in self._watches.idle and node.parent is not None:
                self.visit(node.parent, node.name, self._watches.path(node))
        self.run()

    def is_unfinished(self) -> bool:
        """Whether something is left from a run that ended early."""
        return bool(self._stack or self._branches.doubtful)

    def run(self, *, in_slices: bool = False) -> None:
        """Reads all directories on the stack, and what is found below them; looks at doubtful places.

        `in_slices`: ends early when the account is full, as the loop has to get its turn in a tree of whatever size.
        The next run goes on; no event may be worked off before `is_unfinished` is false.
        """
        watches, stack, doubtful = self._watches, self._stack, self._branches.doubtful
        moves, step = -1 if self._is_left else watches.moves, self._pace.step
        self._is_left = False
        self._pace.begin()
        while stack or doubtful:
            if in_slices and self._account.is_full():
                self._is_left = True
                return
            if not stack:
                self._look_at(*doubtful.pop())
                continue
            node, path, report, again = stack.pop()
            if watches.nodes.get(node.wd) is not node:
                continue
            if moves != watches.moves:
                path = watches.path(node)
            try:
                if report or again:
                    self._read(node, path, report, again)
                    step()
                else:
                    self._read_new(node, path)
            except OSError as error:
                self._unread.add(node, path, error, report)

    def _look_at(self, parent: Node, name: bytes) -> None:
        """A directory turned out not to be at this place; told of is what is there instead, if anything."""
        watches = self._watches
        if watches.is_watched(parent):
            if watches.child(parent, name) is None:
                watches.add(MISSING, parent, name)
            path = b"%s%s/" % (watches.path(parent), name)
            self.visit(parent, name, path, report=not self._account.is_sweeping)

    def _read_new(self, node: Node, path: bytes) -> None:
        """`_read` of a directory watched for the first time, with nothing to tell: starting on a big tree is this.

        Of a directory that is as it should be, and has none in it, nobody needs to hear again.
        """
        watches, push, step = self._watches, self._stack.append, self._pace.step
        names = self._kernel.directories(path)
        for name in [name for name in names if name in (node.children or ())]:
            self.visit(node, name, b"%s%s/" % (path, name), report=False)
            if not watches.is_watched(node):
                return
        if node.children is not None:
            names = [name for name in names if name not in node.children]
        names = self._visitor.only_wanted(node, path, names)
        for start in range(0, len(names), PERIOD):
            found = self._kernel.watch_all(path, names[start : start + PERIOD])
            for place, (name, wd, is_leaf) in enumerate(found):
                if wd > 0 and wd not in watches.nodes and (node.children is None or name not in node.children):
                    new = watches.add(wd, node, name)
                    if is_leaf:
                        step()
                    else:
                        push((new, b"%s%s/" % (path, name), False, False))
                    continue
                self.visit(node, name, b"%s%s/" % (path, name), report=False)
                if not watches.is_watched(node):
                    self._forget(wd for _, wd, _ in found[place + 1 :])
                    return
        step()

    def _forget(self, wds: Iterable[int]) -> None:
        """Ends watches that belong to nobody."""
        for wd in wds:
            if wd > 0 and wd not in self._watches.nodes and wd not in self._watches.landmarks:
                self._kernel.unwatch(wd)

    def _read(self, node: Node, path: bytes, report: bool, again: bool) -> None:
        changes, nodes = self._account.changes, self._watches.nodes
        push, visit = self._stack.append, self._visitor.visit
        entries = self._kernel.entries(path) if report else [(name, True) for name in self._kernel.directories(path)]
        if not self._whereabouts.is_at(node, path):
            self._branches.miss(node)  # it was another one that we read; the event of this one is on its way
            return
        self._give_up_unlisted(node, entries)
        for name, is_directory in entries:
            if is_directory:
                reading = visit(node, name, b"%s%s/" % (path, name), report=report, again=again)
                if reading is not None:
                    push(reading)
                if nodes.get(node.wd) is not node:
                    return  # it turned out that nothing is where we believed it to be
            else:
                changes.append(Found("Create", path + name))

    def _give_up_unlisted(self, node: Node, entries: list[tuple[bytes, bool]]) -> None:
        """Directories known here that were not found: whatever becomes of them is to be told from the beginning."""
        if node.children is not None:
            listed = {name for name, is_directory in entries if is_directory}
            for name in [name for name in node.children if name not in listed]:
                child = self._watches.child(node, name)
                if child is not None:
                    self._branches.give_up(child)
