"""The log file, a sink of loguru's log.

loguru's own file sink is for files on a disk that is never full. It makes directories that are missing, follows links
of anybody, waits for the reader of a FIFO, closes the old file before it has the new one (which it can't have while no
descriptor is left), and keeps in a buffer what it could not write, so that a later line comes out torn.
"""

from __future__ import annotations

import os
import stat
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.errors import LogfileError
from orchestrator.log.room import has_room
from orchestrator.logic.message import to_bytes
from orchestrator.logic.text import counted
from orchestrator.ownfiles import open_file

if TYPE_CHECKING:
    from loguru import Message

    from orchestrator.clock import Clock

_FIFO_TIMEOUT = 100
"""Milliseconds that the reader of a FIFO gets to make room, unless he had them for the message before."""


class LogFile:
    """Follows logrotate: the file is opened again when its path leads to another file, or to none.

    The descriptor stays open between messages, so that the log goes on when no descriptors are left. A full disk must
    not end the daemon, nor a full FIFO block it: lost messages are counted, and their number is the first line that is
    written when there is room again.
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

    def __call__(self, message: Message) -> None:
        stamp = _date(int(self._clock.wall()))
        line = b"%s %s" % (stamp, to_bytes(message))
        if self._lost:
            warning = f"Warn: {counted(self._lost, 'message')} could not be written to this file: {self._trouble}"
            line = b"%s %s\n%s" % (stamp, to_bytes(warning), line)
        if self._torn:
            line = b"\n" + line
        try:
            self._reopen_if_moved()
            self._write(line)
        except OSError as error:
            self._lost += 1
            self._trouble = error.strerror or str(error)
        else:
            self._lost = 0

    def take_over(self, old: LogFile) -> None:
        """Take over how many messages were lost, from the object that wrote to the same file before."""
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

    def _reopen_if_moved(self) -> None:
        if self._fd >= 0:
            try:
                there, here = os.stat(self.path), os.fstat(self._fd)
            except FileNotFoundError:
                pass
            else:
                if there.st_ino == here.st_ino and there.st_dev == here.st_dev:
                    return
        self._open()

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            try:
                written = os.write(self._fd, view)
            except BlockingIOError:  # a FIFO whose reader does not read: it gets a moment, once
                if self._lost or not has_room(self._fd, _FIFO_TIMEOUT):
                    raise
                continue
            self._torn = written > 0 and view[written - 1] != 0x0A
            view = view[written:]


# Of one second there are many messages.
@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    # asctime has the form of C's ctime, in English whatever the locale.
    return time.asctime(time.localtime(second)).encode("ascii")
