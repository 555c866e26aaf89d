"""What the kernel's events say of directories, taken for what it is: history.

When an event is read, the disk may have moved on. So before a directory is given up because an event says so, the
kernel is asked whether it is still there: the event may be about an earlier one of the same name. And where a rename
is not of what we know under that name, it is taken for what can be said for sure: something went, something came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Change
from orchestrator.monitor.watches import COVERED, MISSING, POLLED, REFUSED, TWIN, UNWANTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.monitor.survey.account import Account
    from orchestrator.monitor.survey.branches import Branches
    from orchestrator.monitor.survey.fallback import Fallback
    from orchestrator.monitor.survey.unsettled import Unsettled
    from orchestrator.monitor.survey.walk import Walk
    from orchestrator.monitor.watches import Node, Watches
    from orchestrator.monitor.whereabouts import Whereabouts


class Events:
    """One method for each thing that can happen to a directory, in order of happening. `path`: with a slash behind."""

    def __init__(
        self,
        watches: Watches,
        wants: Callable[[bytes], bool],
        account: Account,
        whereabouts: Whereabouts,
        branches: Branches,
        unsettled: Unsettled,
        walk: Walk,
        fallback: Fallback,
    ) -> None:
        self._watches = watches
        self._wants = wants
        self._account = account
        self._whereabouts = whereabouts
        self._branches = branches
        self._unsettled = unsettled
        self._walk = walk
        self._fallback = fallback
        self._unmounted: set[int] = set()

    def appeared(self, parent: Node, name: bytes, path: bytes, *, again: bool = False) -> None:
        """A directory was created or moved in. `again`: tell of all of it even if it is known already."""
        self._unsettled.ended.discard(path)
        self._account.occasion = path
        self._walk.visit(parent, name, path, again=again)
        self._walk.run()

    def vanished(self, parent: Node, name: bytes, path: bytes) -> None:
        """A directory was deleted or moved out."""
        self._unsettled.is_shuffled = True
        if path in self._unsettled.ended:
            self._unsettled.ended.discard(path)
        else:
            self._account.changes.append(Change("Delete", path))
        node = self._watches.child(parent, name)
        if node is None:
            return
        if node.wd > 0 and self._whereabouts.is_at(node, path):
            self.appeared(parent, name, path, again=True)
        else:
            self._branches.drop(node)

    def renamed(self, origin: tuple[Node, bytes, bytes], destination: tuple[Node, bytes, bytes]) -> None:
        """A directory was renamed within what is watched: `parent, name, path` of both ends."""
        self._unsettled.is_shuffled = True
        parent, name, path = destination
        self._unsettled.ended.discard(path)
        node = self._watches.child(origin[0], origin[1])
        there = self._watches.child(parent, name)
        if node is None or not self._can_repeat(node, parent, there, path):
            # The disk is ahead of the events: what was renamed is not what we know under that name.
            self.vanished(*origin)
            if self._watches.is_watched(parent):  # it may have been below what has vanished
                self.appeared(parent, name, path, again=True)
            return
        if there is not None and there.wd == POLLED:
            self._branches.give_up(there)  # it was emptied first, which no round may have seen
        elif there is not None:
            self._branches.drop(there)
        self._watches.move(node, parent, name)
        self._account.changes.append(Change("Move", origin[2], path))
        if node.wd > 0 and not self._wants(path):
            self._branches.replace(node, UNWANTED)
        else:
            self._walk.look_again(self._watches.idle_below(node))

    def retell(self, wd: int, name: bytes) -> None:
        """A file was removed where, by now, a directory is known: it was told of too early, so it is told of again."""
        parent = self._watches.nodes.get(wd)
        if parent is not None and parent.children is not None and name in parent.children:
            self.appeared(parent, name, b"%s%s/" % (self._watches.path(parent), name), again=True)

    def touched(self, parent: Node, name: bytes, path: bytes) -> None:
        """A directory's attributes changed: one that we were refused may be open to us now."""
        self._account.changes.append(Change("Attrib", path))
        node = self._watches.child(parent, name)
        if node is not None and node.wd == REFUSED:
            self._walk.look_again([node])

    def unmounted(self, wd: int) -> None:
        """A directory's file system was unmounted: `ended` comes next."""
        self._unmounted.add(wd)

    def ended(self, wd: int) -> None:
        """The kernel has ended a watch: the directory is deleted, or its file system is unmounted."""
        node = self._watches.nodes.get(wd)
        if node is not None:
            self._unsettled.is_shuffled = True
            is_unmounted = wd in self._unmounted
            if not is_unmounted and node.parent is not None:
                path = self._watches.path(node)
                self._account.changes.append(Change("Delete", path))
                # the parent's own event of it comes right behind
                self._unsettled.ended.add(path)
            self._branches.replace(node, COVERED if is_unmounted else MISSING)
        self._unmounted.discard(wd)

    def _can_repeat(self, node: Node, parent: Node, there: Node | None, path: bytes) -> bool:
        """Whether the tree can do as the disk did: move `node` below `parent`, in place of what is `there`."""
        if node.wd in (COVERED, MISSING, TWIN):
            return False
        if self._fallback.is_in(node):  # who repeats the rename would not know all that is in it
            return False
        if self._watches.is_below(parent, node):
            return False
        if there is None:
            return True
        return not (self._watches.is_below(node, there) or (there.wd > 0 and self._whereabouts.is_at(there, path)))
