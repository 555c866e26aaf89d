"""Which changes of a run failed, by what rsync complains of (see complaints.py).

rsync names a path as the side does that has the trouble: below the source, below the target, which on another host
may be anywhere, or relative to it. Where the place is not known, any ending of the name may be a path of the run.
A name that no path of the run belongs to leaves it unclear which of them failed.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_rsync.complaints import About
from orchestrator_rsync.filterlist import ChangedPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.api import Inlet
    from orchestrator_rsync.complaints import Complaint, Complaints

_TEMPORARY = re.compile(rb"\.(.+)\.(?:[A-Za-z0-9]{6}|\d+)\Z", re.DOTALL)
"""The name under which rsync makes what is to become NAME: `.NAME.XXXXXX`, a link's or a device's with a number."""


class Failing(NamedTuple):
    """`changes` did not arrive; `directories` (leading slash) did, but for their attributes."""

    changes: list[ChangedPath]
    directories: list[bytes]


def roots_of(inlet: Inlet) -> list[bytes]:
    """Where source and target lie as rsync calls them; of a target on another host as far as its name says."""
    there = local_target(inlet) or inlet.target.partition(b":")[2]
    roots = [inlet.source.rstrip(b"/")]
    if there.startswith(b"/"):
        roots.append(os.path.normpath(there).rstrip(b"/"))
    return [root for root in roots if root]


def local_target(inlet: Inlet) -> bytes | None:
    """The target, absolute, where it is of this machine (rsync(1): a colon before any slash ends a host's name)."""
    target = inlet.target
    lead, colon, _ = target.partition(b":")
    return os.path.abspath(target) if target and (not colon or b"/" in lead) else None


def of_batch(complaints: Sequence[Complaint], changes: Sequence[ChangedPath], roots: Sequence[bytes]) -> Failing | None:
    """Of a run over these changes. None: it is unclear, or nothing was complained of.

    `roots`: where source and target lie, as rsync calls them, without a slash at the end.
    """
    if not complaints:
        return None
    batch = _Batch(changes)
    failing: dict[ChangedPath, None] = {}
    directories: dict[bytes, None] = {}
    for path, about in complaints:
        places = [place for place in _places(path, roots) if batch.knows(place)]
        if about is About.ATTRIBUTES and places and all(map(batch.is_directory, places)):
            directories.update(dict.fromkeys(places))
            continue
        found = [change for place in places for change in batch.touched(place, about)] or batch.above(path, roots)
        if not found:
            return None
        failing.update(dict.fromkeys(found))
    return Failing(list(failing), list(directories))


def of_full_run(complaints: Sequence[Complaint], source: bytes, roots: Sequence[bytes]) -> Failing | None:
    """Of a run over everything. None: it is unclear, nothing was complained of, or all of the tree is meant."""
    if not complaints:
        return None
    failing: dict[ChangedPath, None] = {}
    directories: dict[bytes, None] = {}
    for path, about in complaints:
        place = _in_source(path, source, roots) or _below(path, roots)
        if place is None or (place == b"/" and about is not About.ATTRIBUTES):
            return None
        is_directory = _is_directory(source + place[1:])
        if about is About.ATTRIBUTES and is_directory:
            directories[place] = None
        elif is_directory is None:
            # what is to be deleted: as what it is on the target nobody knows
            failing[ChangedPath(place)] = failing[ChangedPath(place + b"/", whole=True)] = None
        else:
            failing[ChangedPath(place + b"/", whole=True) if is_directory else ChangedPath(place)] = None
    return Failing(list(failing), list(directories))


def without_room(
    complaints: Complaints, changes: Sequence[ChangedPath], source: bytes, roots: Sequence[bytes]
) -> list[bytes]:
    """The files that rsync says it could not write, and with them all that are as large: they would not fit either."""
    found = of_batch(complaints.named, changes, roots)
    if found is None:
        return []
    failing = {change.path for change in found.changes}
    smallest = min((_size_of(source + path[1:]) for path in failing), default=0)
    return [
        change.path
        for change in changes
        if change.path in failing or (smallest and _size_of(source + change.path[1:]) >= smallest)
    ]


def room_below(complaints: Complaints, source: bytes, roots: Sequence[bytes]) -> int | None:
    """How large a file may be to be smaller than those that a run over everything could not write; None: unclear."""
    places = [_in_source(path, source, roots) for path, _ in complaints.named]
    sizes = [size for place in places if place is not None and (size := _size_of(source + place[1:]))]
    return min(sizes) - 1 if sizes else None


def _in_source(path: bytes, source: bytes, roots: Sequence[bytes]) -> bytes | None:
    """Which path of the source that is; None: it has none such."""
    return next((place for place in _places(path, roots) if _is_directory(source + place[1:]) is not None), None)


def _is_directory(path: bytes) -> bool | None:
    """Whether it is a directory; None: it is not there."""
    try:
        return stat.S_ISDIR(os.lstat(path.rstrip(b"/")).st_mode)
    except OSError:
        return None


def _size_of(path: bytes) -> int:
    """Bytes of a regular file; 0 of anything else."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


class _Batch:
    """The changes of a run by their places: paths without a directory's slash, the root's is one."""

    def __init__(self, changes: Sequence[ChangedPath]) -> None:
        self._changes: dict[bytes, list[ChangedPath]] = {}
        self._parents: set[bytes] = {b"/"}
        for change in changes:
            place = change.path.rstrip(b"/") or b"/"
            self._changes.setdefault(place, []).append(change)
            while (place := _parent(place)) not in self._parents:
                self._parents.add(place)
        self._sorted = sorted(self._changes)

    def knows(self, place: bytes) -> bool:
        return place in self._changes or place in self._parents

    def is_directory(self, place: bytes) -> bool:
        return place in self._parents or any(change.path.endswith(b"/") for change in self._changes[place])

    def touched(self, place: bytes, about: About) -> list[ChangedPath]:
        """The changes that fail with it: itself, and what lies below a directory that could not be made or read."""
        found = list(self._changes.get(place, ()))
        if not found or about is About.BELOW:
            lead = place.rstrip(b"/") + b"/"
            for below in self._sorted[bisect_left(self._sorted, lead) :]:
                if not below.startswith(lead):
                    break
                found += self._changes[below]
        return found

    def above(self, path: bytes, roots: Sequence[bytes]) -> list[ChangedPath]:
        """The changes that stand for all below them (a deleted directory) and so for this path."""
        place = _below(path, roots)
        while place is not None and place != b"/":
            place = _parent(place)
            found = [change for change in self._changes.get(place, ()) if change.whole]
            if found:
                return found
        return []


def _places(path: bytes, roots: Sequence[bytes]) -> Iterator[bytes]:
    """Where in the tree that may be, the likeliest first."""
    certain = _below(path, roots)
    if certain is not None:
        yield from _with_final_name(certain)
        return
    if path.endswith(b"/."):
        yield b"/"  # only the root is called so
        return
    start = 0
    while start != -1:
        yield from _with_final_name(path[start:])
        start = path.find(b"/", start + 1)


def _below(path: bytes, roots: Sequence[bytes]) -> bytes | None:
    """Where in the tree it is, if that is certain."""
    if not path.startswith(b"/"):
        return b"/" + path.removeprefix(b"./").rstrip(b"/") if path != b"." else b"/"
    for root in roots:
        if path == root:
            return b"/"
        if path.startswith(root + b"/"):
            rest = path[len(root) :].rstrip(b"/")
            return b"/" if rest in (b"", b"/.") else rest
    return None


def _with_final_name(place: bytes) -> Iterator[bytes]:
    yield place
    parent, _, name = place.rpartition(b"/")
    if match := _TEMPORARY.match(name):
        yield parent + b"/" + match[1]


def _parent(place: bytes) -> bytes:
    return place[: place.rfind(b"/")] or b"/"
