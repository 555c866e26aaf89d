"""The sources themselves: notices when one is gone or replaced, and when it is back.

A source is held as long as its path leads to the directory that we watch. Every directory above it is asked to report
when it is moved, its parent also of deletions; the loss of the source's own watch and every change of the mount table
count as hints, too. A hint only makes us look. While a source is lost, the nearest directory on the way to it that
exists is asked to report what appears in it: no polling.

A source whose file system was unmounted leaves an empty directory, which must not be taken for it: spec 6, row 22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orchestrator.monitor.identity import Identity
from orchestrator.monitor.kernel import (
    ANCESTOR_EVENTS,
    AWAITING_EVENTS,
    CREATE,
    PARENT_EVENTS,
    is_out_of_watches,
    is_shortage,
)

if TYPE_CHECKING:
    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.watches import Node, Watches


class Trees(Protocol):
    """Who watches what is below the sources: a Survey, or somebody who watches nothing there."""

    def enter(self, path: bytes) -> Node: ...

    def leave(self, top: Node) -> None: ...

    def retry_missing(self) -> None: ...


class _Root:
    """One source: held (`node` is its directory), left alone for a while, or lost (`node` is None)."""

    __slots__ = ("device", "is_paused", "node", "path", "placeholder", "users")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.users = 1
        self.node: Node | None = None
        self.device: int | None = None  # of the file system it was seen on first; None: never seen
        self.is_paused = False
        self.placeholder: int | None = None  # of what was found in its place while lost


class Roots:
    """All sources. `needs_check` is set on a hint; `check()` then finds out."""

    def __init__(self, kernel: Kernel, watches: Watches, survey: Trees) -> None:
        self.needs_check = False
        self.unwatched_ancestors: set[bytes] = set()
        """Directories above sources that there was no watch for: what happens to them only `check()` finds out."""
        self._kernel = kernel
        self._watches = watches
        self._survey = survey
        self._identity = Identity(kernel, watches)
        self._roots: dict[bytes, _Root] = {}
        self._ancestor_watches: dict[int, int] = {}  # watch → what is asked of it, for the directories above sources
        self.awaited: set[tuple[int, bytes]] = set()
        """Watches and names of what is missing on the way to lost sources: a link may take its place, too."""
        self._unplaced: set[bytes] = set()  # directories above sources that were not there
        self._placed: set[int] = set()  # those, and some where things changed while we looked
        self._lost: list[bytes] = []
        self._returned: list[bytes] = []

    def is_source(self, path: bytes) -> bool:
        """Whether it is a source itself."""
        return path in self._roots

    def add(self, path: bytes) -> None:
        """Watches a source with all below it. One that is not there is lost from the beginning."""
        root = self._roots.get(path)
        if root is not None:
            root.users += 1
            if root.node is not None:
                try:
                    self._survey.enter(path)  # what was unwanted so far may be wanted by the newcomer
                except OSError:
                    self.needs_check = True
            return
        root = self._roots[path] = _Root(path)
        self._kernel.sources.add(path)
        if not self._enter(root):
            self._lost.append(path)
        self.needs_check = True  # one check for many sources: it sets all ancestor_watches

    def remove(self, path: bytes) -> None:
        """Ends the watching of a source, except for what lies within other ones."""
        root = self._roots[path]
        root.users -= 1
        if root.users:
            return
        del self._roots[path]
        self._kernel.sources.discard(path)
        if root.node is not None:
            self._leave(root.node)
        self.needs_check = True

    def pause(self, path: bytes) -> None:
        """Ends the watching of a source, which is neither lost nor given up, until `resume`."""
        root = self._roots[path]
        root.is_paused = True
        node, root.node = root.node, None
        if node is not None:
            self._leave(node)
        self.needs_check = True

    def resume(self, path: bytes) -> None:
        """Watches a source again that was left alone. If it is not there, or another file system is, it is lost."""
        root = self._roots[path]
        root.is_paused = False
        root.placeholder = None
        if not (self._is_back(root) and self._enter(root)):
            self._lost.append(path)
        self.needs_check = True

    def tops(self) -> list[Node]:
        """The directories of all sources held, without those that lie within the tree of another."""
        found = {root.node for root in self._roots.values() if root.node is not None and root.node.parent is None}
        return list(found)

    def hint(self, wd: int) -> None:
        """An event came that may concern a source, if `wd` has to do with one."""
        if wd in self._watches.path_watches:
            self.needs_check = True

    def is_ancestor(self, wd: int) -> bool:
        """Whether `wd` is of a directory above a source."""
        return wd in self._ancestor_watches

    def lost(self) -> list[bytes]:
        """The sources lost since last asked."""
        lost, self._lost = self._lost, []
        return lost

    def returned(self) -> list[bytes]:
        """The sources back, and watched again, since last asked."""
        returned, self._returned = self._returned, []
        return returned

    def check(self) -> None:
        """Finds out about every source, and sets the ancestor_watches anew."""
        self._watch_ancestors()
        while self._look() or not self._are_ancestors_watched():  # watched before the last look: nothing gets lost
            self._watch_ancestors()
        self._survey.retry_missing()  # moved with a directory above it, before that was watched
        self.needs_check = self._watches.is_source_watch_lost = False

    def _look(self) -> bool:
        changed = False
        for root in self._roots.values():
            if root.is_paused:
                continue
            if root.node is not None and not self._is_held(root):
                self._lose(root)
                changed = True
            if root.node is None and self._is_back(root) and self._enter(root):
                self._returned.append(root.path)
                changed = True
        return changed

    def _is_held(self, root: _Root) -> bool:
        node = root.node
        if node is None or self._watches.path(node) != root.path:
            return False
        if node.wd <= 0:  # an alias of another source, or polled
            return node in self._watches.idle and self._kernel.device(root.path) == root.device is not None
        if not self._watches.is_watched(node):
            return False
        try:
            return self._identity.compare(root.path, node.wd)
        except PermissionError:
            return True  # closed to us meanwhile, watched as before
        except OSError as error:
            return is_shortage(error)  # of descriptors, perhaps: nobody can report

    def _is_back(self, root: _Root) -> bool:
        device = self._kernel.device(root.path)
        if device is None:
            return False
        if root.device is None or device == root.device:
            return True
        if root.placeholder is None:
            root.placeholder = device
        return device != root.placeholder

    def _enter(self, root: _Root) -> bool:
        device = self._kernel.device(root.path)
        try:
            root.node = self._survey.enter(root.path)
        except OSError:
            return False
        root.device = device
        return True

    def _lose(self, root: _Root) -> None:
        node, root.node = root.node, None
        root.placeholder = None
        if root.path in self._returned:  # lost again before anybody knew
            self._returned.remove(root.path)
        else:
            self._lost.append(root.path)
        if node is not None and node.parent is None and self._is_known(node):
            self._survey.leave(node)

    def _leave(self, node: Node) -> None:
        """Gives up a tree, but for the sources that lie within."""
        if node.parent is not None or not self._is_known(node):
            return  # within another source, which goes on
        for other in self._roots.values():
            inner = other.node
            if inner is None or inner is node or not self._is_known(inner):  # dropped already: something else is there
                continue
            if self._watches.is_below(inner, node):
                self._watches.move(inner, None, other.path[:-1])
        self._survey.leave(node)

    def _is_known(self, node: Node) -> bool:
        return node in self._watches.idle or self._watches.is_watched(node)

    def _watch_ancestors(self) -> None:
        wanted: dict[bytes, int] = {}
        for root in self._roots.values():
            above = _above(root.path)
            if not above:
                continue
            wanted[above[0]] = wanted.get(above[0], 0) | PARENT_EVENTS
            for path in above[1:]:
                wanted[path] = wanted.get(path, 0) | ANCESTOR_EVENTS
            if root.node is None and not root.is_paused:
                self._wait(root, above, wanted)
        ancestor_watches: dict[int, int] = {}
        self.awaited.clear()
        self._unplaced.clear()
        self.unwatched_ancestors.clear()
        for path, mask in wanted.items():
            wd = self._watch_ancestor(path, mask, more=False)
            if wd is not None:
                ancestor_watches[wd] = ancestor_watches.get(wd, 0) | mask
        for wd in self._placed - ancestor_watches.keys() - self._watches.nodes.keys():
            self._kernel.unwatch(wd)
        self._ancestor_watches = ancestor_watches
        self._placed = set(ancestor_watches)
        path_watches = self._watches.path_watches
        path_watches.clear()
        path_watches.update(ancestor_watches)
        path_watches.update(root.node.wd for root in self._roots.values() if root.node is not None)

    def _are_ancestors_watched(self) -> bool:
        """Whether all that was asked was asked of the right directories."""
        for root in self._roots.values():
            if root.node is not None:
                if not self._unplaced.isdisjoint(_above(root.path)):
                    return False  # one above it was away for a moment
            elif not root.is_paused and (nearest := self._nearest(_above(root.path))) is not None:
                wd = self._watch_ancestor(nearest, AWAITING_EVENTS, more=True)
                if wd is not None and not self._ancestor_watches.get(wd, 0) & CREATE:
                    return False
                if wd is not None:
                    self.awaited.add((wd, root.path[len(nearest) :].partition(b"/")[0]))
        return True

    def _wait(self, root: _Root, above: list[bytes], wanted: dict[bytes, int]) -> None:
        """Asks the nearest directory on the way to a lost source that exists to report what appears in it."""
        nearest = None
        while (found := self._nearest(above)) != nearest:
            nearest = found
            if nearest is not None:
                wanted[nearest] = wanted.get(nearest, 0) | AWAITING_EVENTS
                self._watch_ancestor(nearest, wanted[nearest], more=True)

    def _nearest(self, above: list[bytes]) -> bytes | None:
        return next((path for path in above if self._kernel.device(path) is not None), None)

    def _watch_ancestor(self, path: bytes, mask: int, *, more: bool) -> int | None:
        try:
            wd = self._kernel.watch_ancestor(path, mask, more=True)
            self._placed.add(wd)
            if not more and wd not in self._watches.nodes and self._ancestor_watches.get(wd) != mask:
                self._kernel.watch_ancestor(path, mask, more=False)
        except PermissionError:
            return None
        except OSError as error:
            if is_out_of_watches(error):
                self.unwatched_ancestors.add(path)
            else:
                self._unplaced.add(path)
            return None
        return wd


def _above(path: bytes) -> list[bytes]:
    """The directories above a source, its parent first; each with a slash at the end."""
    found = []
    while path != b"/":
        path = path[: path.rindex(b"/", 0, -1) + 1]
        found.append(path)
    return found
