"""The work of one run, as all of its parts read it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator_native.missing import Directories
from orchestrator_native.report import RunReport, TooMuch
from orchestrator_native.rules import Trust, identity
from orchestrator_native.tally import Tally

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from orchestrator_native.memory import Memory
    from orchestrator_native.proofs import Proofs
    from orchestrator_native.rules import CopyRule

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


@dataclass(frozen=True)
class Removal:
    """What one run may remove from the target."""

    deletes: bool
    """Entries that the source does not have."""
    makes_way: bool
    """A directory with something in it where the source now has something else."""
    guarded: frozenset[tuple[int, int]] = frozenset()
    """(device, inode) of directories that are never removed: the sync's own source and target."""
    budget: Budget | None = None
    """How many entries that the source does not have; None: any number."""


@dataclass
class Task:
    """The work of one run: read by all of its parts, in all threads."""

    rule: CopyRule
    stop: threading.Event
    removal: Removal
    excluded: Excluded | None
    memory: Memory
    patience: float
    """Seconds for which entries wait that are newer on the target, or were deleted there; 0: they do not."""
    let_in: set[str] = field(init=False, default_factory=set)
    """Directories of the target that are not closed to ourselves (any more), in this run."""
    report: RunReport = field(init=False, default_factory=RunReport)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.directories = Directories(self.memory.missing)

    @property
    def proofs(self) -> Proofs:
        return self.memory.proofs

    def is_excluded(self, path: str, *, is_dir: bool) -> bool:
        if self.excluded is None:
            return False
        return self.excluded(b"/" + os.fsencode(path) + (b"/" if is_dir else b""))

    def trust(self, source: int, target: int) -> Trust:
        """For entries that no change names, in two directories (identities)."""
        is_known = self.rule.trust is Trust.QUICK or self.proofs.is_pair(source, target)
        return self.rule.trust if is_known else Trust.NONE

    def is_deferred(self, path: str, wanted: os.stat_result, have: os.stat_result | None) -> bool:
        """Whether a file waits that is newer on the target: see newer.py."""
        return self.patience > 0 and self.memory.newer.defers(path, wanted, have, self.patience)

    def may_be_deleted(self, path: str, wanted: os.stat_result, target: int) -> bool:
        """Whether an entry that the target has not has to wait: see missing.py. `target`: its directory there."""
        return self.patience > 0 and self.memory.missing.defers(
            path, wanted, self.directories.foreign_change(target), self.patience
        )

    def may_be_new(self, path: str, have: os.stat_result) -> bool:
        """Whether an entry that only the target has stays, in a directory that we have not made: see missing.py."""
        return self.patience > 0 and self.memory.missing.keeps(path, have, self.patience)

    def changing(self, target: int) -> AbstractContextManager[None]:
        """Within: one change of ours in an open directory of the target. To be short; not to be nested."""
        return self.directories.changing(target) if self.patience > 0 else nullcontext()

    def leave(self, target: int) -> None:
        """Our work in an open directory of the target is done."""
        if self.patience > 0:
            self.directories.leave(target)

    def made(self, name: str, target: int) -> None:
        """We have made a directory, in an open one of the target."""
        if self.patience > 0:
            self.directories.make(name, target)

    def defer(self, path: str, source: int, target: int) -> None:
        """Have an entry of two directories (descriptors) compared once more, soon."""
        self.report.deferred[path] = None
        self.part(source, target)

    def part(self, source: int, target: int) -> None:
        """Two directories (descriptors) do not hold the same, or not for sure."""
        self.proofs.part(identity(os.fstat(source)), identity(os.fstat(target)))
