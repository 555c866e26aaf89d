"""What one run is to do: told once, read by all of its parts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator_native.missing import Directories, Missing
from orchestrator_native.newer import Newer
from orchestrator_native.proofs import Proofs
from orchestrator_native.report import Report, TooMuch
from orchestrator_native.rules import Trust, identity

if TYPE_CHECKING:
    from orchestrator_native.rules import Rule

Excluded = Callable[[bytes], bool]
"""Of a path with its leading slash, a directory's with a trailing one (spec 3.2)."""


class Budget:
    """So many files and directories may be deleted. For several threads."""

    def __init__(self, allowed: int) -> None:
        self._left = allowed
        self._lock = threading.Lock()

    def take(self) -> None:
        """One more is about to be deleted. Raises TooMuch where it must not be."""
        with self._lock:
            if self._left <= 0:
                raise TooMuch
            self._left -= 1


@dataclass
class Task:
    rule: Rule
    stop: threading.Event
    deletes: bool
    """Remove from the target what the source has not."""
    makes_way: bool
    """A directory with something in it may be removed where the source now has something else."""
    excluded: Excluded | None = None
    guarded: frozenset[tuple[int, int]] = frozenset()
    """(device, inode) of directories that are never removed: the sync's own source and target."""
    budget: Budget | None = None
    """What may be deleted of what the source has not; None: anything."""
    let_in: set[str] = field(default_factory=set)
    """Directories of the target that are not closed to ourselves (any more), in this run."""
    proofs: Proofs = field(default_factory=Proofs)
    newer: Newer = field(default_factory=Newer)
    missing: Missing = field(default_factory=Missing)
    patience: float = 0.0
    """Seconds for which what is newer on the target, or was deleted there, waits; 0: it does not."""
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        self.directories = Directories(self.missing)

    def is_excluded(self, path: str, *, is_dir: bool) -> bool:
        if self.excluded is None:
            return False
        return self.excluded(b"/" + os.fsencode(path) + (b"/" if is_dir else b""))

    def trust(self, source: int, target: int) -> Trust:
        """Of what no change names, in two directories (identities)."""
        is_known = self.rule.trust is Trust.QUICK or self.proofs.is_pair(source, target)
        return self.rule.trust if is_known else Trust.NONE

    def has_to_wait(self, path: str, wanted: os.stat_result, have: os.stat_result | None) -> bool:
        """A file that is newer on the target: see newer.py."""
        return self.patience > 0 and self.newer.puts_off(path, wanted, have, self.patience)

    def may_be_deleted(self, path: str, wanted: os.stat_result, target: int) -> bool:
        """Whether an entry that the target has not has to wait: see missing.py. `target`: its directory there."""
        return self.patience > 0 and self.missing.puts_off(path, wanted, self.directories.look(target), self.patience)

    def before_change(self, target: int) -> None:
        """An open directory of the target is about to be changed by us."""
        if self.patience > 0:
            self.directories.look(target)

    def made(self, name: str, target: int) -> None:
        """We have made a directory, in an open one of the target."""
        if self.patience > 0:
            self.directories.make(name, target)

    def put_off(self, path: str, source: int, target: int) -> None:
        """An entry of two directories (descriptors) is to be looked at again, soon."""
        self.report.put_off[path] = None
        self.part(source, target)

    def part(self, source: int, target: int) -> None:
        """What lies in two directories (descriptors) is not alike, or not for sure."""
        self.proofs.part(identity(os.fstat(source)), identity(os.fstat(target)))
