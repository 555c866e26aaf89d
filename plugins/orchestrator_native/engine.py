"""The two things the action asks for: everything at startup, and a batch of changes.

Knows nothing of syncs, events or configs: two directory paths, what may be done, and when to stop.
"""

from __future__ import annotations

import errno
import os
import queue
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native import batch, deletions, meta
from orchestrator_native.pool import Errand, Pool
from orchestrator_native.report import CUT, FILE_IO, STOPPED, RunReport, Stopped, TooMuch
from orchestrator_native.rules import Trust, my_rule
from orchestrator_native.run import MirrorRun
from orchestrator_native.tally import Tally
from orchestrator_native.task import Budget, Removal, Task
from orchestrator_native.trees import OpenTree

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from orchestrator.api import Change, DeletionCount
    from orchestrator_native.memory import Memory
    from orchestrator_native.task import Excluded

    Ended = Callable[[Callable[[], RunReport]], None]
    """Given a function that gives the report of a run that has ended, or raises."""


class MirrorSpec(NamedTuple):
    """Two trees, and how the one is mirrored to the other."""

    source: bytes
    target: bytes
    excluded: Excluded | None = None
    xattrs: bool = True
    hard_links: bool = True
    threads: int | None = None
    """That work for this at a time; None: as many as the pool has."""
    patience: float = 0.0
    """Seconds that a change waits where the target is newer, or the entry was deleted there (newer.py, missing.py)."""
    may_delete: int | None = None
    """How many entries that the source does not have may be deleted; None: any number."""


class Order(NamedTuple):
    """What a run is to do."""

    trees: MirrorSpec
    memory: Memory
    deletes: bool
    changes: Iterable[Change] | None = None
    """To bring up to date; None: make the whole target like the source, creating its directory (not what lies above
    it) if need be."""
    tally: Tally | None = None
    """Where the run counts how far it is."""


def start(order: Order, pool: Pool, stop: threading.Event, ended: Ended) -> None:
    """Have the pool do it. `ended(result)` is called by one of its threads; `result()` gives the report, or raises.

    Raises RuntimeError where there are no threads to be had.
    """

    def prepare() -> Callable[[], None] | None:
        try:
            if stop.is_set():
                raise Stopped
            return _begin(order, pool, stop, ended)
        except BaseException as error:
            return partial(ended, partial(_result, RunReport(), error))

    pool.add(Errand(pool, prepare))


def do(order: Order, stop: threading.Event, pool: Pool | None = None) -> RunReport:
    """The same, waiting for the end. Without a pool: by one that is there for this alone."""
    pool = pool or Pool()
    results: queue.SimpleQueue[Callable[[], RunReport]] = queue.SimpleQueue()
    start(order, pool, stop, results.put)
    result = results.get()
    pool.join()
    return result()


def mirror(trees: MirrorSpec, memory: Memory, stop: threading.Event, *, deletes: bool) -> RunReport:
    """Make the whole target like the source."""
    return do(Order(trees, memory, deletes), stop)


def update(
    trees: MirrorSpec, changes: Iterable[Change], memory: Memory, stop: threading.Event, *, deletes: bool
) -> RunReport:
    """Bring changed paths of the target up to date."""
    return do(Order(trees, memory, deletes, changes), stop)


def count_deletions(trees: MirrorSpec, stop: threading.Event) -> DeletionCount:
    """How much `mirror` would delete. Raises OSError where a tree cannot be opened, Stopped."""
    return deletions.count_deletions(trees.source, trees.target, without_target(trees), stop)


def _result(report: RunReport, failure: BaseException | None) -> RunReport:
    """The report, with the end that the run was brought to; raises what no run ends with."""
    if isinstance(failure, Stopped):
        report.end(CUT if isinstance(failure, TooMuch) else STOPPED)
    elif failure is not None:
        raise failure
    return report


def _failure(what: str, error: OSError) -> RunReport:
    report = RunReport()
    report.trouble(what, "", error)
    report.end(FILE_IO)
    return report


