"""The two things the action asks for: everything at startup, and a batch of changes.

Knows nothing of syncs, events or configs: two directory paths, what may be done, and when to stop.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native import batch, deletions, meta
from orchestrator_native.report import CUT, FILE_IO, STOPPED, RunReport, Stopped, TooMuch
from orchestrator_native.rules import Trust, my_rule
from orchestrator_native.run import MirrorRun
from orchestrator_native.task import Budget, Removal, Task
from orchestrator_native.trees import OpenTree

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from orchestrator.api import Change, DeletionCount
    from orchestrator_native.memory import Memory
    from orchestrator_native.task import Excluded


class MirrorSpec(NamedTuple):
    """Two trees, and how the one is mirrored to the other."""

    source: bytes
    target: bytes
    excluded: Excluded | None = None
    xattrs: bool = True
    hard_links: bool = True
    threads: int = 4
    patience: float = 0.0
    """Seconds that a change waits where the target is newer, or the entry was deleted there (newer.py, missing.py)."""
    may_delete: int | None = None
    """How many entries that the source does not have may be deleted; None: any number."""


def mirror(trees: MirrorSpec, memory: Memory, stop: threading.Event, *, deletes: bool) -> RunReport:
    """Make the whole target like the source, creating its directory (not what lies above) if need be."""
    try:
        os.mkdir(trees.target, 0o777)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.EROFS, errno.EACCES):
            return _failure("create the target", error)
    return _work(trees, memory, stop, deletes=deletes, changes=None)


def count_deletions(trees: MirrorSpec, stop: threading.Event) -> DeletionCount:
    """How much `mirror` would delete. Raises OSError where a tree cannot be opened, Stopped."""
    return deletions.count_deletions(trees.source, trees.target, _without_target(trees), stop)


def update(
    trees: MirrorSpec, changes: Iterable[Change], memory: Memory, stop: threading.Event, *, deletes: bool
) -> RunReport:
    """Bring changed paths of the target up to date."""
    return _work(trees, memory, stop, deletes=deletes, changes=changes)


def _failure(what: str, error: OSError) -> RunReport:
    report = RunReport()
    report.trouble(what, "", error)
    report.end(FILE_IO)
    return report


def _work(
    trees: MirrorSpec, memory: Memory, stop: threading.Event, *, deletes: bool, changes: Iterable[Change] | None
) -> RunReport:
    try:
        source = OpenTree.at(trees.source)
    except OSError as error:
        return _failure("open the source", error)
    try:
        try:
            target = OpenTree.at(trees.target)
        except OSError as error:
            return _failure("open the target", error)
        try:
            return _work_between(source, target, trees, memory, stop, deletes=deletes, changes=changes)
        finally:
            target.close()
    finally:
        source.close()


def _work_between(
    source: OpenTree,
    target: OpenTree,
    trees: MirrorSpec,
    memory: Memory,
    stop: threading.Event,
    *,
    deletes: bool,
    changes: Iterable[Change] | None,
) -> RunReport:
    ours = [(status.st_dev, status.st_ino) for status in (os.fstat(source.root), os.fstat(target.root))]
    if ours[0] == ours[1]:
        return _failure("mirror a directory onto itself", OSError(errno.EINVAL, os.strerror(errno.EINVAL)))
    if changes is None:
        if not (_is_same_device(memory.source, ours[0]) and _is_same_device(memory.target, ours[1])):
            memory.proofs.is_complete = False  # a file system that was mounted anew may have another number
        memory.source, memory.target = ours
    elif memory.source not in (None, ours[0]):
        # Unmounted or replaced: what is not in there now has not been deleted. A full run is due once it is back.
        report = _failure("find the source of before in", OSError(errno.ESTALE, os.strerror(errno.ESTALE)))
        report.is_of_other_source = True
        return report
    if memory.granularity is None:
        memory.granularity = meta.granularity(target.root)
    task = Task(
        rule=my_rule(
            granularity=memory.granularity,
            xattrs=trees.xattrs,
            hard_links=trees.hard_links,
            trust=Trust.QUICK if changes is None and not memory.proofs.is_complete else Trust.UNCHANGED,
        ),
        stop=stop,
        removal=Removal(
            deletes=deletes,
            makes_way=deletes or changes is not None,
            guarded=frozenset(ours),
            budget=Budget(trees.may_delete) if trees.may_delete is not None else None,
        ),
        excluded=_without_target(trees),
        memory=memory,
        patience=trees.patience if changes is not None else 0.0,
    )
    run = MirrorRun(task, source, target, threads=trees.threads, is_whole=changes is None)
    try:
        if changes is None:
            memory.links.clear()
            run.later_directory("", touched=True)
        else:
            batch.update(run, changes)
        run.drain()
        if changes is None:
            memory.proofs.is_complete = True
        if task.report.lacks_room:
            with task.changing(target.root):
                has_room = meta.has_room(target.root)
            if not has_room:
                task.report.end(FILE_IO)
    except Stopped as stopped:
        task.report.end(CUT if isinstance(stopped, TooMuch) else STOPPED)
    finally:
        run.close()
    return task.report


def _is_same_device(before: tuple[int, int] | None, now: tuple[int, int]) -> bool:
    return before is not None and before[0] == now[0]


def _without_target(trees: MirrorSpec) -> Excluded | None:
    """A target inside the source is left out, or it would be copied into itself."""
    source, target = os.path.realpath(trees.source), os.path.realpath(trees.target)
    outer = source if source.endswith(b"/") else source + b"/"
    excluded = trees.excluded
    if not target.startswith(outer):
        return excluded
    inside = b"/" + target[len(outer) :] + b"/"

    def is_excluded(path: bytes) -> bool:
        return (path + b"/").startswith(inside) or (excluded is not None and excluded(path))

    return is_excluded
