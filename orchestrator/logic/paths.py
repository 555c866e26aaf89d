"""Paths within a sync, and which pending delays are at, above or below one (spec 3.3).

A path is bytes, starts with a slash, and is a directory's when it ends in one; the source itself
is `/`. Its *key* is the path without the last slash, so a file and a directory of the same name
have one key, and the root's key is empty.

PathIndex is a tree of nodes, one for each segment. It knows for each directory the delays below
it, newest last, so that the newest delay that touches a path is found at a cost that depends on
the path's depth alone, however long the queue is. A node holds no more of its path than its own
name, and nothing here recurses: whoever may write in a source decides how deep its paths are.

Pure: knows nothing of types of change or of the queue's order beyond `Delay.seq`.
"""

from __future__ import annotations

from bisect import bisect_left
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


def _names(path: bytes) -> list[bytes]:
    """The segments of a path; none for the root."""
    key = path[:-1] if path.endswith(b"/") else path
    return key[1:].split(b"/") if key else []


class Node:
    """A place with delays below it, or with several of its own.

    `here`: delays of this very place, oldest first. `below`: delays below it, oldest first, among
    them some that are gone already; `live` counts those that are not, `moves` the Moves among those.
    Every node's parent is there as long as the node is.
    """

    __slots__ = ("below", "children", "here", "live", "moves", "name", "parent")

    def __init__(self, name: bytes, parent: Node | None) -> None:
        self.name = name
        self.parent = parent
        # Most places have one delay and nothing below: for those the delay itself stands here,
        # which saves an object for each of a few hundred thousand files.
        self.children: dict[bytes, Node | Delay] = {}
        self.here: list[Delay] = []
        self.below: list[Delay] = []
        self.live = 0
        self.moves = 0

    def prefix(self) -> bytes:
        """What the paths of all below begin with."""
        names = []
        node: Node | None = self
        while node is not None:
            names.append(node.name)
            node = node.parent
        names.reverse()
        return b"/".join(names) + b"/"


