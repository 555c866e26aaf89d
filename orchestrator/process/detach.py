"""Becoming a daemon (spec 1.3), and sane standard descriptors for any process."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

from orchestrator.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable

_PARENTS_PATIENCE = 5000
"""Milliseconds that a parent gets to announce its child; somebody may have stopped it."""


def fill_standard_descriptors() -> None:
    """Open /dev/null where stdin, stdout or stderr is closed.

    Else the next file opened would get its number, and messages would be written into it. To be
    called before anything is opened.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is the one that is missing.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def detach(before: Callable[[], None], announce: Callable[[int], None] | None = None) -> None:
    """Fork; returns in the child, which has its own session, / as its directory and no terminal.

    The parent does not return: it exits with 0 as soon as the child is ready, so that what starts
    services finds the pid file written; or, where the child ends before that, with the child's status.
    `before` is called in the child while it still has the terminal. Everything that must belong to the daemon's
    own process is done there (the pid file); what it raises comes out of here, in the child.
    `announce` is called in the parent with the child's process id before it exits, and the child waits for that exit.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # else both processes write it
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        os.close(ready_write)
        os._exit(_await(pid, ready_read, announce))
    os.close(ready_read)
    try:
        before()
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        if null > 2:
            os.close(null)
        try:
            os.write(ready_write, b"1")
        except BrokenPipeError:
            pass  # somebody killed the parent; the daemon is none the worse
        else:
            if announce is not None:
                _wait_for_reader_to_go(ready_write)
    finally:
        os.close(ready_write)


def _await(pid: int, ready: int, announce: Callable[[int], None] | None) -> int:
    """The parent's exit status. Never an exception: it must not run the child's part of the program."""
    try:
        if os.read(ready, 1):
            if announce is not None:
                announce(pid)
            return 0
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code
    except BaseException:
        return EXIT_FAILURE


def _wait_for_reader_to_go(pipe: int) -> None:
    """poll(2): the other end of a pipe is closed where writing to it is an error."""
    poll = select.poll()
    poll.register(pipe, 0)
    poll.poll(_PARENTS_PATIENCE)
