"""How large a tree is, and where in it most lies: one look at each entry, in a thread (see logic/division.py).

The count decides nothing but how work is shared out, so a tree that changes meanwhile, even by the hand of somebody
hostile, does no harm. No link is followed.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from orchestrator.logic.division import Counted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.logic.division import Directory


def count_tree(source: bytes, excludes: Callable[[bytes], bool] | None, stop: threading.Event) -> Directory | None:
    """The tree below an absolute path with a slash at its end; None: it was stopped.

    `excludes(path)`: whether a path is left out (leading slash; a directory's ends with one). A directory that cannot
    be read counts as empty.
    """
    counted = Counted()
    waiting = [(b"/", b"/")]  # a directory, and where it is counted
    while waiting:
        if stop.is_set():
            return None
        path, place = waiting.pop()
        entries = content = 0
        try:
            with os.scandir(source + path[1:]) as found:
                for entry in found:
                    is_directory = entry.is_dir(follow_symlinks=False)
                    name = path + entry.name + (b"/" if is_directory else b"")
                    if excludes is not None and excludes(name):
                        continue
                    entries += 1
                    if is_directory:
                        waiting.append((name, counted.place_for(place, name)))
                    else:
                        content += _content_of(entry)
        except OSError:
            pass
        counted.add(place, entries, content)
    return counted.tree()


def _content_of(entry: os.DirEntry[bytes]) -> int:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
