"""A startup in parts (`startupProcesses`): each is a run over the whole tree that leaves out what others do.

rsync holds every entry against our rules first, so they must say nothing of what is below a part's subtrees: there the
user's own rules decide. Entries that a part leaves out it neither sends nor deletes. A subtree is reached from the
source's root, never by a path of its own: links that somebody puts on the way are not followed, and what the user's
rules are anchored to stays the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.api import REST
from orchestrator_rsync.arguments import full_run, rsync_options
from orchestrator_rsync.filterlist import escape, escape_always

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api import Config, DeletionCount, Inlet, MaxDelete, Part
    from orchestrator_rsync.arguments import Invocation

WHOLE_TREE: Final = frozenset(
    {"hard-links", "prune-empty-dirs", "delete-excluded", "max-delete", "relative", "dirs", "no-recursive", "no-r"}
    | {"exclude", "include", "exclude-from", "include-from", "filter", "cvs-exclude", "F", "from0", "files-from"}
    | {"iconv", "remote-option", "delete-missing-args", "write-batch", "only-write-batch", "read-batch"}
)
"""Options that need the whole tree in one run, or have rules of their own, which ours must not come before."""


def undivided(config: Config) -> str | None:
    """Why the startup of a sync is one run; None: it may be made in parts."""
    names = set(rsync_options(config).names)
    table = config.get("rsync")
    if table is not None and table.get("delete_excluded"):
        names.add("delete-excluded")
    found = sorted(names & WHOLE_TREE)
    return f"rsync's --{found[0]} goes for the whole tree" if found else None


def part_rules(part: Part) -> list[bytes]:
    """The rules that keep a run to one part."""
    if part.number == REST:
        return [b"- " + escape(subtree) for subtree in part.left_out]
    above = {b"/", *(subtree[: place + 1] for subtree in part.subtrees for place in _slashes(subtree))}
    inner = sorted(directory for directory in above if directory != b"/")
    return [
        *(b"+ " + escape(directory) for directory in (*inner, *part.subtrees)),
        *(b"- " + escape_always(directory) + b"*" for directory in sorted(above)),
    ]


def _slashes(subtree: bytes) -> list[int]:
    """Where the slashes are, but for that at the end."""
    return [place for place, byte in enumerate(subtree[:-1]) if byte == ord("/")]


def part_run(inlet: Inlet, part: Part, message: bytes) -> Invocation:
    """The run for one part, whose log line has this in it."""
    excludes = inlet.matcher()
    if excludes is not None:  # the user's code may have excluded something since
        part = part._replace(subtrees=tuple(subtree for subtree in part.subtrees if not excludes(subtree)))
    rules = [*part_rules(part), *inlet.rule_lines()]
    return full_run(inlet.config, inlet.source, inlet.target, [], rules)._replace(message=message)


class Allowances:
    """How much each part may delete: what was counted of it, and its share of what is allowed beyond that, so that all
    together delete no more than is allowed. Written by the job that counts before the first part."""

    def __init__(self) -> None:
        self.counted: Mapping[int, int] = {}
        self.existing = 0
        self.more = 0
        self.cut: set[int] = set()
        """Parts for which there was more to delete than was counted: they are counted anew."""

    def share(self, count: DeletionCount, by_part: Mapping[int, int], limit: MaxDelete, parts: int) -> None:
        """All has been counted, and of each part, by its number; there are so many parts."""
        self.counted, self.existing = by_part, count.existing
        self.more = max(0, limit.allowed(count.existing) - count.deletions) // parts
        self.cut = set()

    def of(self, number: int, allowed: int) -> int:
        """What a part may delete, where all together may delete so much."""
        return allowed if number in self.cut else self.counted.get(number, 0) + self.more
