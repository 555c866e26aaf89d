"""Reads directories, watches those found in them, and decides what each of them is, until nothing is left to read.

Iterative throughout: the depth of a tree is not limited by Python's stack. Anything may turn out meanwhile: a directory
on the stack may be gone or elsewhere when it is its turn, and so may the one whose entries are being visited.

A directory found at a place is watched first; the kernel's number then says whether it is known. There are four cases:

* It is new: it gets its place in the tree, and has to be read.
* It is known, and known here: there is nothing to do.
* It is known elsewhere: `Visitor._take`.
* It cannot be watched: its place remembers why.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from orchestrator.logic.change import Change, Found
from orchestrator.logic.text import to_text
from orchestrator.monitor.kernel import is_out_of_watches, is_shortage
from orchestrator.monitor.survey.tree import PERIOD
from orchestrator.monitor.watches import ALIAS, COVERED, MISSING, POLLED, REFUSED, UNWANTED, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.monitor.survey.fallback import Fallback
    from orchestrator.monitor.survey.tree import Branches, Tree

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

_WARNED = 1000  # directories

Reading = tuple[Node, bytes, bool, bool]
"""A directory that has to be read, its path, whether to report its contents, and whether even what is known."""


class Unread:
    """Directories that are watched but could not be read, and what becomes of them.

    Most reasons end by an event: of one that is gone it comes later, of one that may not be read it comes when its
    attributes change. A shortage of descriptors or memory ends silently; what fell victim to it waits here.
    """

    def __init__(self, branches: Branches, log: Callable[[str, str], None]) -> None:
        self._branches = branches
        self._log = log
        self._waiting: dict[Node, bool] = {}
        self.is_short = False
        """Whether there is anything to try again, or the end of a shortage to be reported."""

    def add(self, node: Node, path: bytes, error: OSError, report: bool) -> None:
        """A directory could not be read; `report`: whether its contents are to be reported."""
        if is_gone(error):
            self._branches.mark_missing(node)
        elif is_shortage(error):
            self.wait(node, path, error, report)
        else:
            self._log("Warn", refusal(path, error))
            if node.parent is not None:
                self._branches.replace(node, REFUSED)

    def wait(self, node: Node, path: bytes, error: OSError, report: bool) -> None:
        """There is a shortage of what it takes to watch or read a directory."""
        if not self.is_short:
            self.is_short = True
            self._log("Warn", f"Cannot read {to_text(path)}: {error.strerror}. Trying again.")
        self._waiting[node] = report

    def take(self) -> list[tuple[Node, bool]]:
        """The directories to be tried again now, some of which may be gone; and whether to report their contents.

        One that fails once more comes back by `add`. Afterwards, `finish` is to be called.
        """
        waiting, self._waiting = self._waiting, {}
        return list(waiting.items())

    def finish(self) -> None:
        """All that was taken has been tried again."""
        if self.is_short and not self._waiting:
            self.is_short = False
            self._log("Normal", "All directories could be read now.")


class _Place:
    """Where a directory was found that is not simply new."""

    __slots__ = ("known", "name", "parent", "path", "report")

    def __init__(self, parent: Node, name: bytes, path: bytes, known: Node | None, report: bool) -> None:
        self.parent = parent
        self.name = name
        self.path = path
        self.known = known  # the directory believed to be there so far
        self.report = report  # whether to report what is found


class Visitor:
    """Watches one directory at a time, and decides what it is. Reads none: the walk does, and `visit` says which."""

    def __init__(
        self,
        tree: Tree,
        wants: Callable[[bytes], bool],
        log: Callable[[str, str], None],
        unread: Unread,
        fallback: Fallback,
    ) -> None:
        """`wants` may have a method `all_in(directory)`: whether all below is wanted, so that nobody need ask."""
        self._kernel = tree.kernel
        self._watches = tree.watches
        self._account = tree.account
        self._identity = tree.identity
        self._branches = tree.branches
        self._unsettled = tree.unsettled
        self._wants = wants
        self._all_wanted: Callable[[bytes], bool] = getattr(wants, "all_in", lambda directory: False)
        self._log = log
        self._unread = unread
        self._fallback = fallback
        self._warned: set[bytes] = set()  # of which directories it was said that they are another one, too

    def visit(self, parent: Node, name: bytes, path: bytes, *, report: bool, again: bool) -> Reading | None:
        """Watches the directory at a place; gives the directory that is to be read now, if there is one.

        `report`: it is reported, if it was not known here; `again`: even if it was.
        """
        account, watches = self._account, self._watches
        is_sweeping = account.is_sweeping
        known = None if parent.children is None else parent.children.get(name)
        if (known is None or is_sweeping or known.wd in (UNWANTED, MISSING, COVERED)) and not self._wants(path):
            self._mark_unwanted(_Place(parent, name, path, known, report))
            return None
        if known is not None and known.wd == POLLED:
            if is_sweeping or not (again and report):
                return None
            self._branches.give_up(known)
            known = None
        try:
            wd = self._kernel.watch(path[:-1])
        except OSError as error:
            self._fail(_Place(parent, name, path, known, report), error)
            return None
        node = watches.nodes.get(wd)
        if node is None:
            if known is not None:
                self._branches.give_up(known)
            node = watches.add(wd, parent, name)
            if report and known is not None and known.wd == COVERED and not again:
                # a Create could be taken as permission to delete everything that is not in there now
                account.changes.append(Change("Attrib", path))
            elif report:
                account.found(path)
            if report or again:
                self._unsettled.bound.append(node)
            return node, path, report, again
        if node is not known:
            return self._take(_Place(parent, name, path, known, report), node)
        if not again:
            return None
        if report:
            account.found(path)
        return node, path, report, again

    def only_wanted(self, parent: Node, path: bytes, names: list[bytes]) -> list[bytes]:
        """Of directories found in a directory those that any sync has a use for; of the others that is noted."""
        if self._all_wanted(path):
            return names
        return [name for name in names if self._is_wanted(parent, name, path)]

    def warn_of_alias(self, path: bytes, node: Node) -> None:
        """Says that the directory at `path` is one that is watched elsewhere; once, as it may come and go."""
        if path in self._warned:
            return
        if len(self._warned) >= _WARNED:
            self._warned.clear()
        self._warned.add(path)
        there = to_text(self._watches.path(node))
        self._log("Warn", f"{to_text(path)} is the same directory as {there}: changes are seen there only.")

    def _is_wanted(self, parent: Node, name: bytes, path: bytes) -> bool:
        is_wanted = self._wants(b"%s%s/" % (path, name))
        if not is_wanted and self._watches.child(parent, name) is None:
            self._watches.add(UNWANTED, parent, name)
        return is_wanted

    def _report(self, place: _Place) -> None:
        if place.report:
            self._account.found(place.path)

    def _mark_unwanted(self, place: _Place) -> None:
        """No sync has a use for the directory there."""
        if place.known is not None:
            self._branches.replace(place.known, UNWANTED)
        else:
            self._watches.add(UNWANTED, place.parent, place.name)
            self._report(place)

    def _take(self, place: _Place, node: Node) -> Reading | None:
        """`node`, known elsewhere, was found here: the disk is ahead of the events, or behind a bind mount."""
        watches, path = self._watches, place.path
        if watches.path(node) == path:  # a source inside another one, or seen from there
            self._put(place, node)
            return (node, path, True, True) if place.report else None
        if self._identity.is_in_place(node):
            if place.known is None:
                self.warn_of_alias(path, node)
                watches.add(ALIAS, place.parent, place.name)
                self._report(place)
            return None
        if watches.is_below(place.parent, node):  # everything known of this branch is out of date
            self._branches.drop_and_recheck(node)
            return None
        self._branches.recheck(node)
        self._put(place, node)
        return node, path, place.report, True

    def _put(self, place: _Place, node: Node) -> None:
        self._watches.move(node, None, node.name)  # the one known here, which has to go, may be above it
        if place.known is not None:
            self._branches.give_up(place.known)
        self._watches.move(node, place.parent, place.name)
        self._unsettled.bound.append(node)
        self._report(place)

    def _fail(self, place: _Place, error: OSError) -> None:
        """The directory there could not be watched."""
        known = place.known
        if known is not None and known.wd > 0:
            if not (self._account.is_sweeping and is_out_of_watches(error)):
                return  # still watched; if it is gone, its event comes
            self._branches.drop(known)  # it is another one, whose event was lost
            known = None
        if self._fallback.is_way_out(error):
            self._report(place)
            self._fallback.add(place.parent, place.name, place.path, known, place.report)
            return
        is_short = is_shortage(error)
        reason = MISSING if is_short or is_gone(error) else REFUSED
        if reason == REFUSED and (known is None or known.wd != REFUSED):
            self._log("Warn", refusal(place.path, error))
        if known is not None:
            known.wd = reason
        else:
            known = self._watches.add(reason, place.parent, place.name)
            self._report(place)
        if is_short:
            self._unread.wait(known, place.path, error, place.report)


class Walk:
    """A stack of directories to be read. `push` and `visit` put one on it, `run` reads them with all below."""

    def __init__(self, tree: Tree, visitor: Visitor, unread: Unread) -> None:
        self._kernel = tree.kernel
        self._watches = tree.watches
        self._account = tree.account
        self._identity = tree.identity
        self._branches = tree.branches
        self._pace = tree.pace
        self._visitor = visitor
        self._unread = unread
        self._stack: list[Reading] = []

    def push(self, node: Node, path: bytes, *, report: bool, again: bool) -> None:
        """A directory is to be read; `report`: reports what is found in it, `again`: even of what is known."""
        self._stack.append((node, path, report, again))

    def visit(self, parent: Node, name: bytes, path: bytes, *, report: bool = True, again: bool = False) -> None:
        """There is a directory, perhaps, at a place: see `Visitor`."""
        reading = self._visitor.visit(parent, name, path, report=report, again=again)
        if reading is not None:
            self._stack.append(reading)

    def look_again(self, idle: Iterable[Node]) -> None:
        """Visits directories that could not be watched so far, or were not wanted, and reads those that now can be."""
        for node in idle:
            if node in self._watches.idle and node.parent is not None:
                self.visit(node.parent, node.name, self._watches.path(node))
        self.run()

    def run(self, *, in_slices: bool = False) -> None:
        """Reads all directories on the stack, and those found below them; looks at the places to be rechecked.

        `in_slices`: ends early when the account is full, as the loop has to get its turn in a tree of whatever size.
        The next run goes on: see `Account.is_partial`.
        """
        watches, stack, to_recheck = self._watches, self._stack, self._branches.to_recheck
        moves, step = -1 if self._account.is_partial else watches.moves, self._pace.step
        self._account.is_partial = False
        self._pace.begin()
        while stack or to_recheck:
            if in_slices and self._account.is_full():
                self._account.is_partial = True
                return
            if not stack:
                self._look_at(*to_recheck.pop())
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
        """A directory turned out not to be at this place. Reports what is there instead, if anything."""
        watches = self._watches
        if watches.is_watched(parent):
            if watches.child(parent, name) is None:
                watches.add(MISSING, parent, name)
            path = b"%s%s/" % (watches.path(parent), name)
            self.visit(parent, name, path, report=not self._account.is_sweeping)
            if not self._account.is_sweeping and self._identity.is_file(path[:-1]):
                # its own event was worked off already, before the directory was retracted
                self._account.changes.append(Found("Create", path[:-1]))

    def _read_new(self, node: Node, path: bytes) -> None:
        """`_read` of a directory watched for the first time, with nothing to report: starting on a big tree is this.

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
            if wd > 0 and wd not in self._watches.nodes and wd not in self._watches.path_watches:
                self._kernel.unwatch(wd)

    def _read(self, node: Node, path: bytes, report: bool, again: bool) -> None:
        changes, nodes = self._account.changes, self._watches.nodes
        push, visit = self._stack.append, self._visitor.visit
        entries = self._kernel.entries(path) if report else [(name, True) for name in self._kernel.directories(path)]
        if not self._identity.is_in_place(node, path):
            self._branches.mark_missing(node)  # it was another one that we read; the event of this one is on its way
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
        """Gives up directories known here that were not found: what becomes of them is reported from the beginning."""
        if node.children is not None:
            listed = {name for name, is_directory in entries if is_directory}
            for name in [name for name in node.children if name not in listed]:
                child = self._watches.child(node, name)
                if child is not None:
                    self._branches.give_up(child)


def is_gone(error: OSError) -> bool:
    """Whether there is no directory at that path, or none any more."""
    return error.errno in _GONE


def refusal(path: bytes, error: OSError) -> str:
    """The log line about a directory that may not be watched or read."""
    return f"Cannot watch {to_text(path)}: {error.strerror}. Trying again when its attributes change."
