"""How much a full run would delete: rsync itself is asked, by a dry run of the very same run (`maxDelete`).

rsync(1): with `--out-format=%i` every line is what becomes of one entry, without its name, so that no name can
fool the count; `--stats` counts the entries of the source. The target has those that are in both
trees, which are the source's but for those that would be made, and those that would be deleted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.api import Check, DeletionCount
from orchestrator_rsync.arguments import deletes_at_startup, is_on, rsync_table
from orchestrator_rsync.options import SHORT_FLAGS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.api import Inlet, MaxDelete, Spawn
    from orchestrator_rsync.arguments import Argument

COUNTED = frozenset({0, 23, 24})
"""Exit codes of a dry run that has counted all: on a file that can't be read, or is gone, no deletion depends."""

CAP = b"--max-delete=^maxDelete"
"""Stands among the arguments until it is known how many that is."""

NOT_RUN = 255
CUT = 25
_CUT_SHORT = b"Deletions stopped due to --max-delete limit"
_DELETED = b"*deleting"
_MADE = b"+++++++++"
_FILES = b"Number of files: "
_QUIET = frozenset({b"--quiet", b"-q"})
_FLAGS = re.compile(rb"-[%s]+" % "".join(sorted({letter for _, letter, _ in SHORT_FLAGS} | set("Dr"))).encode())

ASKING = (b"--dry-run", b"--no-human-readable", b"--stats", b"--out-format=%i")


def check_of(inlet: Inlet, announce: bytes) -> Check | None:
    """The check before a full run; None where it may delete any number, or deletes nothing."""
    limit = limit_of(inlet)
    if limit is None:
        return None

    def count(stop: threading.Event, spawn: Spawn | None) -> DeletionCount:
        assert spawn is not None
        counter = Counter()
        problem = read_count(inlet, asking(spawn.argv), spawn.stdin, spawn, stop, counter.feed)
        return problem or counter.count()

    return Check(limit, count, announce, limited, was_cut)


def limit_of(inlet: Inlet) -> MaxDelete | None:
    """What a full run may delete; None where it may delete any number, or deletes nothing."""
    limit = inlet.max_delete
    return None if limit is None or not deletes_at_startup(inlet.config) or _is_dry(inlet) else limit


def read_count(
    inlet: Inlet,
    argv: Sequence[bytes],
    stdin: bytes | None,
    spawn: Spawn,
    stop: threading.Event,
    feed: Callable[[bytes], None],
) -> DeletionCount | None:
    """Run the dry run that counts for `spawn`, each of its lines given to `feed`; why that has failed, or None."""
    try:
        code, stderr = inlet.read_program(argv, stdin, spawn.env, stop, feed)
    except (OSError, ValueError) as error:
        return DeletionCount(0, 0, NOT_RUN, error=getattr(error, "strerror", None) or str(error))
    if code not in COUNTED or stop.is_set():
        return DeletionCount(0, 0, code or CUT, stderr)
    return None


def _is_dry(inlet: Inlet) -> bool:
    table = rsync_table(inlet.config)
    return table is not None and is_on(table.get("dry_run"))


def capped(argv: Sequence[Argument]) -> list[Argument]:
    """The arguments of the run with a place for the number, before source and target."""
    return [*argv[:-2], CAP, *argv[-2:]]


def asking(argv: Sequence[bytes], ours: Sequence[bytes] = ASKING) -> list[bytes]:
    """The arguments that ask: those of the run, not quiet, with `ours` before source and target."""
    words = [word for word in argv if word not in _QUIET and word != CAP and not word.startswith(b"--info=")]
    words = [word.replace(b"q", b"") if _FLAGS.fullmatch(word) and len(word) > 2 else word for word in words]
    return [*words[:-2], *ours, *words[-2:]]


def limited(argv: Sequence[bytes], allowed: int) -> list[bytes]:
    """The arguments of the run itself: should more be gone from the source by then, rsync stops deleting."""
    return [b"--max-delete=%d" % allowed if word == CAP else word for word in argv]


def was_cut(exit_code: int, stderr: bytes) -> bool:
    """Whether it has. rsync says 23 where that has made for other trouble."""
    return exit_code == CUT or _CUT_SHORT in stderr


class Counter:
    """Reads what rsync writes, line by line."""

    def __init__(self) -> None:
        self.deleted = 0
        self.made = 0
        self.in_source = 0

    def feed(self, line: bytes) -> None:
        if line.startswith(_DELETED):
            self.deleted += 1
        elif line[2:11] == _MADE:
            self.made += 1
        elif line.startswith(_FILES):
            # `1,234 (reg: 1,000, dir: 234)`, grouped as the locale has it
            number = re.sub(rb"\D", b"", line[len(_FILES) :].partition(b"(")[0])
            self.in_source = int(number or b"0")

    def count(self) -> DeletionCount:
        # the root is counted by rsync, but nothing that could be deleted
        in_both = max(0, self.in_source - self.made - 1)
        return DeletionCount(self.deleted, in_both + self.deleted)
