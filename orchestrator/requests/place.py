"""Where the control socket is when no setting says so: in a directory of root's, or of the daemon's user."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Final

from orchestrator.process.privatedir import is_safe
from orchestrator.requests.listener import remove_stale

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = "/run"

NAME: Final = "lsyncd"

_SOCKET: Final = re.compile(r"([0-9]{1,10})\.sock")


def directory_of(user: int) -> str:
    """The directory of a user's sockets. Raises OSError where there is none to be."""
    if user == 0:
        return f"{RUN}/{NAME}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(runtime):
        raise OSError(errno.ENOENT, "XDG_RUNTIME_DIR is not set")
    return f"{runtime}/{NAME}"


def make_place() -> str:
    """The path for this process's socket. Makes the directory, and removes from it what daemons left that were killed.

    Raises OSError where nobody but us and root can be trusted with the directory, or it cannot be made.
    """
    user = os.geteuid()
    directory = directory_of(user)
    if not is_safe(os.path.realpath(os.path.dirname(directory))):
        raise OSError(errno.EPERM, f"others may write to {os.path.dirname(directory)}, or to a directory above it")
    is_new = False
    mode = 0o755 if user == 0 else 0o700
    try:
        os.mkdir(directory, mode)
        is_new = True
    except FileExistsError:
        pass
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if is_new:
            os.fchmod(descriptor, mode)  # whatever the umask
        status = os.fstat(descriptor)
        if status.st_uid != user or stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
            raise OSError(errno.EPERM, f"{directory} belongs to somebody else, or may be written by others")
    finally:
        os.close(descriptor)
    remove_leftovers(directory)
    return f"{directory}/{os.getpid()}.sock"


def sockets_in(directory: str) -> Iterator[tuple[int, str]]:
    """The process id in the name of each socket, and its path. A directory that cannot be read has none."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        found = _SOCKET.fullmatch(name)
        if found:
            yield int(found[1]), f"{directory}/{name}"


def remove_leftovers(directory: str) -> None:
    """Remove the sockets of processes that are gone, where nobody answers. `directory`: which only we may write."""
    for pid, path in sockets_in(directory):
        if _is_gone(pid):
            try:
                remove_stale(os.fsencode(path))
            except OSError:
                pass  # another daemon is as tidy


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
