"""What the kernel's events say of directories, taken for what it is: history.

When an event is read, the disk may have moved on. So before a directory is given up because an event says so, the
kernel is asked whether it is still there: the event may be about an earlier one of the same name. And where a rename
is not of what we know under that name, it is taken for what can be said for sure: something went, something came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.change import Change
from orchestrator.monitor.survey.exchanges import Exchanges
from orchestrator.monitor.watches import ALIAS, COVERED, MISSING, POLLED, REFUSED, UNWANTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.monitor.survey.exchanges import End, Rename
    from orchestrator.monitor.survey.fallback import Fallback
    from orchestrator.monitor.survey.scan import Walk
    from orchestrator.monitor.survey.tree import Tree
    from orchestrator.monitor.watches import Node


class Events:
    """One method for each thing that can happen to a directory, in order of happening. `path`: with a slash behind."""

    def __init__(self, tree: Tree, wants: Callable[[bytes], bool], walk: Walk, fallback: Fallback) -> None:
        self._watches = tree.watches
        self._account = tree.account
        self._identity = tree.identity
        self._branches = tree.branches
        self._unsettled = tree.unsettled
        self._wants = wants
        self._walk = walk
        self._fallback = fallback
        self._unmounted: set[int] = set()
        self._exchanges = Exchanges(tree.account)

    def appeared(self, parent: Node, name: bytes, path: bytes, *, again: bool = False) -> None:
        """A directory was created or moved in. `again`: report all of it even if it is known already."""
        self._unsettled.ended.discard(path)
        self._account.current_event = path
        self._walk.visit(parent, name, path, again=again)
        self._walk.run(in_slices=True)

    def vanished(self, parent: Node, name: bytes, path: bytes) -> None:
        """A directory was deleted or moved out."""
        self._unsettled.has_moved = True
        if path in self._unsettled.ended:
            self._unsettled.ended.discard(path)
        else:
            self._account.changes.append(Change("Delete", path))
        has_successor = self._has_successor(parent, name, path[:-1])
        node = self._watches.child(parent, name)
        if node is None:
            return
        if has_successor and node.wd == MISSING:
            self._unsettled.absent.append(node)
            return
        if has_successor and (node.wd > 0 or node.wd == POLLED):
            self._unsettled.bound.append(node)
            self.appeared(parent, name, path, again=True)
            return
        if node.wd > 0 and self._identity.is_in_place(node, path):
            self.appeared(parent, name, path, again=True)
        else:
            self._branches.drop(node)

    def suspects(self, origin: End, destination: End) -> tuple[int, ...]:
        """Watches of what may be renamed here: what is known there; what was there before an exchange. Empty: clear."""
        first = self._exchanges.first_half(origin, destination)
        node = self._watches.child(origin[0], origin[1])
        if first is None or not first.is_directory or node is None or node.wd <= 0:
            return ()
        return (node.wd, first.replaced or 0)

    def renamed(self, origin: End, destination: End, *, is_exchange: bool = False) -> None:
        """A directory was renamed within what is watched; `is_exchange`: not the one that is known at its origin."""
        self._unsettled.has_moved = True
        first = self._exchanges.first_half(origin, destination)
        self._exchanges.happened(origin[:2], destination[:2])
        if first is not None and (is_exchange or not first.is_directory):
            self._exchanged(first, origin, destination)
            return
        if not self._repeat(origin, destination):
            # The disk is ahead of the events: what was renamed is not what we know under that name.
            self._exchanges.note(origin, destination, is_repeated=False)
            self.vanished(*origin)
            if self._watches.is_watched(destination[0]):  # it may have been below what has vanished
                self.appeared(*destination, again=True)
        if first is not None and not first.is_old and not first.is_clear:
            self._look_behind(origin)

    def _repeat(self, origin: End, destination: End) -> bool:
        """Has the tree do as the disk did; False where that can't be right."""
        parent, name, path = destination
        self._unsettled.ended.discard(path)
        node = self._watches.child(origin[0], origin[1])
        there = self._watches.child(parent, name)
        if node is None or not self._can_repeat(node, parent, there, path):
            return False
        replaced = None if there is None else there.wd
        if there is not None and there.wd == POLLED:
            self._branches.give_up(there)  # it was emptied first, which no cycle may have seen
        elif there is not None:
            self._branches.drop(there)
        self._watches.move(node, parent, name)
        self._account.changes.append(Change("Move", origin[2], path))
        self._exchanges.note(origin, destination, is_repeated=True, replaced=replaced)
        if node.wd > 0 and not self._wants(path):
            self._branches.replace(node, UNWANTED)
        else:
            self._walk.look_again(self._watches.idle_below(node))
        return True

    def file_renamed(self, origin: End, destination: End) -> None:
        """A file was renamed within what is watched."""
        first = self._exchanges.first_half(origin, destination)
        self._exchanges.happened(origin[:2], destination[:2])
        if first is not None and not first.is_old:
            self._exchanged_file(first, destination)
            return
        self._account.changes.append(Change("Move", origin[2], destination[2]))
        self._exchanges.note(origin, destination, is_repeated=True)
        if first is not None and self._identity.is_file(origin[2]):  # not just back again
            self._account.changes += [Change("Create", origin[2]), Change("Create", destination[2])]
        self.re_emit(origin[0].wd, origin[1])
        self.re_emit(destination[0].wd, destination[1])

    def arrived(self, parent: Node, name: bytes, path: bytes) -> None:
        """A directory was moved in."""
        self.appeared(parent, name, path)
        self._exchanges.note_arrival(parent, name, is_directory=True)

    def file_arrived(self, parent: Node, name: bytes, path: bytes) -> None:
        """A file was moved in."""
        self._account.changes.append(Change("Create", path))
        self._exchanges.note_arrival(parent, name, is_directory=False)

    def file_left(self, parent: Node, name: bytes, path: bytes) -> None:
        """A file was moved out."""
        self._account.changes.append(Change("Delete", path))
        self._has_successor(parent, name, path)
        self.re_emit(parent.wd, name)

    def happened(self, parent: Node, name: bytes) -> None:
        """Something other than a rename, or half of one, is reported of a name: to be called before that."""
        self._exchanges.happened((parent, name))

    def deleted(self, wd: int, name: bytes) -> None:
        """A file was removed."""
        parent = self._watches.nodes.get(wd)
        if parent is not None:
            self._exchanges.happened((parent, name))
            self.re_emit(wd, name)

    def settle(self) -> None:
        """All events are worked off."""
        self._exchanges.settle()

    def re_emit(self, wd: int, name: bytes) -> None:
        """A file was removed where a directory is known by now, which was reported too early: report it again."""
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
            self._unsettled.has_moved = True
            is_unmounted = wd in self._unmounted
            if not is_unmounted and node.parent is not None:
                path = self._watches.path(node)
                self._account.changes.append(Change("Delete", path))
                # the parent's own event of it comes right behind
                self._unsettled.ended.add(path)
            self._branches.replace(node, COVERED if is_unmounted else MISSING)
        self._unmounted.discard(wd)

    def _went_and_came(self, origin: End, destination: End) -> None:
        parent, name, path = destination
        self.vanished(*origin)
        if self._watches.is_watched(parent):  # it may have been below what has vanished
            self.appeared(parent, name, path, again=True)

    def _exchanged(self, first: Rename, origin: End, destination: End) -> None:
        """The second half of an exchange: of a directory for what `first` is about, which has taken its place."""
        parent, name, path = destination
        is_reported = first.is_repeated and self._exchanges.make_room(first, origin[2])
        if first.is_directory:
            if not is_reported:
                self._account.changes.append(Change("Delete", origin[2]))
                self.appeared(*origin, again=True)
        else:
            node = self._watches.child(origin[0], origin[1])
            there = self._watches.child(parent, name)
            if node is None or not self._can_repeat(node, parent, there, path):
                self.vanished(*origin)
            else:
                if there is not None:
                    self._branches.give_up(there)
                if is_reported:
                    self._watches.move(node, parent, name)
                else:
                    self._account.changes.append(Change("Delete", origin[2]))
                    self._branches.drop(node)  # all of it is reported anew, be it elsewhere by now
            if self._identity.is_file(first.destination[2]):
                self._account.changes.append(Change("Create", first.destination[2]))
        if self._watches.is_watched(parent):
            self.appeared(parent, name, path, again=True)

    def _exchanged_file(self, first: Rename, destination: End) -> None:
        """As `_exchanged`, of a file for what `first` is about; or of one that went to and fro."""
        parent, name, path = first.destination
        if not first.is_directory:
            if not self._identity.is_file(path):
                self._account.changes.append(Change("Delete", path))
                self.re_emit(parent.wd, name)  # a directory known there by now goes with that
            self._account.changes.append(Change("Create", destination[2]))
            return
        is_reported = first.is_repeated and self._exchanges.make_room(first, path[:-1])
        self._account.changes.append(Change("Create", destination[2]))
        self.re_emit(destination[0].wd, destination[1])
        if not is_reported and self._watches.is_watched(parent):
            self._account.changes.append(Change("Delete", path[:-1]))
            self.appeared(parent, name, path, again=True)

    def _has_successor(self, parent: Node, name: bytes, path: bytes) -> bool:
        """Something went outside. Whether that was, perhaps, in exchange for a directory that came just before.

        Then that one is what is known there. A file, as nobody knows of files, is reported of once more.
        """
        is_directory = self._exchanges.arrival(parent, name)
        if is_directory is False and self._identity.is_file(path):
            self._account.changes.append(Change("Create", path))
        return bool(is_directory)

    def _look_behind(self, end: End) -> None:
        """A thing renamed to and fro was exchanged, perhaps, with something of which too little is known."""
        parent, name, path = end
        if self._watches.child(parent, name) is not None or not self._watches.is_watched(parent):
            return
        if self._identity.is_directory(path):
            self.appeared(parent, name, path, again=True)
        else:
            self._unsettled.absent.append(self._watches.add(MISSING, parent, name))

    def _can_repeat(self, node: Node, parent: Node, there: Node | None, path: bytes) -> bool:
        """Whether the tree can do as the disk did: move `node` below `parent`, in place of what is `there`."""
        if node.wd in (COVERED, MISSING, ALIAS):
            return False
        if self._fallback.is_in(node):  # who repeats the rename would not know all that is in it
            return False
        if self._watches.is_below(parent, node):
            return False
        if there is None:
            return True
        return not (self._watches.is_below(node, there) or (there.wd > 0 and self._identity.is_in_place(there, path)))
