"""Which directories are watched: the kernel's numbers on one side, a tree of names on the other.

Pure: knows no kernel and no file system. A directory knows its name and its parent, so that renaming one moves
all below it at once; whole paths are put together when asked for, and kept for the directories that are talking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UNWANTED = 0
"""In place of a watch's number: excluded by every sync."""
REFUSED = -1
"""The kernel would not let us watch or read it."""
MISSING = -2
"""It was reported of, but was not there when we came: another event about it is on its way."""
ALIAS = -3
"""The same directory is watched elsewhere already (a bind mount)."""

COVERED = -5
"""Something was mounted over it, or what was watched there was unmounted: it is not gone, we have to look again."""
POLLED = -4
"""There was no watch left for it: it is looked at again and again, with all below it."""

_CACHED_PATHS = 20_000


class Node:
    """One directory. `wd` is positive for a watched one, else says why it is not."""

    __slots__ = ("children", "name", "parent", "wd")

    def __init__(self, wd: int, parent: Node | None, name: bytes) -> None:
        self.wd = wd
        self.parent = parent
        self.name = name  # without slashes; of the top of a tree the whole path without the last slash
        self.children: dict[bytes, Node] | None = None  # None: none; most directories have none


class Watches:
    """All known directories.

    Invariants: `nodes` holds every watched directory under its number, in order of being watched; `idle` holds every
    other one; each is a child of its parent under its name. `paths` may hold the path of a watched directory and is
    never wrong about it.
    """

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.idle: dict[Node, None] = {}  # a set that keeps its order
        self.paths: dict[int, bytes] = {}
        self.path_watches: set[int] = set()  # watches of sources themselves and of directories above them
        self.is_source_watch_lost = False
        """Whether one of these was dropped; cleared by who looks after the sources."""
        self.moves = 0
        """How often a directory was put elsewhere: a path put together before then may be out of date."""

    def add(self, wd: int, parent: Node | None, name: bytes) -> Node:
        """A new directory at a place where none is known."""
        node = Node(wd, parent, name)
        if wd > 0:
            self.nodes[wd] = node
        else:
            self.idle[node] = None
        if parent is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[name] = node
        return node

    def awaken(self, node: Node, wd: int) -> None:
        """A directory known so far is watched from now on."""
        del self.idle[node]
        node.wd = wd
        self.nodes[wd] = node

    def stand_in(self, node: Node, other: Node) -> None:
        """`node`, the top of a tree without children, takes the place of `other`, which is the same directory."""
        self.idle.pop(node)
        parent, node.name = other.parent, other.name
        node.parent, node.wd, node.children = parent, other.wd, other.children
        for child in (node.children or {}).values():
            child.parent = node
        if parent is not None and parent.children is not None:
            parent.children[node.name] = node
        self.nodes[node.wd] = node

    def is_watched(self, node: Node) -> bool:
        """Whether a directory known earlier is still here, and watched."""
        return self.nodes.get(node.wd) is node

    def child(self, parent: Node, name: bytes) -> Node | None:
        return None if parent.children is None else parent.children.get(name)

    def path(self, node: Node) -> bytes:
        """The directory's absolute path, with a slash at the end."""
        names = []
        at: Node | None = node
        while at is not None:
            names.append(at.name)
            at = at.parent
        names.reverse()
        names.append(b"")
        return b"/".join(names)

    def path_of(self, wd: int) -> bytes | None:
        """The path of the directory watched as `wd`; None if there is none."""
        found = self.paths.get(wd)
        if found is None:
            node = self.nodes.get(wd)
            if node is None:
                return None
            if len(self.paths) >= _CACHED_PATHS:
                self.paths.clear()
            found = self.paths[wd] = self.path(node)
        return found

    def find(self, top: Node, path: bytes) -> Node | None:
        """The watched directory of this path (slash at the end) in the tree of `top`."""
        node = self.known(top, path)
        return node if node is not None and node.wd > 0 else None

    def known(self, top: Node, path: bytes) -> Node | None:
        """As `find`, watched or not."""
        above = self.path(top)
        if not path.startswith(above):
            return None
        node: Node | None = top
        for name in path[len(above) : -1].split(b"/"):
            if name and node is not None:
                node = self.child(node, name)
        return node

    def is_below(self, node: Node, top: Node) -> bool:
        """Whether `node` is `top` or lies somewhere below it."""
        at: Node | None = node
        while at is not None:
            if at is top:
                return True
            at = at.parent
        return False

    def below(self, top: Node) -> Iterator[Node]:
        """`top` and all below it, parents first."""
        stack = [top]
        while stack:
            node = stack.pop()
            yield node
            if node.children is not None:
                stack.extend(node.children.values())

    def idle_below(self, top: Node) -> list[Node]:
        """Those at or below `top` that are not watched."""
        return [node for node in self.idle if self.is_below(node, top)]

    def move(self, node: Node, parent: Node | None, name: bytes) -> None:
        """Puts `node`, and with it all below it, at a place where none is known. Not below itself."""
        self._unlink(node)
        node.parent, node.name = parent, name
        if parent is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[name] = node
        self.paths.clear()
        self.moves += 1

    def drop(self, top: Node) -> list[int]:
        """Forgets `top` and all below it; gives the numbers of the watches that are to be ended."""
        self._unlink(top)
        wds = []
        for node in self.below(top):
            if node.wd > 0:
                wds.append(node.wd)
                del self.nodes[node.wd]
                self.paths.pop(node.wd, None)
            else:
                self.idle.pop(node, None)
        if not self.path_watches.isdisjoint(wds):
            self.is_source_watch_lost = True
        return wds

    def all_paths(self) -> list[bytes]:
        """The paths of all watched directories, in order of being watched."""
        known: dict[Node, bytes] = {}
        found = []
        for node in self.nodes.values():
            parent = node.parent
            above = None if parent is None else known.get(parent)
            path = self.path(node) if above is None else b"%s%s/" % (above, node.name)
            if node.children is not None:
                known[node] = path
            found.append(path)
        return found

    def _unlink(self, node: Node) -> None:
        parent = node.parent
        if parent is not None and parent.children is not None:
            del parent.children[node.name]
            if not parent.children:
                parent.children = None
