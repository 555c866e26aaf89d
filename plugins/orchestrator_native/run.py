"""One run over a tree: a queue of directories and large files, and the threads that work on it.

Why the number of threads changes: Python runs one thread at a time. As long as the file system answers
from memory, a second thread that walks only gets in the way (half as fast, measured); where it waits for
a disk or a server, more threads mean more questions asked at once. So a thread is taken on when the
process mostly waits, and walkers step back when it does not. Where the tree is large, other processes do the
comparing (workerprocess.py), which also leaves the daemon's own thread in peace. Large files are copied by the
kernel without Python's lock, side by side.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import TYPE_CHECKING

from orchestrator_native.linking import bring_together, names_now, search
from orchestrator_native.mirror import Mirror
from orchestrator_native.report import Stopped
from orchestrator_native.rules import Trust
from orchestrator_native.trees import join, split
from orchestrator_native.workerprocess import Equal, WorkerProcess, processors

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator_native.links import Key, Links
    from orchestrator_native.task import Task
    from orchestrator_native.trees import OpenTree

PACE = 0.05
"""Seconds between two looks at how busy the process is."""

IDLE, BUSY = 0.6, 0.9
"""Shares of time in which the process computes: below, one more walker; above, one less."""


WORTH_HELP = 128
"""Directories that have been looked at, and as many again that wait, before another process is started."""

PORTION = 32
"""Directories that a helper is asked about at once, at most."""


class MirrorRun:
    """Is the WorkQueue of its Mirrors. `drain` by the thread that made it; `source` and `target` stay the caller's.

    A directory is never worked on by two threads at a time. `is_whole`: it walks the whole tree, and so
    meets every name of every file by itself.
    """

    def __init__(self, task: Task, source: OpenTree, target: OpenTree, *, threads: int, is_whole: bool) -> None:
        self.task = task
        self.links: Links = task.memory.links
        self.threads = threads
        self.is_whole = is_whole
        self._source = source
        self._target = target
        self._changed = threading.Condition()
        self._touched: dict[str, None] = {}
        self._plain: dict[str, None] = {}
        self._running: dict[str, bool | None] = {}
        self._files: dict[str, None] = {}
        self._linked: dict[Key, Trust] = {}
        self._names: dict[str, Trust] = {}
        self._counts: dict[Key, int] = {}
        self._left: set[Key] = set()
        self._unsettled: set[str] = set()
        self._workers: list[threading.Thread] = []
        self._is_open = False
        self._walking = 0
        self._copying = 0
        self._asked = 0
        self._seen = 0
        self._started = 0
        self._wanted = min(threads, max(2, processors())) if is_whole else 0
        self._processes = 0
        self._walkers = 1
        self._failure: BaseException | None = None
        self._pace = (time.perf_counter(), time.process_time())
        self.mirror = self._make_mirror()

    def _make_mirror(self) -> Mirror:
        return Mirror(self.task, self._source.clone(), self._target.clone(), self)

    def later_directory(self, path: str, *, touched: bool) -> None:
        with self._changed:
            if path in self._running:
                self._running[path] = touched or bool(self._running[path])
                return
            self._queue(path, touched=touched)
            self._changed.notify()

    def _queue(self, path: str, *, touched: bool) -> None:
        if touched:
            self._plain.pop(path, None)
            self._touched[path] = None
        elif path not in self._touched:
            self._plain[path] = None

    def later_file(self, path: str) -> None:
        with self._changed:
            self._files[path] = None
            if self._is_open:
                self._start_worker()
                self._changed.notify()

    def later_link(self, path: str, wanted: os.stat_result, *, trust: Trust, is_written: bool) -> None:
        key = (wanted.st_dev, wanted.st_ino)
        self.links.add(key, path)
        with self._changed:
            self._linked[key] = max(self._linked.get(key, Trust.QUICK), trust if is_written else Trust.QUICK)
            self._names[path] = max(self._names.get(path, Trust.QUICK), trust)
            self._counts[key] = wanted.st_nlink

    def name_went(self, path: str) -> None:
        key = self.links.key(path)
        if key is not None:
            self.links.discard(key, path)
            with self._changed:
                self._left.add(key)

    def later_settle(self, path: str) -> None:
        with self._changed:
            self._unsettled.add(path)

    def drain(self) -> None:
        """Work until nothing is left; then links, then attributes of directories. Raises Stopped."""
        with self._changed:
            self._is_open = True
            for _ in self._files:
                self._start_worker()
        try:
            self._work(self.mirror)
            self._end_workers()
            if self._failure is not None:
                raise self._failure
            self._bring_links_together()
            for path in sorted(self._unsettled, reverse=True):
                self.mirror.settle(path)
        finally:
            self._end_workers()

    def close(self) -> None:
        self._end_workers()
        self.mirror.close()

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

    def _start_worker(self) -> None:
        if self._started < self.threads - 1 and self._failure is None:
            self._started += 1
            self._begin(self._help)

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="native", daemon=True)
        thread.start()
        self._workers.append(thread)

    def _help(self) -> None:
        mirror = self._make_mirror()
        try:
            self._work(mirror)
        except BaseException as error:
            self._fail(error)
        finally:
            mirror.close()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _use_process(self) -> None:
        """Let another process compare, until nothing is left to compare or it fails."""
        try:
            process = WorkerProcess(self._source, self._target, self.task.rule)
            try:
                while paths := self._portion():
                    self._take_answers(paths, process)
                    if self.task.stop.is_set():
                        self._fail(Stopped())
            finally:
                process.close()
        except OSError:
            pass
        finally:
            with self._changed:
                self._processes -= 1
                self._changed.notify_all()

    def _portion(self) -> list[str]:
        """A fair part of the directories that wait; first those that came first: they have the most below them."""
        with self._changed:
            while not self._is_over():
                count = min(PORTION, -(-len(self._plain) // self._processes))
                paths = list(itertools.islice(self._plain, count))
                if paths:
                    for path in paths:
                        del self._plain[path]
                        self._running[path] = None
                    self._asked += len(paths)
                    return paths
                self._changed.wait()
        return []

    def _take_answers(self, paths: list[str], process: WorkerProcess) -> None:
        """What the helper does not find equal, be it that it has failed, is left to a walker."""
        answers: list[Equal | None] = [None] * len(paths)
        try:
            answers = [self._accepted(answer) for answer in process.ask(paths)]
        finally:
            inner = [
                join(path, name) for path, equal in zip(paths, answers, strict=True) if equal for name in equal.names
            ]
            inner = [path for path in inner if not self.task.is_excluded(path, is_dir=True)]
            with self._changed:
                self._asked -= len(paths)
                for path, equal in zip(paths, answers, strict=True):
                    again = self._running.pop(path)
                    if equal is None or again is not None:
                        self._queue(path, touched=equal is None or bool(again))
                self._plain.update(dict.fromkeys(inner))
                self._changed.notify_all()

    def _accepted(self, equal: Equal | None) -> Equal | None:
        if equal is None or self.task.trust(equal.source, equal.target) is Trust.NONE:
            return None
        self.task.proofs.pair(equal.source, equal.target)
        return equal

    def _is_over(self) -> bool:
        """Nothing is left, or all is lost. Asked with the lock held."""
        if self._failure is not None:
            return True
        return not (self._walking or self._copying or self._asked or self._touched or self._plain or self._files)

    def _end_workers(self) -> None:
        while True:
            with self._changed:
                if not self._workers:
                    return
                workers, self._workers = self._workers, []
            for thread in workers:
                thread.join()

    def _work(self, mirror: Mirror) -> None:
        while True:
            with self._changed:
                while True:
                    if self._is_over():
                        self._changed.notify_all()
                        return
                    if self._files:
                        path, _ = self._files.popitem()
                        is_file = True
                        self._copying += 1
                        break
                    if self._walking < self._walkers and (self._touched or (self._plain and not self._processes)):
                        touched = bool(self._touched)
                        path, _ = (self._touched or self._plain).popitem()
                        self._running[path] = None
                        is_file = False
                        self._walking += 1
                        break
                    self._changed.wait()
            try:
                if self.task.stop.is_set():
                    raise Stopped
                if is_file:
                    mirror.file(path)
                else:
                    mirror.directory(path, touched=touched)
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                with self._changed:
                    if is_file:
                        self._copying -= 1
                    else:
                        self._walking -= 1
                        again = self._running.pop(path)
                        if again is not None:
                            self._queue(path, touched=again)
                        self._seen += 1
                        self._look_at_pace()
                    self._changed.notify_all()

    def _look_at_pace(self) -> None:
        if self._wanted and self._seen >= WORTH_HELP <= len(self._plain):
            self._processes, self._wanted = self._wanted, 0
            for _ in range(self._processes):
                self._begin(self._use_process)
        wall, cpu = self._pace
        now = time.perf_counter()
        if now - wall < PACE:
            return
        used = time.process_time()
        share = (used - cpu) / (now - wall)
        self._pace = (now, used)
        if share < IDLE and len(self._touched) + len(self._plain) > self._walkers < self.threads:
            self._walkers += 1
            self._start_worker()
        elif share > BUSY and self._walkers > 1:
            self._walkers -= 1
