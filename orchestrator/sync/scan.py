"""The entries of a directory tree right now, as paths relative to a source."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator.descent import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def is_there(path: bytes) -> bool:
    """Whether an absolute path is a directory, if it ends with a slash, and else something that is none.

    Of one that is longer than the kernel takes nobody can tell: it counts as there.
    """
    try:
        found = os.lstat(path.rstrip(b"/"))
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return stat.S_ISDIR(found.st_mode) == path.endswith(b"/")


def entries_below(source: bytes, path: bytes, is_excluded: Callable[[bytes], bool]) -> Iterator[bytes]:
    """Every path below the directory `path` (leading slash; directories end with one), parents first.

    Symlinks are not followed, nor those that take a directory's place meanwhile. What vanishes or can't be read then is
    passed over: its deletion, or the change of its rights, is an event of its own.
    """
    pending = [path]
    while pending:
        directory = pending.pop()
        try:
            with opened(source + directory[1:], (source,)) as way, os.scandir(way) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            continue
        for name, is_dir in found:
            below = directory + name + b"/" if is_dir else directory + name
            if is_excluded(below):
                continue
            yield below
            if is_dir:
                pending.append(below)
