"""How one program is started."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PIPE = 1 << 20
"""Bytes. The most that an unprivileged process may give a pipe by default (pipe(7)): a long list
then goes out in sixteen times fewer turns of the loop than with the usual 64 kB."""

_libc = ctypes.CDLL(None)
_CLOSE_RANGE = 436  # the number of close_range(2) everywhere; glibc has a function for it since 2.34
_CLOEXEC = 4

_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores, and a child would go on to ignore."""


def _program(argv: Sequence[bytes], env: Mapping[bytes, bytes] | Mapping[str, str] | None) -> bytes:
    """What is to be executed: a name without a slash is looked for in the PATH of the child."""
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


def _pipe(theirs: list[int], ours: list[int], *, reads: bool) -> tuple[int, int]:
    """A pipe: the child's end (`reads`: the reading one) and ours, each noted in its list."""
    read, write = os.pipe2(os.O_CLOEXEC)
    child, parent = (read, write) if reads else (write, read)
    theirs.append(child)
    ours.append(parent)
    return child, parent


def _prepare_feed(fd: int, size: int) -> None:
    os.set_blocking(fd, False)
    if size > 65536:
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, min(size, _PIPE))
        except OSError:
            pass  # over the user's limit of pipe memory: it goes out in smaller pieces
