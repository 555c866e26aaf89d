"""What becomes of a directory that was found at a place.

It is watched first; the kernel's number then tells whether we know it. There are four cases:

* It is new: it gets its place in the tree, and has to be read.
* It is known, and known here: there is nothing to do.
* It is known elsewhere: `_take`.
* It cannot be watched: its place remembers why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Change
from orchestrator.logic.text import to_text
from orchestrator.monitor.kernel import is_out_of_watches, is_shortage
from orchestrator.monitor.survey.unread import is_gone, refusal
from orchestrator.monitor.watches import COVERED, MISSING, POLLED, REFUSED, TWIN, UNWANTED, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.survey.account import Account
    from orchestrator.monitor.survey.branches import Branches
    from orchestrator.monitor.survey.fallback import Fallback
    from orchestrator.monitor.survey.unread import Unread
    from orchestrator.monitor.survey.unsettled import Unsettled
    from orchestrator.monitor.watches import Watches
    from orchestrator.monitor.whereabouts import Whereabouts

_SAID = 1000  # directories

Reading = tuple[Node, bytes, bool, bool]
"""A directory that has to be read, its path, whether to tell of what is in it, and whether even of what is known."""


class _Place:
    """Where a directory was found that is not simply new."""

    __slots__ = ("known", "name", "parent", "path", "report")

    def __init__(self, parent: Node, name: bytes, path: bytes, known: Node | None, report: bool) -> None:
        self.parent = parent
        self.name = name
        self.path = path
        self.known = known  # what we know to be there so far
        self.report = report  # whether to tell of what we find


class Visitor:
    """Goes to one place at a time. Reads no directory: who sends it does, and it says which."""

    def __init__(
        self,
        kernel: Kernel,
        watches: Watches,
        wants: Callable[[bytes], bool],
        log: Callable[[str, str], None],
        account: Account,
        whereabouts: Whereabouts,
        branches: Branches,
        unsettled: Unsettled,
        unread: Unread,
        fallback: Fallback,
    ) -> None:
        """`wants` may have a method `all_in(directory)`: whether all below is wanted, so that nobody need ask."""
        self._kernel = kernel
        self._watches = watches
        self._wants = wants
        self._all_wanted: Callable[[bytes], bool] = getattr(wants, "all_in", lambda directory: False)
        self._log = log
        self._account = account
        self._whereabouts = whereabouts
        self._branches = branches
        self._unsettled = unsettled
        self._unread = unread
        self._fallback = fallback
        self._said: set[bytes] = set()  # of which directories it was said that they are another one, too

    def visit(self, parent: Node, name: bytes, path: bytes, *, report: bool, again: bool) -> Reading | None:
        """Watches the directory at a place; gives what is to be read now, if anything.

        `report`: tells of it, if it was not known here. `again`: even if it was.
        """
        account, watches = self._account, self._watches
        is_sweeping = account.is_sweeping
        known = None if parent.children is None else parent.children.get(name)
        if (known is None or is_sweeping or known.wd in (UNWANTED, MISSING, COVERED)) and not self._wants(path):
            self._leave_alone(_Place(parent, name, path, known, report))
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
                # a Create could be taken for leave to delete what is not in there now
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
        """Of directories just found in a directory those that any sync has a use for; of the others that is noted."""
        if self._all_wanted(path):
            return names
        return [name for name in names if self._is_wanted(parent, name, path)]

    def say_twin(self, path: bytes, node: Node) -> None:
        """Says that the directory at `path` is one that is watched elsewhere; once, as it may come and go."""
        if path in self._said:
            return
        if len(self._said) >= _SAID:
            self._said.clear()
        self._said.add(path)
        there = to_text(self._watches.path(node))
        self._log("Warn", f"{to_text(path)} is the same directory as {there}: changes are seen there only.")

    def _is_wanted(self, parent: Node, name: bytes, path: bytes) -> bool:
        is_wanted = self._wants(b"%s%s/" % (path, name))
        if not is_wanted and self._watches.child(parent, name) is None:
            self._watches.add(UNWANTED, parent, name)
        return is_wanted

    def _tell(self, place: _Place) -> None:
        if place.report:
            self._account.found(place.path)

    def _leave_alone(self, place: _Place) -> None:
        """No sync has a use for what is there."""
        if place.known is not None:
            self._branches.replace(place.known, UNWANTED)
        else:
            self._watches.add(UNWANTED, place.parent, place.name)
            self._tell(place)

    def _take(self, place: _Place, node: Node) -> Reading | None:
        """`node`, known elsewhere, was found here: the disk is ahead of the events, or behind a bind mount."""
        watches, path = self._watches, place.path
        if watches.path(node) == path:  # a source inside another one, or seen from there
            self._put(place, node)
            return (node, path, True, True) if place.report else None
        if self._whereabouts.is_at(node):
            if place.known is None:
                self.say_twin(path, node)
                watches.add(TWIN, place.parent, place.name)
                self._tell(place)
            return None
        if watches.is_below(place.parent, node):  # all that we believe of this branch is out of date
            self._branches.distrust(node)
            return None
        self._branches.doubt(node)
        self._put(place, node)
        return node, path, place.report, True

    def _put(self, place: _Place, node: Node) -> None:
        self._watches.move(node, None, node.name)  # what is known here, and has to go, may be above it
        if place.known is not None:
            self._branches.give_up(place.known)
        self._watches.move(node, place.parent, place.name)
        self._unsettled.bound.append(node)
        self._tell(place)

    def _fail(self, place: _Place, error: OSError) -> None:
        """What is there could not be watched."""
        known = place.known
        if known is not None and known.wd > 0:
            if not (self._account.is_sweeping and is_out_of_watches(error)):
                return  # still watched; if it is gone, its event comes
            self._branches.drop(known)  # it is another one, whose event was lost
            known = None
        if self._fallback.is_way_out(error):
            self._tell(place)
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
            self._tell(place)
        if is_short:
            self._unread.wait(known, place.path, error, place.report)
