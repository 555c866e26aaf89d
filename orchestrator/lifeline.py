"""Programs that the daemon has started end with it, however it ends: also by SIGKILL and the kernel's OOM killer.

Else a transfer of a dead daemon races those of the next one, which may be the original lsyncd. Alternatives
considered:

* prctl(2), PR_SET_PDEATHSIG: has to be called in the child before it executes its program, which posix_spawn(3) does
  not do, and a fork copies the parent. A wrapper (setpriv --pdeathsig) costs each transfer another execution, hides
  that a program does not exist, and is not installed everywhere; the signal comes when the thread that started the
  child ends, is lost where a program is setuid, and reaches none of the child's own children.
* The process group: in the foreground it is the terminal's or the service's, with other programs in it; background
  programs that a command of a config has started on purpose are in it as well.
* A process that watches the daemon by a pipe, gets the process ids of running programs by it, and ends just those and
  their descendants. This one.

Several threads may start programs, so each message is one write to the pipe. There is one pipe for each daemon
process, hence the module's own state.
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
"""Its name in process lists, before the daemon's session: not the daemon's name, by which daemons are searched for."""

_pipe = -1


def open_lifeline() -> None:
    """Start the watcher. To be called in the daemon's final process. Without a shell there is no watcher."""
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
            setsid=True,  # out of reach of Ctrl-C
        )
    except OSError:
        os.close(writing)
    else:
        os.set_blocking(writing, False)  # a stopped watcher must not block the daemon
        _pipe = writing
    finally:
        for fd in fds:
            os.close(fd)


def close_lifeline() -> None:
    """End all programs that still run."""
    global _pipe
    if _pipe >= 0:
        os.close(_pipe)
        _pipe = -1


def begins(pid: int) -> None:
    """Report a program that was started: it ends with the daemon."""
    _send(b"+%d\n" % pid)


def ended(pid: int) -> None:
    """Report that a program has ended and was waited for."""
    _send(b"-%d\n" % pid)


@contextmanager
def ends_with_daemon(pid: int) -> Iterator[None]:
    """For a program that a job starts by itself: while the block runs, it ends with the daemon, however that ends.

    The block must wait for the program.
    """
    begins(pid)
    try:
        yield
    finally:
        ended(pid)


def _send(message: bytes) -> None:
    if _pipe >= 0:
        try:
            os.write(_pipe, message)
        except OSError:
            pass  # the watcher was killed or stopped: all goes on as without it
