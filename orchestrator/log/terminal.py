"""The terminal that the daemon was started from, or systemd's journal in its place."""

from __future__ import annotations

import os
import select
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.log.system import priority_of
from orchestrator.logic.message import to_bytes

if TYPE_CHECKING:
    from orchestrator.clock import Clock


class Terminal:
    """A sink: errors go to stderr, all else to stdout."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, category: str, text: str) -> None:
        stamp = _time_of_day(int(self._clock.wall()))
        _say(2 if category == "Error" else 1, category, to_bytes(f"{stamp} {category}: {text}\n"))


def before_startup(category: str, text: str) -> None:
    """A sink for what is said before anybody knows where it is to go: stderr, without a time."""
    _say(2, category, to_bytes(f"{category}: {text}\n"))


def _say(fd: int, category: str, message: bytes) -> None:
    if _is_journal(fd):
        # sd-daemon(3): what stands in front of each line is its priority, and is not shown
        mark = b"<%d>" % priority_of(category)
        message = b"".join(mark + line for line in message.splitlines(keepends=True))
    _write(fd, message)


def _is_journal(fd: int) -> bool:
    """Whether systemd has connected it to the journal: systemd.exec(5), JOURNAL_STREAM."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        stream = os.fstat(fd)
    except OSError:
        return False
    return named == f"{stream.st_dev}:{stream.st_ino}"


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
