"""Files with lists of paths, for the programs that are told of them that way."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX: Final = "lsyncd-paths-%d-"
"""Of a list's name, with the pid of who made it."""


def write_list(paths: Iterable[bytes], separator: bytes = b"\0") -> bytes:
    """A new file, readable for us alone, with the paths, a separator after each. Raises OSError."""
    import tempfile

    fd, name = tempfile.mkstemp(prefix=_PREFIX % os.getpid())
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


def remove_lists_of(pid: int) -> None:
    """Remove what a daemon with this pid, killed by now, has left of its lists."""
    import tempfile

    directory = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(_PREFIX % pid) and os.lstat(os.path.join(directory, name)).st_uid == os.geteuid():
                remove_list(os.fsencode(os.path.join(directory, name)))
