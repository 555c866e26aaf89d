"""Files with lists of paths, for the programs that are told of them that way."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NAME: Final = re.compile(r"lsyncd-paths-(\d+)-(\d+)-")
"""Of a list: where the pid counts of who made it, and that pid."""


def write_list(paths: Iterable[bytes], separator: bytes = b"\0") -> bytes:
    """A new file, readable for us alone, with the paths, a separator after each. Raises OSError."""
    import tempfile

    fd, name = tempfile.mkstemp(prefix=f"lsyncd-paths-{_pid_namespace()}-{os.getpid()}-")
    try:
        with open(fd, "wb") as file:
            file.writelines(path + separator for path in paths)
    except BaseException:
        os.unlink(name)
        raise
    return os.fsencode(name)


def remove_list(path: bytes) -> None:
    """Remove a file that `write_list` made; it may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_lists(is_used: Callable[[int], bool]) -> None:
    """Remove what daemons that were killed have left of their lists, whichever they were.

    `is_used(pid)`: whether a daemon with this pid, or something that it has started, still runs.
    """
    import tempfile

    directory = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            made = _NAME.match(name)
            if made is None or int(made[1]) != _pid_namespace() or is_used(int(made[2])):
                continue
            path = os.path.join(directory, name)
            if os.lstat(path).st_uid == os.geteuid():
                remove_list(os.fsencode(path))


def _pid_namespace() -> int:
    """Pids of another container say nothing here, though it may share this directory (pid_namespaces(7))."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0
