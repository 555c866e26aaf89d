"""One run over a tree: the directories and large files that are still to be looked at, a piece at a time (pool.py).

Where the tree is large, other processes do the comparing (workerprocess.py), which leaves the daemon's own thread in
peace; a directory with many entries is compared in parts, by several of them.
"""

from __future__ import annotations

import itertools
import os
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from orchestrator_native import meta
from orchestrator_native.helper import asked_for, question
from orchestrator_native.linking import bring_together, names_now, search
from orchestrator_native.mirror import Mirror
from orchestrator_native.quickcompare import Part
from orchestrator_native.report import FILE_IO, Stopped
from orchestrator_native.rules import Trust
from orchestrator_native.trees import join, split
from orchestrator_native.workerprocess import Equal, Unlike, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator_native.links import Key, Links
    from orchestrator_native.pool import Pool
    from orchestrator_native.task import Task
    from orchestrator_native.trees import OpenTree

WORTH_HELP = 128
"""Directories that have been looked at, and as many again that wait, before another process is started."""

PORTION = 64
"""Directories that a helper is asked about at once, at most."""


class Stage(Enum):
    BEGINNING = 0
    LOOKING = 1
    """At directories and files."""
    FINISHING = 2
    """Links, and attributes of directories."""


class Parts:
    """A directory that is compared in parts."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.equal: list[Equal] = []
        self.differs = False

    def take(self, answer: Equal | None) -> None:
        """The answer for one part."""
        self.left -= 1
        if answer is None or (self.equal and answer[:2] != self.equal[0][:2]):
            self.differs = True
        else:
            self.equal.append(answer)

    def whole(self) -> Equal | None:
        """The answer for all of it, once none is left."""
        if self.differs:
            return None
        source, target, _ = self.equal[0]
        return Equal(source, target, [name for equal in self.equal for name in equal.names])


class MirrorRun:
    """Is the WorkQueue of its Mirrors, and Work of the pool.

    A directory is never worked on by two threads at a time. `is_whole`: it walks the whole tree, and so meets every
    name of every file by itself. `threads`: at work for it at a time, at most. `trees`: source and target, which are
    the run's own, and closed with it.
    """

    def __init__(
        self, task: Task, trees: tuple[OpenTree, OpenTree], pool: Pool, *, threads: int, is_whole: bool
    ) -> None:
        self.task = task
        self.links: Links = task.memory.links
        self.is_whole = is_whole
        self._pool = pool
        self._threads = threads
        pool.has_at_least(threads)
        self._source, self._target = trees
        self._stage = Stage.BEGINNING
        self._begin: Callable[[], None]
        self._ended: Callable[[BaseException | None], None]
        self._lock = pool.lock
        self._touched: dict[str, None] = {}
        self._plain: dict[str, None] = {}
        self._running: dict[str, bool | None] = {}
        self._files: dict[str, None] = {}
        self._questions: dict[str, str] = {}
        self._parts: dict[str, Parts] = {}
        self._divided: set[str] = set()
        self._linked: dict[Key, Trust] = {}
        self._names: dict[str, Trust] = {}
        self._counts: dict[Key, int] = {}
        self._left: set[Key] = set()
        self._unsettled: set[str] = set()
        self._working = 0
        self._seen = 0
        self._processes: list[WorkerProcess] = []
        self._may_have = min(threads, pool.helpers) if is_whole else 0
        self._has = 0
        self._failure: BaseException | None = None
        self._mirrors: list[Mirror] = []
        self.mirror = self._make_mirror()

    def _make_mirror(self) -> Mirror:
        return Mirror(self.task, self._source.clone(), self._target.clone(), self)

    # ---- work that is left for later ----------------------------------------------------------

    def later_directory(self, path: str, *, touched: bool) -> None:
        with self._lock:
            if path in self._running:
                self._running[path] = touched or bool(self._running[path])
                return
            self._queue(path, touched=touched)

    def _queue(self, path: str, *, touched: bool) -> None:
        if touched:
            self._plain.pop(path, None)
            self._touched[path] = None
        elif path not in self._touched:
            self._plain[path] = None

    def later_file(self, path: str) -> None:
        with self._lock:
            self._files[path] = None
            self._pool.offer(self, wakes=self._stage is Stage.LOOKING)

    def later_parts(self, path: str) -> bool:
        with self._lock:
            if not self._may_have or self._stage is not Stage.LOOKING:
                return False
            self._divided.add(path)
            self._divide(path)
            self._pool.offer(self, wakes=True)
            return True

    def _divide(self, path: str) -> None:
        count = self._may_have
        self._parts[path] = Parts(count)
        self._questions.update((question(path, Part(index, count)), path) for index in range(count))

    def later_link(self, path: str, wanted: os.stat_result, *, trust: Trust, is_written: bool) -> None:
        key = (wanted.st_dev, wanted.st_ino)
        self.links.add(key, path)
        with self._lock:
            self._linked[key] = max(self._linked.get(key, Trust.QUICK), trust if is_written else Trust.QUICK)
            self._names[path] = max(self._names.get(path, Trust.QUICK), trust)
            self._counts[key] = wanted.st_nlink

    def name_went(self, path: str) -> None:
        key = self.links.key(path)
        if key is not None:
            self.links.discard(key, path)
            with self._lock:
                self._left.add(key)

    def later_settle(self, path: str) -> None:
        with self._lock:
            self._unsettled.add(path)

    # ---- from the beginning to the end --------------------------------------------------------

    def start(self, begin: Callable[[], None], ended: Callable[[BaseException | None], None]) -> None:
        """From a piece of the pool's: have all done by the pool. First `begin`, which puts down what is to be done;
        links and attributes of directories at the end. Then `ended` is called, with what was raised."""
        self._begin = begin
        self._ended = ended
        self._pool.add(self, wakes=False)

    def walk(self) -> Callable[[], None] | None:
        if self._is_over():
            self._stage = Stage.FINISHING
            return self._piece(self._finish)
        if self._stage is Stage.BEGINNING:
            return None if self._working else self._piece(self._beginning)
        if not self._has_place():
            return None
        is_left_to_helpers = self._has or (self._wants_help() and self._pool.can_lend)
        if not self._touched and (is_left_to_helpers or not self._plain):
            return None
        touched = bool(self._touched)
        path, _ = (self._touched or self._plain).popitem()
        self._running[path] = None
        return self._piece(partial(self._look, path, touched=touched))

    def copy(self) -> Callable[[], None] | None:
        if not self._has_place():
            return None
        if self._files:
            path, _ = self._files.popitem()
            return self._piece(partial(self._with_mirror, lambda mirror: mirror.file(path)))
        if self._questions or (self._plain and self._wants_help()):
            if self._processes:
                return self._piece(partial(self._ask, self._portion(), self._processes.pop()))
            if self._has < self._may_have and self._pool.lend(self):
                self._has += 1
                return self._piece(partial(self._ask, self._portion(), None))
        return None

    def _has_place(self) -> bool:
        return self._stage is Stage.LOOKING and self._working < self._threads and self._failure is None

    def _piece(self, work: Callable[[], None]) -> Callable[[], None]:
        self._working += 1
        return partial(self._do, work)

    def _do(self, work: Callable[[], None]) -> None:
        failure: BaseException | None = None
        try:
            if self.task.stop.is_set():
                raise Stopped
            work()
        except BaseException as error:
            failure = error
        self.task.tally.step()
        with self._lock:
            self._failure = self._failure or failure
            self._working -= 1
            if self._stage is not Stage.FINISHING:
                self._pool.offer(self, wakes=False)
                return
            self._pool.remove(self)
        self._close()
        self._ended(self._failure)

    def _is_over(self) -> bool:
        """Nothing is left, or all is lost; and nobody is at work."""
        if self._working or self._stage is Stage.FINISHING:
            return False
        if self._failure is not None:
            return True
        is_left = self._touched or self._plain or self._files or self._questions
        return self._stage is Stage.LOOKING and not is_left

    def _beginning(self) -> None:
        self._begin()
        with self._lock:
            self._mirrors.append(self.mirror)
            self._stage = Stage.LOOKING

    def _finish(self) -> None:
        if self._failure is not None:
            return
        self._bring_links_together()
        for path in sorted(self._unsettled, reverse=True):
            if self.task.stop.is_set():
                raise Stopped
            self.mirror.settle(path)
        if self.is_whole:
            self.task.proofs.is_complete = True
        if self.task.report.lacks_room and not meta.has_room(self._target.root):
            self.task.report.end(FILE_IO)

    def _close(self) -> None:
        """No more than a moment: the pool's places are others' by now."""
        for process in self._processes:
            self._give_back(process)
        for mirror in {*self._mirrors, self.mirror}:
            mirror.close()
        self._source.close()
        self._target.close()

    def _bring_links_together(self) -> None:
        for key in self._left:
            self._compare_others(key)
        self._search_links()
        for key, trust in self._linked.items():
            if self.task.stop.is_set():
                raise Stopped
            bring_together(self.mirror, key, self.links, self._names, trust)

    def _compare_others(self, key: Key) -> None:
        """A name of a file has gone: what was written to it under that name has no other event."""
        for path in self.links.names(key):
            parent, name = split(path)
            try:
                status = os.stat(name, dir_fd=self.mirror.source.open(parent), follow_symlinks=False)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == key:
                self.later_link(path, status, trust=Trust.NONE, is_written=True)
                return

    def _search_links(self) -> None:
        """Look for names not known yet of files known to have so many."""
        for key in self._counts:
            names_now(self.mirror, key, self.links)
        missing = {key: count for key, count in self._counts.items() if self.links.missing(key, count)}
        if missing and not self.is_whole:
            search(self.mirror.source, missing, self.links, self.task)
        for key, count in missing.items():
            self.links.searched(key, count)

    # ---- one directory ------------------------------------------------------------------------

    def _look(self, path: str, *, touched: bool) -> None:
        try:
            self._with_mirror(lambda mirror: mirror.directory(path, touched=touched))
        finally:
            with self._lock:
                self._seen += 1
                if path in self._divided:
                    self._divided.discard(path)
                else:
                    again = self._running.pop(path)
                    if again is not None:
                        self._queue(path, touched=again)

    def _with_mirror(self, work: Callable[[Mirror], None]) -> None:
        with self._lock:
            mirror = self._mirrors.pop() if self._mirrors else None
        mirror = mirror or self._make_mirror()
        try:
            work(mirror)
        finally:
            with self._lock:
                self._mirrors.append(mirror)

    # ---- helping processes --------------------------------------------------------------------

    def _wants_help(self) -> bool:
        return self._has > 0 or (self._may_have > 0 and self._seen >= WORTH_HELP <= len(self._plain))

    def _portion(self) -> list[str]:
        """A part of a directory; or a fair share of the directories that wait, first those that came first: they have
        the most below them."""
        for asked in self._questions:
            del self._questions[asked]
            return [asked]
        count = min(PORTION, -(-len(self._plain) // max(1, self._may_have)))
        paths = list(itertools.islice(self._plain, count))
        for path in paths:
            del self._plain[path]
            self._running[path] = None
        return paths

    def _ask(self, paths: list[str], process: WorkerProcess | None) -> None:
        """What the helper does not find equal, be it that it has failed, is left to a walker."""
        answers: Iterable[Equal | Unlike] = [Unlike.DIFFERENT] * len(paths)
        try:
            if process is None:
                process = WorkerProcess(self._source, self._target, self.task.rule)
            answers = process.ask(paths, self.task.stop)
        except OSError:
            self._lose(process)
        except BaseException:
            self._lose(process)
            raise
        else:
            with self._lock:
                is_used = bool(self._plain or self._questions)
                is_kept = not self._pool.is_wanted(process.since, is_used=is_used)
                if is_kept:
                    self._processes.append(process)
            if not is_kept:
                self._give_back(process)
        finally:
            self._take_answers(paths, answers)

    def _lose(self, process: WorkerProcess | None) -> None:
        """A helper has failed: one less is had from now on. Without any, walkers do all."""
        with self._lock:
            self._may_have -= 1
            if not self._may_have:
                for path in set(self._questions.values()):
                    self._drop_parts(path)
        self._give_back(process)

    def _give_back(self, process: WorkerProcess | None) -> None:
        if process is not None:
            process.close()
        with self._lock:
            self._has -= 1
            self._pool.give_back()

    def _take_answers(self, questions: list[str], answers: Iterable[Equal | Unlike]) -> None:
        accepted = [self._accepted(question, answer) for question, answer in zip(questions, answers, strict=True)]
        with self._lock:
            for question, answer, equal in zip(questions, answers, accepted, strict=True):
                path, _ = asked_for(question)
                if path in self._parts:
                    self._take_part(path, equal)
                elif answer is Unlike.LARGE and self._may_have:
                    self._divide(path)
                elif answer is Unlike.LARGE:
                    self._running.pop(path)
                    self._queue(path, touched=False)
                else:
                    self._take_answer(path, equal)

    def _accepted(self, question: str, answer: Equal | Unlike) -> Equal | None:
        """With paths in the place of names."""
        if isinstance(answer, Unlike) or self.task.trust(answer.source, answer.target) is Trust.NONE:
            return None
        path, _ = asked_for(question)
        inner = [join(path, name) for name in answer.names]
        return answer._replace(names=[path for path in inner if not self.task.is_excluded(path, is_dir=True)])

    def _take_part(self, path: str, equal: Equal | None) -> None:
        parts = self._parts[path]
        parts.take(equal)
        if parts.differs:
            self._drop_parts(path)
        elif not parts.left:
            del self._parts[path]
            self._take_answer(path, parts.whole())

    def _drop_parts(self, path: str) -> None:
        """A directory that is compared in parts is left to a walker, once nobody is at a part of it any more."""
        parts = self._parts[path]
        for asked in [asked for asked, other in self._questions.items() if other == path]:
            del self._questions[asked]
            parts.take(None)
        if not parts.left:
            del self._parts[path]
            self._take_answer(path, None)

    def _take_answer(self, path: str, equal: Equal | None) -> None:
        again = self._running.pop(path)
        if equal is None or again is not None:
            self._queue(path, touched=equal is None or bool(again))
        if equal is not None:
            self.task.proofs.pair(equal.source, equal.target)
            self._plain.update(dict.fromkeys(equal.names))
