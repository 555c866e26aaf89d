"""The terminal that the daemon was started from."""

from __future__ import annotations

import os
import select
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.logic.message import to_bytes

if TYPE_CHECKING:
    from orchestrator.clock import Clock


class Terminal:
    """A sink: errors go to stderr, all else to stdout."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, category: str, text: str) -> None:
        stamp = _time_of_day(int(self._clock.wall()))
        _write(2 if category == "Error" else 1, to_bytes(f"{stamp} {category}: {text}\n"))


def before_startup(category: str, text: str) -> None:
    """A sink for what is said before anybody knows where it is to go: stderr, without a time."""
    _write(2, to_bytes(f"{category}: {text}\n"))


# Of one second there are many messages.
@lru_cache(maxsize=1)
def _time_of_day(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def _write(fd: int, data: bytes) -> None:
    """Write past Python's buffers, which a crash would lose. A terminal that is gone is no reason to stop."""
    stream = sys.stdout if fd == 1 else sys.stderr
    try:
        if stream is not None:
            stream.flush()  # what Lua's or a plugin's print has put there came first
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:  # whoever shares the terminal made it non-blocking
                if not _takes_more(fd):
                    return
    except (OSError, ValueError):
        pass


def _takes_more(fd: int) -> bool:
    """Whether `fd` takes more within a second."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(1000))
