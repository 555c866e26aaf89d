"""The log file."""

from __future__ import annotations

import os
import select
import stat
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.errors import LogfileError
from orchestrator.logic.message import to_bytes
from orchestrator.logic.text import counted
from orchestrator.ownfiles import open_file

if TYPE_CHECKING:
    from orchestrator.clock import Clock

_PATIENCE = 100
"""Milliseconds that the reader of a FIFO gets to make room, unless he had them for the message before."""


class LogFile:
    """A sink. Follows logrotate: opened anew when the name means another file, or none.

    The descriptor is kept rather than taken for each message, so that there is something to write to
    when descriptors have run out. A disk that is full must not end the daemon, nor a FIFO that is full
    stop it: the messages are counted, and the number is the first thing written when there is room again.
    """

    def __init__(self, path: bytes, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._fd = -1
        self._lost = 0
        self._trouble = ""
        self._torn = False
        try:
            self._open()
        except OSError:
            raise LogfileError(f"Cannot open logfile [{os.fsdecode(path)}]!") from None

    def __call__(self, category: str, text: str) -> None:
        stamp = _date(int(self._clock.wall()))
        line = b"%s %s\n" % (stamp, to_bytes(f"{category}: {text}"))
        if self._lost:
            told = f"Warn: {counted(self._lost, 'message')} could not be written to this file: {self._trouble}"
            line = b"%s %s\n%s" % (stamp, to_bytes(told), line)
        if self._torn:
            line = b"\n" + line
        try:
            self._follow()
            self._write(line)
        except OSError as error:
            self._lost += 1
            self._trouble = error.strerror or str(error)
        else:
            self._lost = 0

    def take_over(self, old: LogFile) -> None:
        """What is still to be told of the same file."""
        self._lost, self._trouble, self._torn = old._lost, old._trouble, old._torn

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        # NONBLOCK: opening a FIFO that nobody reads would wait for ever, and so would writing to one
        fd = open_file(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.set_blocking(fd, True)
        self.close()
        self._fd = fd

    def _follow(self) -> None:
        if self._fd >= 0:
            try:
                if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                    return
            except FileNotFoundError:
                pass
        self._open()

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            try:
                written = os.write(self._fd, view)
            except BlockingIOError:  # a FIFO whose reader does not read: it gets a moment, once
                if self._lost or not self._takes_more():
                    raise
                continue
            self._torn = written > 0 and view[written - 1] != 0x0A
            view = view[written:]

    def _takes_more(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(_PATIENCE))


# Of one second there are many messages.
@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    # asctime has the form of C's ctime, in English whatever the locale.
    return time.asctime(time.localtime(second)).encode("ascii")
