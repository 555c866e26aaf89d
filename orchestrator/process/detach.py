"""Becoming a daemon (spec 1.3), and sane standard descriptors for any process."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from orchestrator.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable


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


def detach(before: Callable[[], None]) -> None:
    """Fork; returns in the child, which has its own session, / as its directory and no terminal.

    The parent does not return: it exits with 0 as soon as the child is ready, so that what starts
    services finds the pid file written; or, where the child ends before that, with the child's status.
    `before` is called in the child while it still has the terminal. Everything that must belong to the daemon's
    own process is done there (the pid file); what it raises comes out of here, in the child.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # else both processes write it
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        os.close(ready_write)
        os._exit(_await(pid, ready_read))
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
    finally:
        os.close(ready_write)


def _await(pid: int, ready: int) -> int:
    """The parent's exit status. Never an exception: it must not run the child's part of the program."""
    try:
        if os.read(ready, 1):
            return 0
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code
    except BaseException:
        return EXIT_FAILURE
