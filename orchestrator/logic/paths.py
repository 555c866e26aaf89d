"""Paths within a sync, and which pending delays are at, above or below one (spec 3.3).

A path is bytes, starts with a slash, and is a directory's when it ends in one; the source itself
is `/`. Its *key* is the path without the last slash, so a file and a directory of the same name
have one key, and the root's key is empty.

PathIndex is a tree of nodes, one for each segment. It knows for each directory the delays below
it, newest last, so that the newest delay that touches a path is found at a cost that depends on
the path's depth alone, however long the queue is. A node holds no more of its path than its own
name, and nothing here recurses: whoever may write in a source decides how deep its paths are.

Where one delay is all that is pending at a place and below it, there is no node: the delay itself
stands there, and its path says how far below it is. Many a file is alone in its directory, too.
A Move always stands at its very ends, as one path would not say which of the two is meant.

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


def _lies_in(one: bytes, other: bytes) -> bool:
    """Whether `one` lies somewhere in the directory `other`, by their keys."""
    return len(one) > len(other) and one.startswith(other + b"/")


def _place_of(delay: Delay, names: list[bytes], depth: int) -> bytes:
    """The key of the place that a delay is at, which stands where the first `depth` of these names lead."""
    return key_of(delay.path) if delay.path2 is None else b"/" + b"/".join(names[:depth])


def _names(path: bytes) -> list[bytes]:
    """The segments of a path; none for the root."""
    key = path[:-1] if path.endswith(b"/") else path
    return key[1:].split(b"/") if key else []


class Node:
    """A place with several delays at it and below it, or with a Move below it.

    `here`: delays of this very place, oldest first. `below`: delays below it, oldest first, among
    them some that are gone already; `live` counts those that are not, `moves` the Moves among those.
    Every node's parent is there as long as the node is.
    """

    __slots__ = ("below", "children", "here", "live", "moves", "name", "parent")

    def __init__(self, name: bytes, parent: Node | None) -> None:
        self.name = name
        self.parent = parent
        self.children: dict[bytes, Node | Delay] = {}  # a delay: the only one at that place and below it
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
        depth = 0
        for name in names:
            if not isinstance(place, Node):
                break
            depth += 1
            node = place
            if node.here and (newest is None or node.here[-1].seq > newest.seq):
                newest = node.here[-1]
            place = node.children.get(name)
        if place is None:
            return (), newest
        if isinstance(place, Node):
            if place.live:
                below = self._newest_below(place)
                if newest is None or below.seq > newest.seq:
                    newest = below
            return place.here, newest
        key, there = key_of(path), _place_of(place, names, depth)
        if key == there:
            return (place,), newest
        if (newest is None or place.seq > newest.seq) and (_lies_in(key, there) or _lies_in(there, key)):
            newest = place
        return (), newest

    def at_and_above(self, path: bytes) -> Iterator[Sequence[Delay]]:
        """The delays at `path`, then those at each directory that it is in, where there are any."""
        found: list[Sequence[Delay]] = [self._root.here]
        node, names = self._root, _names(path)
        for depth, name in enumerate(names, 1):
            place = node.children.get(name)
            if not isinstance(place, Node):
                if place is not None:
                    key, there = key_of(path), _place_of(place, names, depth)
                    if key == there or _lies_in(key, there):
                        found.append((place,))
                break
            node = place
            found.append(node.here)
        return reversed(found)

    def at_and_below(self, path: bytes, most: int) -> list[Delay] | None:
        """The delays at `path` and below it, oldest first; None: there are more than `most`."""
        place, there = self._stands(path)
        if not isinstance(place, Node):
            key = key_of(path)
            return [] if place is None or not (key == there or _lies_in(there, key)) else [place]
        if place.live + len(place.here) > most:
            return None
        prefix = place.prefix()
        found = {delay.seq: delay for delay in place.here}
        found.update((delay.seq, delay) for delay in place.below if self._is_below(delay, prefix))
        return [found[seq] for seq in sorted(found)]

    def has_only_moves_below(self, path: bytes) -> bool:
        """Whether all delays below `path` are Moves, or there are none."""
        place, there = self._stands(path)
        if isinstance(place, Node):
            return place.live == place.moves
        return not _lies_in(there, key_of(path))  # a Move stands at its end, never above it

    def enter(self, delay: Delay, path: bytes) -> None:
        """Add a delay, newer than all that are there."""
        is_move = delay.path2 is not None
        node = self._root
        names = _names(path)
        if not names:
            node.here.append(delay)
            return
        other: list[bytes] | None = None
        for depth, name in enumerate(names, 1):
            node.below.append(delay)
            node.live += 1
            node.moves += is_move
            place = node.children.get(name)
            if place is None and (not is_move or depth == len(names)):
                node.children[name] = delay
                self._count += 1
                return
            if place is None or isinstance(place, Node):
                node = place or self._make(node, name)
                continue
            node = self._make(node, name)
            if other is None:
                # a Move stands at its end; of any other one the path says how far below it is
                other = _names(place.path) if place.path2 is None else names[:depth]
            if len(other) == depth:
                node.here.append(place)
            else:  # perhaps it goes our way for long: its names are looked for once
                node.children[other[depth]] = place
                self._count += 1
                node.below.append(place)
                node.live = 1
        node.here.append(delay)

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
        """The node among whose children a delay stands that entered at `path`, and its name there."""
        node, names = self._root, _names(path)
        last = names[-1]
        for name in names[:-1]:
            inner = node.children[name]
            if not isinstance(inner, Node):
                return node, name
            node = inner
        return node, last

    def _stands(self, path: bytes) -> tuple[Node | Delay | None, bytes]:
        """The node of a path, or the delay at which the way to it ends, with the key of that delay's place."""
        place: Node | Delay | None = self._root
        names = _names(path)
        depth = 0
        for name in names:
            if not isinstance(place, Node):
                break
            depth += 1
            place = place.children.get(name)
        return place, b"" if place is None or isinstance(place, Node) else _place_of(place, names, depth)

    def _make(self, parent: Node, name: bytes) -> Node:
        """A node in a directory; a delay that stood there is to be put into it."""
        if name not in parent.children:
            self._count += 1
        node = parent.children[name] = Node(name, parent)
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
