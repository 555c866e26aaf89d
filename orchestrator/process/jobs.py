"""Runs one function in a thread of its own.

There is no pool: as many jobs run as the limits of spec 3.5 allow, and an idle daemon has no threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.errors import fault, trace
from orchestrator.process.child import EXIT_NOT_EXECUTED

if TYPE_CHECKING:
    from orchestrator.masterloop import LoopLike

Job = Callable[[threading.Event], int]
"""Its result is the exit code. The event is set when it should come to an end."""


class Trouble(NamedTuple):
    """Why a job has failed: in one line, and Python's traceback."""

    text: str
    trace: str = ""


def name_of(job: Job) -> str:
    return getattr(job, "__qualname__", None) or type(job).__qualname__


def start_job(
    job: Job, stop: threading.Event, loop: LoopLike, ended: Callable[[int, Trouble | None], None]
) -> threading.Thread:
    """Begin `job(stop)`. `ended(exit_code, trouble)` comes through the loop, once the thread is as good as over.

    A job that raises, or returns anything but a number from 0 to 255, ends with 255; `trouble` says how. Raises
    RuntimeError where there are no more threads to be had.
    """

    def work() -> None:
        code, trouble = _run(job, stop)
        loop.soon_threadsafe(lambda: ended(code, trouble))

    thread = threading.Thread(target=work, daemon=True, name=f"job {name_of(job)}")
    thread.start()
    return thread


def _run(job: Job, stop: threading.Event) -> tuple[int, Trouble | None]:
    """A job's exit code, and what to say where it failed. Catches all: a thread's exception goes nowhere."""
    try:
        code = job(stop)
        # True and False are ints to Python, and who returns one means something else
        if not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= 255:
            raise TypeError(f"a job must return an exit code, a number from 0 to 255, not {code!r}")
        return int(code), None
    except BaseException as error:
        return EXIT_NOT_EXECUTED, Trouble(fault(error, getattr(job, "__module__", None) or ""), trace(error))
