"""How much a full run would delete (`maxDelete`): both trees are read, nothing is changed.

Counts as mirror.py and removal.py delete: entries that the source does not have, with all below them, and those in a
directory whose place something else takes. Excluded entries are neither removed nor counted.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from orchestrator.api import DeletionCount
from orchestrator_native.report import Stopped
from orchestrator_native.temps import is_in_use, is_leftover
from orchestrator_native.trees import OpenTree, join, split

if TYPE_CHECKING:
    import threading

    from orchestrator_native.task import Excluded


def count_deletions(source: bytes, target: bytes, excluded: Excluded | None, stop: threading.Event) -> DeletionCount:
    """Look through both trees. Raises OSError where one of them cannot be opened, Stopped."""
    with closing(OpenTree.at(source)) as here, closing(OpenTree.at(target)) as there:
        return _Count(here, there, excluded, stop).all()


class _Count:
    def __init__(self, source: OpenTree, target: OpenTree, excluded: Excluded | None, stop: threading.Event) -> None:
        self.source = source
        self.target = target
        self.excluded = excluded
        self.stop = stop
        self.deleted = 0
        self.there = 0
        self.pending: list[tuple[str, bool]] = [("", False)]
        self.going: set[str] = set()  # directories that are counted as deleted

    def all(self) -> DeletionCount:
        while self.pending:
            if self.stop.is_set():
                raise Stopped
            path, goes = self.pending.pop()
            self._directory(path, goes)
        return DeletionCount(self.deleted, self.there)

    def _directory(self, path: str, goes: bool) -> None:
        """`goes`: with all that is in it."""
        try:
            wanted = {} if goes else _listed(self.source, path)
            found = _listed(self.target, path)
        except OSError:
            return  # what cannot be read is not deleted
        for name, is_dir in found.items():
            inner = join(path, name)
            if not is_dir and is_leftover(name):
                continue
            if is_in_use(name) or self._is_excluded(inner, is_dir):
                self._stays(path)
                continue
            self.there += 1
            makes_way = name not in wanted or (is_dir and not wanted[name])
            self.deleted += makes_way
            if is_dir:
                self.pending.append((inner, makes_way))
                if makes_way:
                    self.going.add(inner)

    def _stays(self, path: str) -> None:
        """Something in this directory is not removed: neither are it and those above it."""
        while path in self.going:
            self.going.remove(path)
            self.deleted -= 1
            path = split(path)[0]

    def _is_excluded(self, path: str, is_dir: bool) -> bool:
        return self.excluded is not None and self.excluded(b"/" + os.fsencode(path) + (b"/" if is_dir else b""))


def _listed(tree: OpenTree, path: str) -> dict[str, bool]:
    """Name → whether it is a directory."""
    with os.scandir(tree.open(path)) as entries:
        return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
