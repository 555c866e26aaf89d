"""The first process of a container: it buries what has lost its parent, and passes signals on (kill(2), wait(2)).

The kernel gives it the orphans of all others, and holds back what it does not ask for. A daemon that is the first
itself cannot wait for any child there is: what a config or a plugin has started by itself is theirs to wait for, and
nothing tells the two apart. So it is the second, whose orphans go to the first.
"""

from __future__ import annotations

import os
import signal

FIRST = 1


def become_second() -> None:
    """Returns in a new process if this is the first one, which stays behind and exits with the other's status."""
    if os.getpid() != FIRST:
        return
    every = signal.valid_signals()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, every)
    child = os.fork()
    if child:
        try:
            _serve(child, every)
        finally:
            os._exit(255)  # whatever happens: the rest of the program is the other's
    # a group of its own, and the terminal's attention: else Ctrl-C came twice, by the terminal and passed on
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
            _pass_on(child, signum)
            continue
        while (ended := _bury()) is not None:
            pid, status = ended
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _pass_on(child: int, signum: int) -> None:
    try:
        os.kill(child, signum)
    except ProcessLookupError:
        pass  # it has just ended: that is the next thing to hear of


def _bury() -> tuple[int, int] | None:
    """One that has ended, with its status; None where there is none left."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