class PathIndex:
    """Finds the pending delays that touch a path.

    `pending` says by sequence number which delays are still in the queue: a delay that leaves is
    not searched for in its directories' lists, it is dropped from them when met there. Delays
    must enter in the order of their `seq`. A Move enters at both of its ends.
    """

    def __init__(self, pending: Container[int]) -> None:
        self._pending = pending
        self._root = Node(b"", None)
        self._count = 0

    def around(self, path: bytes) -> tuple[Sequence[Delay], Delay | None]:
        """The delays at `path` (as file or directory), oldest first; the newest above or below it."""
        node = self._root
        names = _names(path)
        if not names:
            return node.here, self._newest_below(node) if node.live else None
        newest: Delay | None = None
        place: Node | Delay | None = node
        for name in names:
            if not isinstance(place, Node):
                break
            node = place
            if node.here and (newest is None or node.here[-1].seq > newest.seq):
                newest = node.here[-1]
            place = node.children.get(name)
        else:
            if place is None:
                return (), newest
            if not isinstance(place, Node):
                return (place,), newest
            if place.live:
                below = self._newest_below(place)
                if newest is None or below.seq > newest.seq:
                    newest = below
            return place.here, newest
        # the way ends above the path, with one delay of that place or with nothing
        if place is not None and (newest is None or place.seq > newest.seq):
            newest = place
        return (), newest

    def at_and_above(self, path: bytes) -> Iterator[Sequence[Delay]]:
        """The delays at `path`, then those at each directory that it is in, where there are any."""
        found: list[Sequence[Delay]] = [self._root.here]
        place: Node | Delay | None = self._root
        for name in _names(path):
            if not isinstance(place, Node):
                break
            place = place.children.get(name)
            if place is not None:
                found.append(place.here if isinstance(place, Node) else (place,))
        return reversed(found)

    def at_and_below(self, path: bytes, most: int) -> list[Delay] | None:
        """The delays at `path` and below it, oldest first; None: there are more than `most`."""
        place: Node | Delay | None = self._root
        for name in _names(path):
            place = place.children.get(name) if isinstance(place, Node) else None
        if not isinstance(place, Node):
            return [] if place is None else [place]
        if place.live + len(place.here) > most:
            return None
        prefix = place.prefix()
        found = {delay.seq: delay for delay in place.here}
        found.update((delay.seq, delay) for delay in place.below if self._is_below(delay, prefix))
        return [found[seq] for seq in sorted(found)]

    def has_only_moves_below(self, path: bytes) -> bool:
        """Whether all delays below `path` are Moves, or there are none."""
        place: Node | Delay | None = self._root
        for name in _names(path):
            if not isinstance(place, Node):
                break
            place = place.children.get(name)
        return not isinstance(place, Node) or place.live == place.moves

    def enter(self, delay: Delay, path: bytes) -> None:
        """Add a delay, newer than all that are there."""
        is_move = delay.path2 is not None
        node = self._root
        names = _names(path)
        if not names:
            node.here.append(delay)
            return
        last = names.pop()
        for name in names:
            node.below.append(delay)
            node.live += 1
            node.moves += is_move
            place = node.children.get(name)
            node = place if isinstance(place, Node) else self._make(node, name, place)
        node.below.append(delay)
        node.live += 1
        node.moves += is_move
        place = node.children.get(last)
        if place is None:
            node.children[last] = delay
            self._count += 1
        elif isinstance(place, Node):
            place.here.append(delay)
        else:
            self._make(node, last, place).here.append(delay)

    def enter_late(self, delay: Delay, path: bytes) -> None:
        """As `enter`, for a delay that may be older than others that are there."""
        self.enter(delay, path)
        place: Node | Delay = self._root
        for name in _names(path):
            if isinstance(place, Node):
                _put_last_in_order(place.below)
                place = place.children[name]
        if isinstance(place, Node):
            _put_last_in_order(place.here)

    def leave(self, delay: Delay, path: bytes) -> None:
        """Take a delay away from one of the paths that it entered at."""
        if not key_of(path):
            self._root.here.remove(delay)
            return
        is_move = delay.path2 is not None
        above, last = self._directory_of(path)
        place = above.children[last]
        if isinstance(place, Node):
            place.here.remove(delay)
            if not place.live:
                self._shrink(place)
        else:
            del above.children[last]
            self._count -= 1
        node: Node | None = above
        while node is not None:
            node.live -= 1
            node.moves -= is_move
            parent = node.parent
            if not node.live:
                node.below.clear()
                self._shrink(node)
            elif len(node.below) > 2 * node.live + SLACK:
                prefix = node.prefix()
                node.below = [old for old in node.below if self._is_below(old, prefix)]
            node = parent

    def turns(self, move: Delay) -> None:
        """A Move becomes a change of its origin alone."""
        if move.path2 is None:
            return
        self.leave(move, move.path2)
        if not key_of(move.path):
            return  # of the source itself, which is in no directory here
        node: Node | None
        node, _ = self._directory_of(move.path)
        while node is not None:
            node.moves -= 1
            node = node.parent

    def __len__(self) -> int:
        """How many places are held in memory, the root not counted."""
        return self._count

    def _directory_of(self, path: bytes) -> tuple[Node, bytes]:
        """The node of the directory in which a delay has its place, and its name there."""
        node, names = self._root, _names(path)
        last = names.pop()
        for name in names:
            inner = node.children[name]
            assert isinstance(inner, Node)
            node = inner
        return node, last

    def _make(self, parent: Node, name: bytes, place: Delay | None) -> Node:
        """A node in a directory, in the place of a delay that stood there alone, if any did."""
        node = parent.children[name] = Node(name, parent)
        if place is None:
            self._count += 1
        else:
            node.here.append(place)
        return node

    def _shrink(self, node: Node) -> None:
        """Keep of a node that has nothing below it only what is needed."""
        if node.parent is None or len(node.here) > 1:
            return
        if node.here:
            node.parent.children[node.name] = node.here[0]
        else:
            del node.parent.children[node.name]
            self._count -= 1

    def _newest_below(self, node: Node) -> Delay:
        below, prefix = node.below, node.prefix()
        while not self._is_below(below[-1], prefix):
            below.pop()
        return below[-1]

    def _is_below(self, delay: Delay, prefix: bytes) -> bool:
        """Whether an entry of a node's `below` still holds: the delay may be gone, or a Move turned."""
        if delay.seq not in self._pending:
            return False
        return delay.path.startswith(prefix) or (delay.path2 is not None and delay.path2.startswith(prefix))


def _put_last_in_order(delays: list[Delay]) -> None:
    """The last of a list, which was just appended, where its number says; it may be there already."""
    last = delays.pop()
    place = bisect_left(delays, last.seq, key=_seq)
    if place == len(delays) or delays[place] is not last:
        delays.insert(place, last)


def _seq(delay: Delay) -> int:
    return delay.seq