def _begin(order: Order, pool: Pool, stop: threading.Event, ended: Ended) -> Callable[[], None] | None:
    """Open what is needed, and start the run. Where that fails, gives a function that says so."""
    trees = order.trees

    def fails(what: str, error: OSError) -> Callable[[], None]:
        return partial(ended, partial(_result, _failure(what, error), None))

    if order.changes is None:
        try:
            os.mkdir(trees.target, 0o777)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.EROFS, errno.EACCES):
                return fails("create the target", error)
    with ExitStack() as opened:
        try:
            source = opened.enter_context(closing(OpenTree.at(trees.source)))
        except OSError as error:
            return fails("open the source", error)
        try:
            target = opened.enter_context(closing(OpenTree.at(trees.target)))
        except OSError as error:
            return fails("open the target", error)
        report = _unfit(order, source, target)
        if report is not None:
            return partial(ended, partial(_result, report, None))
        task = _task(order, stop, source, target)
        threads = pool.size if trees.threads is None else trees.threads
        run = MirrorRun(task, (source, target), pool, threads=threads, is_whole=order.changes is None)
        opened.pop_all()  # they are the run's

    def begin() -> None:
        if order.changes is None:
            order.memory.links.clear()
            run.later_directory("", touched=False)
            run.later_settle("")
        else:
            batch.update(run, order.changes)

    run.start(begin, lambda failure: ended(partial(_result, task.report, failure)))
    return None


def _unfit(order: Order, source: OpenTree, target: OpenTree) -> RunReport | None:
    """Why these two cannot be mirrored, if so. Notes which ones they are."""
    memory = order.memory
    ours = _identities(source, target)
    if ours[0] == ours[1]:
        return _failure("mirror a directory onto itself", OSError(errno.EINVAL, os.strerror(errno.EINVAL)))
    if order.changes is None:
        if not (_is_same_device(memory.source, ours[0]) and _is_same_device(memory.target, ours[1])):
            memory.proofs.is_complete = False  # a file system that was mounted anew may have another number
        memory.source, memory.target = ours
    elif memory.source not in (None, ours[0]):
        # Unmounted or replaced: what is not in there now has not been deleted. A full run is due once it is back.
        report = _failure("find the source of before in", OSError(errno.ESTALE, os.strerror(errno.ESTALE)))
        report.is_of_other_source = True
        return report
    return None


def _task(order: Order, stop: threading.Event, source: OpenTree, target: OpenTree) -> Task:
    trees, memory, is_whole = order.trees, order.memory, order.changes is None
    if memory.granularity is None:
        foreign = memory.missing.foreign_change(os.fstat(target.root))
        memory.granularity = meta.granularity(target.root)
        memory.missing.leave(os.fstat(target.root), foreign)
    if is_whole:
        memory.missing.forget_directories()  # what it changes in them is not accounted for
    return Task(
        rule=my_rule(
            granularity=memory.granularity,
            xattrs=trees.xattrs,
            hard_links=trees.hard_links,
            trust=Trust.QUICK if is_whole and not memory.proofs.is_complete else Trust.UNCHANGED,
        ),
        stop=stop,
        removal=Removal(
            deletes=order.deletes,
            makes_way=order.deletes or not is_whole,
            guarded=frozenset(_identities(source, target)),
            budget=Budget(trees.may_delete) if trees.may_delete is not None else None,
        ),
        excluded=without_target(trees),
        memory=memory,
        patience=0.0 if is_whole else trees.patience,
        tally=order.tally or Tally(),
    )


def _identities(*trees: OpenTree) -> list[tuple[int, int]]:
    return [(status.st_dev, status.st_ino) for status in (os.fstat(tree.root) for tree in trees)]


def _is_same_device(before: tuple[int, int] | None, now: tuple[int, int]) -> bool:
    return before is not None and before[0] == now[0]


def without_target(trees: MirrorSpec) -> Excluded | None:
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
