"""The terminal that the daemon was started from, or systemd's journal in its place."""

from __future__ import annotations

import os
import shutil
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.log.room import has_room
from orchestrator.log.system import priority_of
from orchestrator.logic.message import to_bytes

if TYPE_CHECKING:
    from loguru import Message

    from orchestrator.clock import Clock


_ERASE = b"\r\x1b[K"
"""To the beginning of the line, and everything away (ECMA-48: CR, EL)."""

_TERMINAL_TIMEOUT = 1000
"""Milliseconds that a terminal gets to make room."""


class Terminal:
    """A sink: errors go to stderr, all else to stdout."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shows_progress = False

    def __call__(self, message: Message) -> None:
        if self._shows_progress:
            self.show("")
        category = message.record["level"].name
        stamp = _time_of_day(int(self._clock.wall()))
        _write_line(2 if category == "Error" else 1, category, to_bytes(f"{stamp} {message}"))

    def show(self, text: str) -> None:
        """Write a line on stdout that the next one, whoever writes it, takes the place of; empty: take it away."""
        if not text and not self._shows_progress:
            return
        if text:
            from orchestrator.logic.words import cut  # late: few daemons need it

            text = cut(text, shutil.get_terminal_size().columns - 1)
        _write(1, _ERASE + to_bytes(text) + b"\r")
        self._shows_progress = bool(text)


def before_startup(message: Message) -> None:
    """A sink for the time before the settings are known: stderr, without a time."""
    _write_line(2, message.record["level"].name, to_bytes(message))


def _write_line(fd: int, category: str, line: bytes) -> None:
    if _is_journal(fd):
        # sd-daemon(3): what stands in front of each line is its priority, and is not shown
        mark = b"<%d>" % priority_of(category)
        line = b"".join(mark + part for part in line.splitlines(keepends=True))
    _write(fd, line)


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
    """Write without Python's buffers, which a crash would lose. A terminal that is gone is no reason to stop."""
    stream = sys.stdout if fd == 1 else sys.stderr
    try:
        if stream is not None:
            stream.flush()  # Lua's or a plugin's print came first
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:  # whoever shares the terminal made it non-blocking
                if not has_room(fd, _TERMINAL_TIMEOUT):
                    return
    except (OSError, ValueError):
        pass
