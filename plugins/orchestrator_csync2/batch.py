"""Which paths csync2 has to look at, and how many of them go into one command line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from orchestrator.api import argument_size, etypes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Batch(NamedTuple):
    """Absolute paths to be checked: `trees` with all that is (or was) below them, `paths` by themselves."""

    trees: list[bytes]
    paths: list[bytes]


def batch_of(changes: Iterable[tuple[str, bytes]], source: bytes) -> Batch:
    """What csync2 has to look at for these changes (type, path below the source with leading slash).

    A new, vanished or moved path goes with all that is below it: csync2 forgets what was in a deleted
    directory only that way. Of a tree, nothing below it is given once more.
    """
    trees: dict[bytes, None] = {}
    paths: dict[bytes, None] = {}
    for etype, path in changes:
        alone = etype in (etypes.ATTRIB, etypes.MODIFY)
        (paths if alone else trees)[path.rstrip(b"/")] = None
    root = source.rstrip(b"/")
    covered = frozenset(trees)
    return Batch(
        [root + path or b"/" for path in trees if not _is_below(path, covered)],
        [root + path or b"/" for path in paths if path not in covered and not _is_below(path, covered)],
    )


def parents_of(batch: Batch, source: bytes) -> list[bytes]:
    """Every directory from the source down to the batch's paths, each before what is in it."""
    root = source.rstrip(b"/")
    parents = {root or b"/"}
    for path in batch.trees + batch.paths:
        parents.update(root + parent for parent in _parents(path[len(root) :]) if parent)
    return sorted(parents)


def _parents(path: bytes) -> Iterator[bytes]:
    end = path.rfind(b"/")
    while end >= 0:
        yield path[:end]
        end = path.rfind(b"/", 0, end)


def _is_below(path: bytes, trees: frozenset[bytes]) -> bool:
    return any(parent in trees for parent in _parents(path))


def argument_lists(paths: Sequence[bytes], room: int) -> Iterator[list[bytes]]:
    """Cut into lists that take at most `room` bytes of the kernel's limit each (one path at least)."""
    some: list[bytes] = []
    size = 0
    for path in paths:
        cost = argument_size(path)
        if some and size + cost > room:
            yield some
            some, size = [], 0
        some.append(path)
        size += cost
    if some:
        yield some
