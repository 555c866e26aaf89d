"""The threads that do the work of all runs, a piece at a time, and the limits on them and on helping processes.

Python runs one thread at a time. As long as the file system answers from memory, a second thread that walks only gets
in the way (half as fast, measured), of the daemon's own above all; where it waits for a disk or a server, more threads
mean more questions asked at once. So one piece of walking is done at a time, of all runs together, and one more when
the process mostly waits. Large files are copied by the kernel without Python's lock, side by side; other processes
compare (workerprocess.py).

Runs take turns after each piece. A piece that takes long (a file of gigabytes, a directory with a million new entries,
a server that does not answer) no longer counts after a moment, so nobody waits for it: not even for all threads at
once. There are threads only as long as there are runs.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PACE = 0.05
"""Seconds between two looks at how busy the process is."""

IDLE, BUSY = 0.6, 0.9
"""Shares of time in which the process computes: below, one more walker; above, one less."""

LONG = 0.5
"""Seconds after which a piece of work no longer counts, if others wait."""

LENT = 2.0
"""Seconds after which a run gives a helping process back, if others wait for one."""


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


class Work(Protocol):
    """Work for the pool, of which it is asked for one piece after the other. The pool's lock is held then.

    A piece raises nothing. Once it has said that there is none, it is not asked again before `Pool.offer`.
    """

    def walk(self) -> Callable[[], None] | None:
        """A piece that keeps Python busy."""

    def copy(self) -> Callable[[], None] | None:
        """A piece that mostly waits, for the kernel or for another process."""


class Errand:
    """Work of one piece of walking. `piece` gives what is to be called once the errand is done, if anything."""

    def __init__(self, pool: Pool, piece: Callable[[], Callable[[], None] | None]) -> None:
        self._pool = pool
        self._piece: Callable[[], Callable[[], None] | None] | None = piece

    def walk(self) -> Callable[[], None] | None:
        piece, self._piece = self._piece, None
        return None if piece is None else partial(self._do, piece)

    def copy(self) -> None:
        return None

    def _do(self, piece: Callable[[], Callable[[], None] | None]) -> None:
        then = piece()
        with self._pool.lock:
            self._pool.remove(self)
        if then is not None:
            then()


class _Going:
    """A piece at work."""

    def __init__(self, work: Work, is_walk: bool, since: float) -> None:
        self.work = work
        self.is_walk = is_walk
        self.since = since
        self.counts = True


class Pool:
    """`size`: threads at work at a time. `helpers`: processes that may be lent at a time. `long`: seconds after which a
    piece no longer counts, if others wait.

    Its methods are for those who hold `lock`, but for `add` and where they say so.
    """

    def __init__(self, size: int | None = None, helpers: int | None = None, long: float = LONG) -> None:
        self.size = 2 * processors() if size is None else size
        self.lock = threading.Condition()
        self.threads: list[threading.Thread] = []
        self._ended: list[threading.Thread] = []
        self.helpers = max(1, min(self.size - 1, max(2, processors()))) if helpers is None else helpers
        self._lent = 0
        self._long = long
        self._works: set[Work] = set()
        self._walks: dict[Work, None] = {}
        self._copies: dict[Work, None] = {}
        self._wanting: dict[Work, None] = {}
        self._going: dict[_Going, None] = {}
        self._walkers = 1
        self._idle = 0
        self._watching = 0
        self._pace = (time.perf_counter(), time.process_time())

    def add(self, work: Work, *, wakes: bool = True) -> None:
        """Take on work. `wakes`: see `offer`. Raises RuntimeError where there are no threads to be had."""
        with self.lock:
            if not self._works:
                self._walkers = 1
                self._pace = (time.perf_counter(), time.process_time())
            self._works.add(work)
            try:
                self.offer(work, wakes=wakes)
            except RuntimeError:
                self.remove(work)
                raise

    def has_at_least(self, size: int) -> None:
        """Without the lock: some work asks for so many threads."""
        with self.lock:
            self.size = max(self.size, size)

    def remove(self, work: Work) -> None:
        """It is done, but for the piece that says so."""
        self._works.discard(work)
        for asked in (self._walks, self._copies, self._wanting):
            asked.pop(work, None)
        if not self._works:
            self.lock.notify_all()

    def offer(self, work: Work, *, wakes: bool) -> None:
        """It may have pieces. `wakes`: unlike within the last moments of a piece, whose thread looks for the next one.

        Raises RuntimeError where there is no thread at all.
        """
        self._walks[work] = None
        self._copies[work] = None
        if wakes:
            self._wake()

    def lend(self, work: Work) -> bool:
        """Whether there is another helping process for this work; if not, it is offered once there is."""
        if not self.can_lend:
            self._wanting[work] = None
            return False
        self._lent += 1
        self._wanting.pop(work, None)
        return True

    @property
    def can_lend(self) -> bool:
        return self._lent < self.helpers

    def is_wanted(self, since: float, *, is_used: bool) -> bool:
        """Whether a helping process that was lent at this time (perf_counter) is to be given back."""
        return bool(self._wanting) and (not is_used or time.perf_counter() - since > LENT)

    def give_back(self) -> None:
        """A helping process has ended."""
        self._lent -= 1
        wanting, self._wanting = self._wanting, {}
        for work in wanting:
            self.offer(work, wakes=True)

    def join(self) -> None:
        """Without the lock: wait until the threads have ended, if nobody else has work for them."""
        with self.lock:
            ending = [] if self._works else [*self.threads, *self._ended]
        for thread in ending:
            thread.join()

    def _wake(self) -> None:
        """See to it that somebody looks for a piece. One thread more than pieces: it watches for long ones."""
        if self._idle:
            self.lock.notify()
        elif len(self.threads) <= len(self._going):
            self._ended.clear()
            thread = threading.Thread(target=self._thread, name="native", daemon=True)
            self.threads.append(thread)
            try:
                thread.start()
            except RuntimeError:
                self.threads.remove(thread)
                if not self.threads:
                    raise

    def _thread(self) -> None:
        while True:
            with self.lock:
                taken = self._wait()
                if taken is None:
                    self._leave()
                    return
            piece, going = taken
            is_well = False
            try:
                piece()
                is_well = True
            finally:
                with self.lock:
                    del self._going[going]
                    self._look_at_pace()
                    if not is_well:  # the daemon's end, at most: nobody is there to hear of a run's
                        self._leave()

    def _leave(self) -> None:
        thread = threading.current_thread()
        self.threads.remove(thread)
        self._ended.append(thread)

    def _wait(self) -> tuple[Callable[[], None], _Going] | None:
        while self._works:
            taken = self._take()
            if taken is not None:
                if self._is_more(taken[1]):
                    self._wake()
                return taken
            is_asked = self._is_asked()
            self._idle += 1
            self._watching += is_asked
            self.lock.wait(self._long if is_asked else None)
            self._idle -= 1
            self._watching -= is_asked
            if is_asked:
                self._look_for_long_ones()
                self._look_at_pace()
        return None

    def _is_more(self, going: _Going) -> bool:
        """Whether somebody else may find a piece besides this one, or has to watch how long it takes."""
        work = going.work
        walks = len(self._walks) > (work in self._walks)
        if not going.is_walk or len(self._copies) > (work in self._copies):
            return True
        return not self._watching if walks and self._walking() >= self._walkers else walks or self._walkers > 1

    def _is_asked(self) -> bool:
        return bool(self._walks or self._copies)

    def _take(self) -> tuple[Callable[[], None], _Going] | None:
        counted = [going for going in self._going if going.counts]
        if len(counted) >= self.size:
            return None
        walking = self._walking()
        may_walk = walking < self._walkers
        if may_walk and self.size > 1 and len(counted) - walking >= self.size - 1:
            return self._take_walk() or self._take_copy()  # copying leaves the last place to a walker
        return self._take_copy() or (self._take_walk() if may_walk else None)

    def _take_copy(self) -> tuple[Callable[[], None], _Going] | None:
        while self._copies:
            work = next(iter(self._copies))
            del self._copies[work]
            piece = work.copy()
            if piece is not None:
                self._copies[work] = None
                return piece, self._begin(work, is_walk=False)
        return None

    def _take_walk(self) -> tuple[Callable[[], None], _Going] | None:
        while self._walks:
            work = next(iter(self._walks))
            del self._walks[work]
            piece = work.walk()
            if piece is not None:
                self._walks[work] = None
                return piece, self._begin(work, is_walk=True)
        return None

    def _walking(self) -> int:
        return sum(going.is_walk and going.counts for going in self._going)

    def _begin(self, work: Work, *, is_walk: bool) -> _Going:
        going = _Going(work, is_walk, time.perf_counter())
        self._going[going] = None
        return going

    def _look_for_long_ones(self) -> None:
        now = time.perf_counter()
        for going in self._going:
            going.counts = going.counts and now - going.since < self._long

    def _look_at_pace(self) -> None:
        wall, cpu = self._pace
        now = time.perf_counter()
        if now - wall < PACE:
            return
        used = time.process_time()
        share = (used - cpu) / (now - wall)
        self._pace = (now, used)
        if share < IDLE and self._walks and self._walkers < self.size:
            self._walkers += 1
            self._wake()
        elif share > BUSY and self._walkers > 1:
            self._walkers -= 1
