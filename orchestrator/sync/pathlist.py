"""Files with lists of paths, for programs that are given them that way."""

from __future__ import annotations

import contextlib
import os
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from orchestrator.ownfiles import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

_NAME: Final = re.compile(r"lsyncd-paths-(\d+)-(\d+)-")
"""Of a list: where the pid counts of who made it, and that pid."""


_makes_none: Final[ContextVar[bool]] = ContextVar("makes_none", default=False)


@contextlib.contextmanager
def lists_not_made() -> Iterator[None]:
    """Within it `write_list` gives a name and makes nothing: who only looks at a config leaves no trace."""
    before = _makes_none.set(True)
    try:
        yield
    finally:
        _makes_none.reset(before)


def write_list(paths: Iterable[bytes], separator: bytes = b"\0") -> bytes:
    """A new file, readable for us alone, with the paths, a separator after each. Raises OSError."""
    import tempfile

    directory = temporary_directory()
    if _makes_none.get():
        return os.path.join(os.fsencode(directory), b"lsyncd-paths-XXXXXXXX")
    fd, name = tempfile.mkstemp(prefix=f"lsyncd-paths-{_pid_namespace()}-{os.getpid()}-", dir=directory)
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


def remove_lists(living: Callable[[], Container[int]]) -> None:
    """Remove what daemons that were killed have left of their lists, whichever they were.

    `living()`: the pids of daemons that still run, or something that they have started. Asked when the lists are
    known, and only if there are any: who makes one later is none of those that were asked about.
    """
    directory, here = temporary_directory(), _pid_namespace()
    try:
        names = os.listdir(directory)
    except OSError:
        return
    made = [(os.path.join(directory, name), match) for name in names if (match := _NAME.match(name))]
    lists = [(path, int(match[2])) for path, match in made if int(match[1]) == here and _is_ours(path)]
    if lists:
        alive = living()
        for path, pid in lists:
            if pid not in alive:
                with contextlib.suppress(OSError):  # a file system that is read-only
                    remove_list(os.fsencode(path))


def _is_ours(path: str) -> bool:
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:  # removed meanwhile
        return False


def _pid_namespace() -> int:
    """Pids of another container say nothing here, though it may share this directory (pid_namespaces(7))."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0
