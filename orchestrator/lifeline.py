"""What the daemon has started ends with it, however that ends: also killed by -9 or for want of memory.

Else a transfer of a daemon that is no more races those of the next one, which may be the original lsyncd. The ways
weighed:

* prctl(2), PR_SET_PDEATHSIG: has to be called in the child before it executes its program, which posix_spawn(3) does
  not do, and a fork copies the parent. A program that does (setpriv --pdeathsig) costs each transfer another
  execution, answers for programs that are not there, and is not everywhere; the signal comes when the thread that
  started the child ends, is lost where a program is setuid, and reaches nothing that it has started.
* The process group: in the foreground it is the terminal's or the service's, with others in it; and what a command
  of a config's has left behind on purpose is in it as well.
* A process that watches the daemon by a pipe, is told what runs, and ends just that and what is below it. This one.

Several threads may start programs, so what is written to the pipe is one write each. One daemon, one pipe: it is the
state of the process, and kept here.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = os.path.join(os.path.dirname(__file__), "lifeline.sh")
_SHELL = "/bin/sh"
_NAME = b"what-ends-with"
"""What it shows as, before the daemon's session: not by the daemon's name, which is looked for to find daemons."""

_pipe = -1


def open_lifeline() -> None:
    """Start the watcher. To be called in the process that is the daemon. Where there is no shell there is none."""
    global _pipe
    if _pipe >= 0:
        return
    reading, writing = os.pipe2(os.O_CLOEXEC)
    fds = [reading]
    try:
        fds += (os.open(_SCRIPT, os.O_RDONLY | os.O_CLOEXEC), os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
        _, script, null = fds
        os.posix_spawn(
            _SHELL,
            [b"sh", b"-c", b". /proc/self/fd/3", _NAME, b"%d" % os.getsid(0)],
            {"PATH": "/usr/bin:/bin"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, fd, at) for fd, at in ((null, 1), (null, 2), (reading, 0), (script, 3))
            ],
            setsid=True,  # Ctrl-C is not for it
        )
    except OSError:
        os.close(writing)
    else:
        os.set_blocking(writing, False)  # one that is stopped must not stop us
        _pipe = writing
    finally:
        for fd in fds:
            os.close(fd)


def close_lifeline() -> None:
    """What still runs ends now."""
    global _pipe
    if _pipe >= 0:
        os.close(_pipe)
        _pipe = -1


def begins(pid: int) -> None:
    """A program that was started: it ends with the daemon."""
    _tell(b"+%d\n" % pid)


def ended(pid: int) -> None:
    """It has ended, and was waited for."""
    _tell(b"-%d\n" % pid)


@contextmanager
def ends_with_daemon(pid: int) -> Iterator[None]:
    """For a program that a job starts by itself: while the block runs, it ends with the daemon, whatever befalls that.

    The block is to wait for it.
    """
    begins(pid)
    try:
        yield
    finally:
        ended(pid)


def _tell(message: bytes) -> None:
    if _pipe >= 0:
        try:
            os.write(_pipe, message)
        except OSError:
            pass  # somebody has killed or stopped it: then all is as without it
