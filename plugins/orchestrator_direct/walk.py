"""The way to a directory of a tree, step by step, so that no symlink below the root leads elsewhere (open(2))."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSAGE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Refused(Exception):
    """A symlink stands where a directory should; its path."""

    def __init__(self, path: bytes) -> None:
        self.path = path


def open_directory(root: bytes, names: Sequence[bytes], *, follows: bool = False) -> int:
    """A descriptor, for looking things up only, of a directory below `root`, which may be a link itself: the user has
    said so. `follows`: so may all others.

    OSError as from open(2), Refused where a symlink is on the way.
    """
    fd = os.open(root, PASSAGE)
    flags = PASSAGE if follows else PASSAGE | os.O_NOFOLLOW
    for count, name in enumerate(names, 1):
        try:
            inner = os.open(name, flags, dir_fd=fd)
        except NotADirectoryError:
            if _is_link(name, fd):
                raise Refused(os.path.join(root, *names[:count])) from None
            raise
        finally:
            os.close(fd)
        fd = inner
    return fd


def _is_link(name: bytes, directory: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False
