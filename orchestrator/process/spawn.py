"""Starts one program.

posix_spawn(3) does not copy the parent, however large it is.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import stat
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.ownfiles import open_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PIPE = 1 << 20
"""Bytes. The most that an unprivileged process may give a pipe by default (pipe(7)): a long list
then goes out in sixteen times fewer turns of the loop than with the usual 64 kB."""

_USUAL_PIPE = 65536
"""Bytes that a pipe takes as it is made."""

_DUP2 = os.POSIX_SPAWN_DUP2

_libc = ctypes.CDLL(None)
_CLOSE_RANGE = 436  # the number of close_range(2) everywhere; glibc has a function for it since 2.34
_CLOEXEC = 4

_IGNORED = {signal.SIGPIPE, signal.SIGXFSZ}
"""Signals that Python ignores, and a child would go on to ignore."""

_DEFAULT = _IGNORED | {
    number for number in signal.valid_signals() if signal.getsignal(number) not in (signal.SIG_IGN, None)
}
"""Signals that a child does not ignore. Of each other one posix_spawn(3) has to find out in the child whether it is
ignored, as by nohup(1), and goes on to be."""


class Started(NamedTuple):
    """A program that runs, and our ends of its pipes, -1 where it has none.

    `feed` leads to its stdin, `stderr` comes from its stderr; `on` is where that would have gone.
    """

    pid: int
    feed: int
    stderr: int
    on: int


def start_program(
    argv: Sequence[bytes],
    env: Mapping[bytes, bytes] | Mapping[str, str] | None,
    ours: Mapping[bytes, bytes],
    *,
    input_size: int | None,
    keeps_stderr: bool,
    output: bytes | None,
    own_session: bool,
) -> Started:
    """Raises OSError, ValueError or MemoryError where it cannot be started; nothing is left open then.

    `env` None: `ours`, as our own environment is. `input_size` in bytes, None: it has our stdin. `output`: a file
    that its stdout and stderr are appended to, None: it has ours.
    """
    theirs: list[int] = []  # descriptors that the child gets, and its end of pipes
    kept: list[int] = []  # and those that stay with us, if there is a child
    places: list[tuple[int, int, int]] = []  # where the child finds what it gets
    feed = stderr = on = -1
    try:
        out = None if output is None else _open_output(output)
        if out is not None:
            theirs.append(out)
            places += (_DUP2, out, 1), (_DUP2, out, 2)
        if input_size is not None:
            end, feed = os.pipe2(os.O_CLOEXEC)
            theirs.append(end)
            kept.append(feed)
            places.append((_DUP2, end, 0))
            os.set_blocking(feed, False)
            if input_size > _USUAL_PIPE:
                _enlarge(feed, input_size)
        if keeps_stderr:
            stderr, end = os.pipe2(os.O_CLOEXEC)
            theirs.append(end)
            kept.append(stderr)
            places.append((_DUP2, end, 2))
            os.set_blocking(stderr, False)
            on = os.dup(2) if out is None else _open_again(out)
            kept.append(on)
        _keep_descriptors()
        pid = os.posix_spawnp(
            _program(argv, env),
            list(argv),
            ours if env is None else env,
            file_actions=places,
            setsigdef=_DEFAULT,
            setsid=own_session,
        )
    except BaseException:
        for fd in kept:
            os.close(fd)
        raise
    finally:
        for fd in theirs:
            os.close(fd)
    return Started(pid, feed, stderr, on)


def _open_output(path: bytes) -> int | None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        fd = open_file(path, flags | os.O_NONBLOCK)  # a FIFO that nobody reads would be waited for
    except OSError:
        return None  # the log itself says when its file can't be written
    os.set_blocking(fd, True)
    return fd


def _open_again(fd: int) -> int:
    """For ourselves. Of a FIFO an open file of our own: the child may wait until it is emptied, we must not."""
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return os.dup(fd)
    return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _program(argv: Sequence[bytes], env: Mapping[bytes, bytes] | Mapping[str, str] | None) -> bytes:
    """The program to be executed: a name without a slash is looked for in the PATH of the child."""
    if not argv or not argv[0]:
        raise ValueError("nothing to execute")
    program = argv[0]
    if env is None or b"/" in program:
        return program  # in our own PATH
    path_of_child = {os.fsdecode(key): os.fsdecode(value) for key, value in env.items()}
    for directory in os.get_exec_path(path_of_child):
        path = os.path.join(os.fsencode(directory), program)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _keep_descriptors() -> None:
    """Nothing but the standard descriptors goes on to children: Lua's io.open lets its files be inherited."""
    if _libc.syscall(_CLOSE_RANGE, 3, 0xFFFFFFFF, _CLOEXEC) == 0:
        return
    for name in os.listdir("/proc/self/fd"):  # before Linux 5.11
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            pass  # that of the listing itself


def _enlarge(pipe: int, size: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, min(size, _PIPE))
    except OSError:
        pass  # over the user's limit of pipe memory: it goes out in smaller pieces
