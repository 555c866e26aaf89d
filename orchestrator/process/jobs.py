"""Runs one function in a thread of its own, or has it done by others.

There is no pool here: as many jobs run as the limits of spec 3.5 allow, and an idle daemon has no threads. An action
whose jobs compute much has them done by few threads of its own (PooledJob).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import wraps
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.errors import fault, trace
from orchestrator.logic.verdict import JobResult
from orchestrator.process.child import EXIT_NOT_EXECUTED

if TYPE_CHECKING:
    from orchestrator.masterloop import LoopLike


class Stop(threading.Event):
    """Set when a job should come to an end. Asked by `is_set` between two pieces of work, it lets the loop go first."""

    def __init__(self, loop: LoopLike) -> None:
        super().__init__()
        self._loop = loop

    def is_set(self) -> bool:
        self._loop.yield_turn()
        return super().is_set()


Job = Callable[[threading.Event], "int | JobResult"]
"""Its result is the exit code, maybe with a cause. The event is set when it should come to an end."""

Ended = Callable[[Callable[[], "int | JobResult"]], None]
"""To be called at the end of a job, with a function that gives its result or raises."""


class PooledJob:
    """A job without a thread of its own. `begin(stop, ended)` has it done by others, and returns at once.

    `ended(result)` is to be called once, by any thread; `result()` gives the exit code, or raises. `begin` raises
    RuntimeError where there are no threads to be had.
    """

    def __init__(self, begin: Callable[[threading.Event, Ended], None]) -> None:
        self.begin = begin
        self.__doc__ = begin.__doc__
        self.__qualname__ = name_of(begin)

    def __call__(self, stop: threading.Event) -> int | JobResult:
        """Do all of it, and wait for the end."""
        results: SimpleQueue[Callable[[], int | JobResult]] = SimpleQueue()
        self.begin(stop, results.put)
        return results.get()()


NICE = 10
"""The priority of what nothing waits for, as of nice(1)."""


def nicely(job: Job) -> Job:
    """The job with a lower priority: of its thread alone, and of the programs that it starts."""

    @wraps(job)
    def work(stop: threading.Event) -> int | JobResult:
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < NICE:  # to raise it is a privilege
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
        return job(stop)

    return work


class Trouble(NamedTuple):
    """Why a job has failed: in one line, and Python's traceback."""

    text: str
    trace: str = ""


def name_of(job: Callable[..., object]) -> str:
    return getattr(job, "__qualname__", None) or type(job).__qualname__


def start_job(
    job: Job, stop: threading.Event, loop: LoopLike, ended: Callable[[JobResult, Trouble | None], None]
) -> threading.Thread | None:
    """Begin `job(stop)`. `ended(result, trouble)` comes through the loop, once the thread is as good as over. Gives
    the thread, if it is the job's own.

    A job that raises, or returns anything but a number from 0 to 255 or a JobResult with one, ends with 255; `trouble`
    says how. Raises RuntimeError where there are no more threads to be had.
    """

    def has_ended(result: Callable[[], int | JobResult]) -> None:
        given, trouble = _run(job, result)
        loop.soon_threadsafe(lambda: ended(given, trouble))

    if isinstance(job, PooledJob):
        job.begin(stop, has_ended)
        return None

    def work() -> None:
        has_ended(lambda: job(stop))

    thread = threading.Thread(target=work, daemon=True, name=f"job {name_of(job)}")
    thread.start()
    return thread


def result_of(given: object) -> JobResult:
    """What a job has returned. Raises TypeError for what is no exit code."""
    result = given if isinstance(given, JobResult) else JobResult(given)  # type: ignore[arg-type]
    code: object = result.exit_code
    # True and False are ints to Python, and who returns one means something else
    if not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= 255:
        raise TypeError(f"a job must return an exit code, a number from 0 to 255, not {code!r}")
    return JobResult(int(code), str(result.cause))


def _run(job: Job, result: Callable[[], int | JobResult]) -> tuple[JobResult, Trouble | None]:
    """A job's result, and what to say where it failed. Catches all: a thread's exception goes nowhere."""
    try:
        return result_of(result()), None
    except BaseException as error:
        trouble = Trouble(fault(error, getattr(job, "__module__", None) or ""), trace(error))
        return JobResult(EXIT_NOT_EXECUTED), trouble
