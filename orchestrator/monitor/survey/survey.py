"""Brings the tree of watches in line with the directories on the disk.

The kernel's events are history: when one is read, the disk may have moved on. This is safe because:

* A directory is watched first and read afterwards, so that whatever happens in it later is reported by an event.
* All events come through one queue in order. The events of a new watch come after everything that had happened before
  it was set, so each directory that is found in the "wrong" place, because the disk is ahead of the events, has its
  own event still waiting in the queue. That event finds it watched under another name (the kernel gives the same
  number for the same directory) and puts it right.
* Before a directory is given up because an event says so, the kernel is asked whether it is still there.

Where the tree was wrong, changes make up for it: Delete for the wrong place, Create for all of the right one.

Each of these uses those below it only:

    survey       when to read which directories: sources, retries, checks when no events wait (here)
    events       what is done for each event of a directory
    exchanges    two names that changed places in one step
    scan         reads directories, watches those found in them
    fallback     directories without a watch are polled
    tree         the state: changes to be reported, uncertain places, branches given up, progress

`watches` has the tree of names itself, `identity` finds out whether a directory is where it is believed to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Change
from orchestrator.monitor.survey.events import Events
from orchestrator.monitor.survey.fallback import Fallback
from orchestrator.monitor.survey.scan import Unread, Visitor, Walk
from orchestrator.monitor.watches import ALIAS, COVERED, MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.monitor.polled import Polled
    from orchestrator.monitor.survey.tree import Tree
    from orchestrator.monitor.watches import Node


class Survey:
    """Decides when which directories are read. `events`: to be called for each event of a directory."""

    def __init__(
        self,
        tree: Tree,
        wants: Callable[[bytes], bool],
        log: Callable[[str, str], None],
        polled: Polled | None,
    ) -> None:
        """Changes go to the tree's account. `wants`: see `Visitor`; `polled`: see `Fallback`."""
        self._kernel = tree.kernel
        self._watches = tree.watches
        self._account = tree.account
        self._identity = tree.identity
        self._unsettled = tree.unsettled
        self._branches = tree.branches
        self.unread = Unread(tree.branches, log)
        self._fallback = Fallback(tree, polled)
        self._visitor = Visitor(tree, wants, log, self.unread, self._fallback)
        self._walk = Walk(tree, self._visitor, self.unread)
        self.events = Events(tree, wants, self._walk, self._fallback)

    # -- sources ---------------------------------------------------------------------------------------------------

    def enter(self, path: bytes) -> Node:
        """Watches the whole tree of a source, whose contents are not reported. Raises OSError, MonitorError."""
        try:
            wd = self._kernel.watch(path)
        except OSError as error:
            if not self._fallback.is_way_out(error):
                raise
            return self._fallback.enter(path)
        node = self._watches.nodes.get(wd)
        if node is not None and self._watches.path(node) == path:
            self._walk.look_again(self._watches.idle_below(node))
            return node
        if node is not None:
            if self._identity.is_in_place(node):
                self._visitor.warn_of_alias(path, node)
                return self._watches.add(ALIAS, None, path[:-1])
            self._branches.drop_and_recheck(node)
            wd = self._kernel.watch(path)
        node = self._watches.add(wd, None, path[:-1])
        self._unsettled.entered.append(node)
        self._walk.push(node, path, report=False, again=False)
        self._walk.run()
        return node

    def leave(self, top: Node) -> None:
        """Ends all watches at and below `top`."""
        self._branches.drop(top)

    def sweep(self, top: Node) -> None:
        """Reads the whole tree again, as after lost events: watches what is new and wanted, drops what is not."""
        self._account.is_sweeping = True
        self._walk.push(top, self._watches.path(top), report=False, again=True)
        self._walk.run()
        self._account.is_sweeping = False

    def contents(self, top: Node) -> Iterator[Change]:
        """A Create for everything below a directory, as it is on the disk; parents first.

        Only of what is watched: what is not yet, is reported of when its own event is worked off, and what is gone then
        would otherwise never be reported to be gone.
        """
        stack = [(top, self._watches.path(top))]
        while stack:
            node, path = stack.pop()
            try:
                entries = self._kernel.entries(path)
            except OSError:
                continue
            if not self._identity.is_in_place(node):
                continue
            for name, is_directory in entries:
                if not is_directory:
                    yield Change("Create", path + name)
                    continue
                below = self._watches.child(node, name)
                if below is not None:
                    yield Change("Create", b"%s%s/" % (path, name))
                    if below.wd > 0:
                        stack.append((below, b"%s%s/" % (path, name)))

    # -- what was uncertain ----------------------------------------------------------------------------------------

    def trust(self) -> None:
        """No events were waiting: everything is where we found it."""
        self._unsettled.trust()

    def settle(self) -> bool:
        """To be called when all events are worked off: finds what was taken for another directory of the same path.

        Gives whether there was anything to put right; then more events may have come meanwhile.
        """
        self.events.settle()
        suspects = self._unsettled.take()
        if suspects is None:
            return False
        bound, entered = suspects
        for top in entered:
            if self._watches.is_watched(top):
                self.sweep(top)
        wrong = [node for node in bound if self._is_elsewhere(node)]
        for node in wrong:
            if self._watches.is_watched(node):
                self._branches.drop_and_recheck(node)
        self._walk.run()
        self.retry_missing()
        self._give_up_absent()
        return bool(entered or wrong or self._unsettled.bound)

    def _give_up_absent(self) -> None:
        """A directory that is still not there is nowhere."""
        absent, self._unsettled.absent = self._unsettled.absent, []
        for node in absent:
            if node.wd == MISSING and node in self._watches.idle:
                self._branches.drop(node)

    def _is_elsewhere(self, node: Node) -> bool:
        return self._watches.is_watched(node) and not self._identity.is_in_place(node)

    # -- what has to be tried again --------------------------------------------------------------------------------

    def retry_unread(self) -> None:
        """Reads what could not be read while descriptors or memory were short."""
        for node, report in self.unread.take():
            if self._watches.is_watched(node):
                self._walk.push(node, self._watches.path(node), report=report, again=False)
            elif node in self._watches.idle and node.parent is not None:
                self._walk.visit(node.parent, node.name, self._watches.path(node), report=report)
        self._walk.run()
        self.unread.finish()

    def go_on(self) -> None:
        """Goes on with a walk that was longer than one read."""
        self._walk.run(in_slices=True)

    def retry_missing(self) -> None:
        """Looks again for what was not there: something may be mounted now."""
        self._walk.look_again([node for node in self._watches.idle if node.wd in (COVERED, MISSING)])

    def remounted(self, tops: Iterable[Node], places: Iterable[bytes]) -> None:
        """Something was mounted or unmounted at these places (no slash at the end): what is there now is watched.

        A directory that is covered, or uncovered no longer, is not reported as gone: it was not deleted.
        """
        for top in tops:
            above = self._watches.path(top)
            for place in sorted(place for place in places if place.startswith(above)):
                node = self._watches.known(top, place + b"/")
                if node is None or node is top or not (node.wd > 0 or node.wd == ALIAS):
                    continue
                if self._identity.is_in_place(node):  # again, perhaps: what was read may have been something else
                    self._walk.push(node, place + b"/", report=True, again=False)
                else:
                    self._branches.replace(node, COVERED)
        self._walk.run()
        self.retry_missing()
