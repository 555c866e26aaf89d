"""What the parts of a startup may delete (`maxDelete`): all together no more than one run over everything might.

Before the first part one dry run over everything counts; by the names it is known which part each deletion is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.api import REST, Check, DeletionCount
from orchestrator_rsync.complaints import unescaped
from orchestrator_rsync.deletions import ASKING, Counter, asking, limited, read_count, was_cut

if TYPE_CHECKING:
    import threading

    from orchestrator.api import Division, Inlet, MaxDelete, Part, Spawn
    from orchestrator_rsync.parts import Allowances

NAMING: Final = (*ASKING[:-1], ASKING[-1] + b" %n")

_NAME: Final = len(b"*deleting   ")
"""Where a line that NAMING asks for has the name."""


class PartCounter(Counter):
    """A Counter that is fed names behind the rest of each line, and knows which part each deletion is in."""

    def __init__(self, division: Division) -> None:
        super().__init__()
        self.by_part: dict[int, int] = {}
        self._division = division

    def feed(self, line: bytes) -> None:
        before = self.deleted
        super().feed(line)
        if self.deleted > before:
            number = self._division.number_of(b"/" + unescaped(line[_NAME:]))
            self.by_part[number] = self.by_part.get(number, 0) + 1


def check_of_part(inlet: Inlet, part: Part, announce: bytes, allowances: Allowances, limit: MaxDelete) -> Check:
    """The check before a part. Before the first one, all that the startup would delete is counted, in one dry run."""
    division = inlet.division
    assert division is not None
    rules = b"\n".join(inlet.rule_lines())

    def count(stop: threading.Event, spawn: Spawn | None) -> DeletionCount:
        assert spawn is not None
        if part.number == REST:
            counter = PartCounter(division)
            problem = read_count(inlet, asking(spawn.argv, NAMING), rules, spawn, stop, counter.feed)
            if problem is not None:
                return problem
            count = counter.count()
            allowances.share(count, counter.by_part, limit, len(division.parts))
            return count
        if part.number not in allowances.cut:
            return DeletionCount(allowances.counted.get(part.number, 0), allowances.existing)
        again = Counter()
        problem = read_count(inlet, asking(spawn.argv), spawn.stdin, spawn, stop, again.feed)
        return problem or DeletionCount(again.deleted, allowances.existing)

    def is_cut(exit_code: int, stderr: bytes) -> bool:
        if was_cut(exit_code, stderr):
            allowances.cut.add(part.number)
            return True
        return False

    return Check(limit, count, announce, lambda argv, most: limited(argv, allowances.of(part.number, most)), is_cut)
