"""How many directories a daemon would watch: those in its sources that not all of their syncs exclude."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.sync.sync import Sync


def count_directories(syncs: Iterable[Sync]) -> int:
    """The number of directories; one that lies in several sources counts once."""
    by_source: dict[bytes, list[Sync]] = {}
    for sync in syncs:
        by_source.setdefault(sync.source, []).append(sync)
    sources = list(by_source)
    overlap = {source for source in sources if any(other != source and _touch(source, other) for other in sources)}
    counted: set[bytes] = set()
    number = 0
    for source, own in by_source.items():
        found = _directories(source, own)
        if source in overlap:
            counted.update(found)
        else:
            number += sum(1 for _ in found)
    return number + len(counted)


def _touch(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _directories(source: bytes, syncs: Sequence[Sync]) -> Iterable[bytes]:
    """No recursion: trees are as deep as their users want them."""
    pending = [source]
    while pending:
        directory = pending.pop()
        yield directory
        try:
            with os.scandir(directory) as entries:
                below = [directory + entry.name + b"/" for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        pending += [path for path in below if any(not _excludes(sync, path) for sync in syncs)]


def _excludes(sync: Sync, path: bytes) -> bool:
    return sync.filters.excludes_path(path[len(sync.source) - 1 :])
