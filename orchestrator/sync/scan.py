"""The entries of a directory tree right now, as paths relative to a source."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator.descent import open_directory, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def is_there(path: bytes, source: bytes = b"") -> bool:
    """Whether an absolute path is a directory, if it ends with a slash, and else something that is none.

    Its directory is opened as `descent.opened` does: below `source` (a slash at its end) no link is followed, elsewhere
    only those of root and of our own user. Of a name that is longer than the kernel takes nobody can tell: it counts as
    there.
    """
    directory, _, name = path.rstrip(b"/").rpartition(b"/")
    try:
        place = open_directory(directory + b"/", (source,) if source else ())
        try:
            found = os.stat(name or b".", dir_fd=place, follow_symlinks=False)
        finally:
            os.close(place)
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
