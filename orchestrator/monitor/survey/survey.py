"""Brings the tree of watches in line with the directories on the disk.

The kernel's events are history: when one is read, the disk may have moved on. What makes this safe:

* A directory is watched first and read afterwards, so that whatever happens in it later is told by an event.
* All events come through one queue in order. What is told about a new watch comes after everything that had happened
  before it was set, so each directory that we find in the "wrong" place, because the disk is ahead of the events, has
  its own event still waiting in the queue. That event finds it watched under another name (the kernel gives the same
  number for the same directory) and puts it right.
* Before a directory is given up because an event says so, the kernel is asked whether it is still there.

Where the tree was wrong, the changes told make up for it: Delete for the wrong place, Create for all of the right one.

Who does what, each using those below it only:

    survey       when to look at what: sources, what has to be tried again, what is checked when all is quiet (here)
    events       what the events say of directories
    exchanges    two names that changed places in one step
    walk         reads directories, one after the other
    visitor      watches a directory found at a place, and decides what it is
    fallback     what there is no watch for
    unread       what could not be read
    branches     gives up what is not there
    unsettled    what is not certain before all events are worked off
    account      what is told
    pace         what must go on meanwhile

Besides: `watches` is the tree itself, `whereabouts` finds out whether a directory is where it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Change
from orchestrator.monitor.survey.branches import Branches
from orchestrator.monitor.survey.events import Events
from orchestrator.monitor.survey.fallback import Fallback
from orchestrator.monitor.survey.unread import Unread
from orchestrator.monitor.survey.unsettled import Unsettled
from orchestrator.monitor.survey.visitor import Visitor
from orchestrator.monitor.survey.walk import Walk
from orchestrator.monitor.watches import COVERED, MISSING, TWIN
from orchestrator.monitor.whereabouts import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.polled import Polled
    from orchestrator.monitor.survey.account import Account
    from orchestrator.monitor.survey.pace import Pace
    from orchestrator.monitor.watches import Node, Watches


class Survey:
    """Decides when which directories are looked at. `events` are to be told what the kernel says of directories."""

    def __init__(
        self,
        kernel: Kernel,
        watches: Watches,
        wants: Callable[[bytes], bool],
        log: Callable[[str, str], None],
        account: Account,
        pace: Pace,
        polled: Polled | None,
    ) -> None:
        """What is found is told in `account`. `wants`: see `Visitor`; `polled`: see `Fallback`."""
        whereabouts = Whereabouts(kernel, watches)
        unsettled = Unsettled()
        branches = Branches(kernel, watches, account, pace)
        unread = Unread(branches, log)
        fallback = Fallback(watches, account, pace, polled)
        visitor = Visitor(kernel, watches, wants, log, account, whereabouts, branches, unsettled, unread, fallback)
        walk = Walk(kernel, watches, account, whereabouts, branches, visitor, unread, pace)
        self.events = Events(watches, wants, account, whereabouts, branches, unsettled, walk, fallback)
        self._kernel = kernel
        self._watches = watches
        self._account = account
        self._whereabouts = whereabouts
        self._unsettled = unsettled
        self._branches = branches
        self._unread = unread
        self._fallback = fallback
        self._visitor = visitor
        self._walk = walk

    # -- sources ---------------------------------------------------------------------------------------------------

    def enter(self, path: bytes) -> Node:
        """Watches the whole tree of a source and tells nothing of what it finds. Raises OSError, MonitorError."""
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
            if self._whereabouts.is_at(node):
                self._visitor.say_twin(path, node)
                return self._watches.add(TWIN, None, path[:-1])
            self._branches.distrust(node)
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

        Only of what is watched: what is not yet, is told of when its own event is worked off, and what is gone then
        would otherwise never be told to be gone.
        """
        stack = [(top, self._watches.path(top))]
        while stack:
            node, path = stack.pop()
            try:
                entries = self._kernel.entries(path)
            except OSError:
                continue
            if not self._whereabouts.is_at(node):
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
                self._branches.distrust(node)
        self._walk.run()
        self.retry_missing()
        self._give_up_absent()
        return bool(entered or wrong or self._unsettled.bound)

    def _give_up_absent(self) -> None:
        """What is still not there is nowhere."""
        absent, self._unsettled.absent = self._unsettled.absent, []
        for node in absent:
            if node.wd == MISSING and node in self._watches.idle:
                self._branches.drop(node)

    def _is_elsewhere(self, node: Node) -> bool:
        return self._watches.is_watched(node) and not self._whereabouts.is_at(node)

    # -- what has to be tried again --------------------------------------------------------------------------------

    def retry_unread(self) -> None:
        """Reads what could not be read for want of descriptors or memory."""
        if not self._unread.is_short():
            return
        for node, report in self._unread.take():
            if self._watches.is_watched(node):
                self._walk.push(node, self._watches.path(node), report=report, again=False)
            elif node in self._watches.idle and node.parent is not None:
                self._walk.visit(node.parent, node.name, self._watches.path(node), report=report)
        self._walk.run()
        self._unread.finish()

    def finish_walk(self) -> bool:
        """Goes on with a walk that was longer than one read; gives whether it has come to its end."""
        if self._walk.is_unfinished():
            self._walk.run(in_slices=True)
        return not self._walk.is_unfinished()

    def is_walking(self) -> bool:
        """Whether a walk goes on with the next read."""
        return self._walk.is_unfinished()

    def retry_missing(self) -> None:
        """Looks again for what was not there: something may be mounted now."""
        self._walk.look_again([node for node in self._watches.idle if node.wd in (COVERED, MISSING)])

    def remounted(self, tops: Iterable[Node], places: Iterable[bytes]) -> None:
        """Something was mounted or unmounted at these places (no slash at the end): what is there now is watched.

        What is covered, or uncovered no longer, is not told to be gone: that nobody sees it is no deletion.
        """
        for top in tops:
            above = self._watches.path(top)
            for place in sorted(place for place in places if place.startswith(above)):
                node = self._watches.known(top, place + b"/")
                if node is None or node is top or not (node.wd > 0 or node.wd == TWIN):
                    continue
                if self._whereabouts.is_at(node):  # again, perhaps: what was read may have been something else
                    self._walk.push(node, place + b"/", report=True, again=False)
                else:
                    self._branches.replace(node, COVERED)
        self._walk.run()
        self.retry_missing()
