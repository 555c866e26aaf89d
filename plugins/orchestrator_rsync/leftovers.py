"""What an rsync that was killed has left on a target of this machine: `.NAME.XXXXXX`, half a file (receiver.c).

The directories of the target may belong to somebody else: they are walked by descriptors, and no link is followed.
Only what rsync itself can have made in that run is removed: a file of ours, for nobody else to read, changed since the
run began, under a name that the source does not have.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from orchestrator_rsync.filterlist import temporary_lead

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIX = 6
"""Letters and digits that mkstemp(3) puts at the end."""


def remove_leftovers(target: bytes, source: bytes, paths: Iterable[bytes], since: float) -> None:
    """Of a run over these files (leading slash) that began at `since`, in seconds since 1970."""
    by_directory: dict[bytes, set[bytes]] = {}
    for path in paths:
        directory, _, name = path[1:].rpartition(b"/")
        if lead := temporary_lead(name):
            by_directory.setdefault(directory, set()).add(lead)
    for directory, leads in by_directory.items():
        try:
            descriptor = _opened(target, directory)
        except OSError:
            continue  # it never came so far
        try:
            _remove(descriptor, os.path.join(source, directory), leads, since)
        finally:
            os.close(descriptor)


def _opened(target: bytes, directory: bytes) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY
    descriptor = os.open(target, flags)
    for name in filter(None, directory.split(b"/")):
        above = descriptor
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


def _remove(descriptor: int, source: bytes, leads: set[bytes], since: float) -> None:
    try:
        names = [os.fsencode(name) for name in os.listdir(descriptor)]
    except OSError:
        return
    for name in names:
        if name[:-SUFFIX] not in leads or not name[-SUFFIX:].isalnum() or os.path.lexists(os.path.join(source, name)):
            continue
        try:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if (
                stat.S_ISREG(found.st_mode)
                and not found.st_mode & 0o077
                and found.st_uid == os.geteuid()
                and found.st_ctime >= since
            ):
                os.unlink(name, dir_fd=descriptor)
        except OSError:
            continue  # gone meanwhile, or not ours to remove
