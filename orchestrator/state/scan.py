"""The statuses of the entries of a directory of the source, by descriptors, so no link is followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.descent import open_directory
from orchestrator.logic.known import is_directory, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_to_list(source: bytes, path: bytes) -> int:
    """A descriptor of a directory of the source (`path` with slashes at both ends). Raises OSError."""
    place = open_directory(source + path[1:], (source,))
    try:
        return os.open(b".", _LIST, dir_fd=place)
    finally:
        os.close(place)


def entries_of(source: bytes, path: bytes, excludes: Callable[[bytes], bool] | None) -> dict[bytes, bytes] | None:
    """The statuses of all that is in a directory, but for excluded paths, by name; None: it cannot be read."""
    try:
        fd = open_to_list(source, path)
    except OSError:
        return None
    found: dict[bytes, bytes] = {}
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    status = status_of(entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue
                found[os.fsencode(entry.name)] = status
    except OSError:
        return None
    finally:
        os.close(fd)
    if excludes is not None:
        for name, status in list(found.items()):
            if excludes(path + name + b"/" if is_directory(status) else path + name):
                del found[name]
    return found


class Unmoved(NamedTuple):
    """`is_there`: the directory was where it is. `keeps_names`: no entry of it has come or gone."""

    is_there: bool
    keeps_names: bool = False


def unmoved_since(source: bytes, path: bytes, since: int) -> Unmoved:
    """The certainties about a directory of the source (slashes at both ends) since a time, in ns by the coarse clock.

    A rename sets the ctime of the directory and the mtime of the one that it is in. Entries that come and go set the
    former alone. To be asked when the directory has been read: a rename after that does no harm.
    """
    may_have_moved = False  # the directory looked at last
    keeps_names: bool | None = None
    while True:
        try:
            status = os.lstat(source + path[1:].rstrip(b"/"))
        except OSError:
            return Unmoved(False)
        is_same = status.st_mtime_ns < since
        if keeps_names is None:
            keeps_names = is_same
        if may_have_moved and not is_same:
            return Unmoved(False)
        if path == b"/":
            return Unmoved(True, keeps_names)
        may_have_moved = status.st_ctime_ns >= since
        path = path[: path.rindex(b"/", 0, -1) + 1]
