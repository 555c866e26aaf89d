"""The files there are now, under the names that events report."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from orchestrator.api import Change, Found, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def is_finished(path: bytes) -> bool:
    """Whether no close-write is to be expected for what was just created: all but regular files with one name."""
    try:
        found = os.lstat(path.rstrip(b"/"))
    except OSError:
        return False
    return not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)


def contents(top: bytes, wants: Callable[[bytes], bool]) -> Iterator[Change]:
    """A Create for everything in a directory, but for what lies in unwanted ones. Follows no link below it."""
    stack = [top]
    while stack:
        directory = stack.pop()
        if not wants(directory):
            continue
        try:
            with opened(directory, (top,)) as way, os.scandir(way) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            continue  # gone or closed meanwhile
        for name, is_directory in found:
            path = directory + name
            if is_directory:
                path += b"/"
                stack.append(path)
            yield Found("Create", path)
