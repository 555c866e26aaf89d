"""Into which parts a startup is divided, and which of them a change concerns (spec 3.5). Pure.

A part is a number of subtrees; what lies in none of them is the rest, which goes first: it makes the directories above
the subtrees. Subtrees are chosen by the size of what is below them: the largest is opened, so its directories count for
themselves, until none is larger than a part should be. Then the largest goes to the part that has least so far.

Paths have a leading slash, directories one at the end, as elsewhere.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.logic.event import ATTRIB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

PARTS_A_PROCESS: Final = 4
"""Each process has so many parts to do: with one of them, all would wait for the largest."""

LEAST: Final = 500
"""Entries, or what weighs as much, that are worth a part: to start one takes as long as to compare some hundred."""

LEAST_FAR: Final = 5000
"""The same where each part has to log in to another host."""

BYTES_AN_ENTRY: Final = 1 << 16
"""Bytes of content that weigh as much as one more entry."""

MOST_OPENED: Final = 64
MOST_SUBTREES: Final = 4096
"""The programs hold each entry of the opened directories against the list of subtrees."""

REST: Final = 0
"""The number of the part that goes first."""


class Size(NamedTuple):
    """How much there is: files and directories, and bytes of content."""

    entries: int = 0
    content: int = 0

    def plus(self, other: Size) -> Size:
        """Both together."""
        return Size(self.entries + other.entries, self.content + other.content)

    @property
    def weight(self) -> int:
        """How long it takes, roughly, in entries."""
        return self.entries + self.content // BYTES_AN_ENTRY


class Directory(NamedTuple):
    """A directory of the tree. `own`: what is in it, without its `children`; `whole`: with all that is below."""

    path: bytes
    own: Size
    whole: Size
    children: Sequence[Directory]


class Part(NamedTuple):
    """One part of a startup: `subtrees`, or all but `left_out` (the rest)."""

    number: int
    subtrees: tuple[bytes, ...]
    left_out: tuple[bytes, ...]
    size: Size


class Division:
    """The parts of one startup, the rest first."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._number_of: dict[bytes, int] = {}
        self._below: dict[bytes, set[int]] = {}
        for part in parts:
            for subtree in part.subtrees:
                self._number_of[subtree[:-1]] = part.number
                for above in _above(subtree[:-1]):
                    self._below.setdefault(above, set()).add(part.number)

    @property
    def size(self) -> Size:
        """Of all parts together."""
        return _sum(part.size for part in self.parts)

    def number_of(self, path: bytes) -> int:
        """The part that a path belongs to."""
        key = path.rstrip(b"/")
        for place in (*_above(key), key):
            number = self._number_of.get(place)
            if number is not None:
                return number
        return REST

    def concerned(self, etype: str, path: bytes) -> Collection[int]:
        """The parts, but the rest, that a change of this path has to do with: the one that the path lies in, or those
        below it. Attributes of a directory concern nothing below it."""
        number = self.number_of(path)
        if number != REST:
            return (number,)
        return () if etype == ATTRIB else self._below.get(path.rstrip(b"/"), ())


def divide(tree: Directory, processes: int, *, is_far: bool = False) -> Division | None:
    """The parts for so many processes at a time; None: it is too small to be divided, or is all in one place.

    `is_far`: the target is on another host.
    """
    weight = tree.whole.weight
    wanted = min(processes * PARTS_A_PROCESS, weight // (LEAST_FAR if is_far else LEAST))
    if processes < 2 or wanted < 2:
        return None
    subtrees, others = _chosen(tree, weight // wanted)
    if len(subtrees) < 2:
        return None
    parts: list[list[Directory]] = [[] for _ in range(min(wanted, len(subtrees)))]
    filling = [(0, number) for number in range(len(parts))]
    for subtree in subtrees:
        filled, number = filling[0]
        parts[number].append(subtree)
        heapreplace(filling, (filled + subtree.whole.weight, number))
    left_out = tuple(sorted(subtree.path for subtree in subtrees))
    rest = Part(REST, (), left_out, others)
    named = (
        Part(number, tuple(sorted(one.path for one in part)), (), _sum(one.whole for one in part))
        for number, part in enumerate(parts, 1)
    )
    return Division((rest, *named))


def _chosen(tree: Directory, share: int) -> tuple[list[Directory], Size]:
    """The subtrees, the largest first, and the size of all that is in none of them."""
    found: list[Directory] = []
    others, opened = tree.own, 1
    waiting = [(-child.whole.weight, child.path, child) for child in tree.children]
    heapify(waiting)
    while waiting:
        weight, _, directory = heappop(waiting)
        is_too_large = -weight > share and opened < MOST_OPENED
        if is_too_large and directory.children and directory.own.weight <= share:
            opened += 1
            others = others.plus(directory.own)
            for child in directory.children:
                heappush(waiting, (-child.whole.weight, child.path, child))
        elif len(found) < MOST_SUBTREES and not _is_unspeakable(directory.path):
            found.append(directory)
        else:
            others = others.plus(directory.whole)
    found.sort(key=lambda one: -one.whole.weight)
    return found, others


def _is_unspeakable(path: bytes) -> bool:
    """Whether no line of a list can name it."""
    return b"\n" in path or b"\r" in path


def _above(key: bytes) -> Iterator[bytes]:
    """The directories that a path (without a slash at its end) is in, the topmost first; that is the empty one."""
    place = key.find(b"/")
    while place != -1:
        yield key[:place]
        place = key.find(b"/", place + 1)


def _sum(sizes: Iterable[Size]) -> Size:
    total = Size()
    for size in sizes:
        total = total.plus(size)
    return total


class Counted:
    """A tree that is being counted, directory by directory. Of those below `deepest` levels, or when `most` are known,
    only the sums are kept, in the directory above them."""

    def __init__(self, deepest: int = 4, most: int = 20_000) -> None:
        self._deepest = deepest
        self._most = most
        self._own: dict[bytes, Size] = {b"/": Size()}

    def place_for(self, above: bytes, path: bytes) -> bytes:
        """Where to count what is in the directory `path`, which lies in one that is counted at `above`."""
        if len(self._own) >= self._most or path.count(b"/") > self._deepest + 1:
            return above
        self._own[path] = Size()
        return path

    def add(self, place: bytes, entries: int, content: int) -> None:
        """There are entries and bytes more to count at this place."""
        own = self._own[place]
        self._own[place] = Size(own.entries + entries, own.content + content)

    def tree(self) -> Directory:
        """All that was counted."""
        below: dict[bytes, list[Directory]] = {}
        for path in sorted(self._own, key=lambda path: -path.count(b"/")):
            below.setdefault(_parent(path), []).append(_directory(path, self._own, below))
        return below[b""][0]


def _directory(path: bytes, own: Mapping[bytes, Size], below: Mapping[bytes, Sequence[Directory]]) -> Directory:
    children = below.get(path, ())
    return Directory(path, own[path], own[path].plus(_sum(child.whole for child in children)), children)


def _parent(path: bytes) -> bytes:
    """The directory that this one is in; of the root, the empty path."""
    return path[: path.rfind(b"/", 0, -1) + 1]
