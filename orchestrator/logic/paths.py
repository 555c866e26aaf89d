"""Paths within a sync, and which pending delays are at, above or below one (spec 3.3).

A path is bytes, starts with a slash, and is a directory's when it ends in one; the source itself
is `/`. Its *key* is the path without the last slash, so a file and a directory of the same name
have one key, and the root's key is empty.

PathIndex is a tree of nodes, held in one dict by key. It knows for each directory the delays below
it, newest last, so that the newest delay that touches a path is found at a cost that depends on
the path's depth alone, however long the queue is.

Pure: knows nothing of types of change or of the queue's order beyond `Delay.seq`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from orchestrator.logic.delay import Delay

SLACK: Final = 32
"""Entries of delays that are gone which a node may keep before it is worth tidying up."""


def key_of(path: bytes) -> bytes:
    """The path without a directory's slash; empty for the root."""
    return path[:-1] if path.endswith(b"/") else path


def touches(one: bytes, other: bytes) -> bool:
    """Whether the two are the same place, or one lies below the other."""
    one, other = key_of(one), key_of(other)
    return one == other or one.startswith(other + b"/") or other.startswith(one + b"/")


class Node:
    """A place with delays below it, or with several of its own.

    `here`: delays of this very place, oldest first. `below`: delays below it, oldest first, among
    them some that are gone already; `live` counts those that are not, `moves` the Moves among those.
    Every node's parent is there as long as the node is.
    """

    __slots__ = ("below", "here", "key", "live", "moves", "parent")

    def __init__(self, key: bytes, parent: Node | None) -> None:
        self.key = key
        self.parent = parent
        self.here: list[Delay] = []
        self.below: list[Delay] = []
        self.live = 0
        self.moves = 0


class PathIndex:
    """Finds the pending delays that touch a path.

    `pending` tells by sequence number which delays are still in the queue: a delay that leaves is
    not searched for in its directories' lists, it is dropped from them when met there. Delays
    must enter in the order of their `seq`. A Move enters at both of its ends.
    """

    def __init__(self, pending: Container[int]) -> None:
        self._pending = pending
        self._root = Node(b"", None)
        # Most places have one delay and nothing below: for those the delay itself stands here,
        # which saves an object for each of a few hundred thousand files.
        self._places: dict[bytes, Node | Delay] = {b"": self._root}

    def around(self, path: bytes) -> tuple[Sequence[Delay], Delay | None]:
        """The delays at `path` (as file or directory), oldest first; the newest above or below it."""
        places = self._places
        key = path[:-1] if path.endswith(b"/") else path
        place = places.get(key)
        here: Sequence[Delay] = ()
        newest: Delay | None = None
        node: Node | None
        if isinstance(place, Node):
            here = place.here
            if place.live:
                newest = self._newest_below(place)
            node = place.parent
        else:
            if place is not None:
                here = (place,)
            above = key
            while True:
                above = above[: above.rfind(b"/")]
                place = places.get(above)
                if isinstance(place, Node):
                    node = place
                    break
                if place is not None:
                    newest = place
        while node is not None:
            if node.here and (newest is None or node.here[-1].seq > newest.seq):
                newest = node.here[-1]
            node = node.parent
        return here, newest

    def at_and_above(self, path: bytes) -> Iterator[Sequence[Delay]]:
        """The delays at `path`, then those at each directory that it is in, where there are any."""
        places = self._places
        key = path[:-1] if path.endswith(b"/") else path
        while True:
            place = places.get(key)
            if isinstance(place, Node):
                yield place.here
                key_above = None if place.parent is None else place.parent.key
            else:
                if place is not None:
                    yield (place,)
                key_above = key[: key.rfind(b"/")] if key else None
            if key_above is None:
                return
            key = key_above

    def has_only_moves_below(self, path: bytes) -> bool:
        """Whether all delays below `path` are Moves, or there are none."""
        place = self._places.get(key_of(path))
        return not isinstance(place, Node) or place.live == place.moves

    def enter(self, delay: Delay, path: bytes) -> None:
        """Add a delay, newer than all that are there."""
        is_move = delay.path2 is not None
        places = self._places
        key = path[:-1] if path.endswith(b"/") else path
        place = places.get(key)
        node: Node | None
        if place is None:
            places[key] = delay
            node = self._directory_of(key)
        elif isinstance(place, Node):
            place.here.append(delay)
            node = place.parent
        else:
            node = self._directory_of(key)
            several = places[key] = Node(key, node)
            several.here += (place, delay)
        while node is not None:
            node.below.append(delay)
            node.live += 1
            node.moves += is_move
            node = node.parent

    def leave(self, delay: Delay, path: bytes) -> None:
        """Take a delay away from one of the paths that it entered at."""
        is_move = delay.path2 is not None
        places = self._places
        key = path[:-1] if path.endswith(b"/") else path
        place = places[key]
        node: Node | None
        if isinstance(place, Node):
            place.here.remove(delay)
            node = place.parent
            if not place.live:
                self._shrink(place)
        else:
            del places[key]
            node = self._directory_of(key)
        while node is not None:
            node.live -= 1
            node.moves -= is_move
            if not node.live:
                node.below.clear()
                self._shrink(node)
            elif len(node.below) > 2 * node.live + SLACK:
                node.below = [old for old in node.below if self._is_below(old, node)]
            node = node.parent

    def turns(self, move: Delay) -> None:
        """A Move becomes a change of its origin alone."""
        if move.path2 is None:
            return
        self.leave(move, move.path2)
        place = self._places[key_of(move.path)]
        node = place.parent if isinstance(place, Node) else self._directory_of(key_of(move.path))
        while node is not None:
            node.moves -= 1
            node = node.parent

    def __len__(self) -> int:
        """How many places are held in memory, the root not counted."""
        return len(self._places) - 1

    def _directory_of(self, key: bytes) -> Node:
        """The node of the directory that the place `key` is in, made where missing."""
        above = key[: key.rfind(b"/")]
        place = self._places.get(above)
        if isinstance(place, Node):
            return place
        made = self._places[above] = Node(above, self._directory_of(above))
        if place is not None:
            made.here.append(place)
        return made

    def _shrink(self, node: Node) -> None:
        """Keep of a node that has nothing below it only what is needed."""
        if node.parent is None or len(node.here) > 1:
            return
        if node.here:
            self._places[node.key] = node.here[0]
        else:
            del self._places[node.key]

    def _newest_below(self, node: Node) -> Delay:
        below = node.below
        while not self._is_below(below[-1], node):
            below.pop()
        return below[-1]

    def _is_below(self, delay: Delay, node: Node) -> bool:
        """Whether an entry of `node.below` still holds: the delay may be gone, or a Move turned."""
        if delay.seq not in self._pending:
            return False
        prefix = node.key + b"/"
        return delay.path.startswith(prefix) or (delay.path2 is not None and delay.path2.startswith(prefix))
