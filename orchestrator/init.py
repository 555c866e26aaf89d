"""The init process of a container: it reaps adopted children, and forwards signals (kill(2), wait(2)).

The kernel makes process 1 the parent of all orphans, and drops signals that it has no handler for. A daemon that is
process 1 itself cannot wait for just any child: a config or a plugin waits for those that it has started by itself,
and an orphan looks the same. So the daemon is a child of process 1, which adopts its orphans.
"""

from __future__ import annotations

import os
import signal

FIRST = 1


def become_second() -> None:
    """Where this is process 1, return in a new child; process 1 never returns, and exits with the child's status."""
    if os.getpid() != FIRST:
        return
    every = signal.valid_signals()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, every)
    child = os.fork()
    if child:
        try:
            _serve(child, every)
        finally:
            os._exit(255)  # in any case: only the child runs the rest of the program
    # a process group of its own in the foreground: else Ctrl-C came twice, from the terminal and forwarded
    os.setpgid(0, 0)
    try:
        os.tcsetpgrp(0, os.getpid())
    except OSError:
        pass  # no terminal
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(child: int, every: set[signal.Signals]) -> None:
    while True:
        signum = signal.sigwait(every)
        if signum != signal.SIGCHLD:
            _forward(child, signum)
            continue
        while (ended := _reap()) is not None:
            pid, status = ended
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _forward(child: int, signum: int) -> None:
    try:
        os.kill(child, signum)
    except ProcessLookupError:
        pass  # it has just ended: SIGCHLD comes next


def _reap() -> tuple[int, int] | None:
    """Process id and wait status of a child that has ended; None where there is none left."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
