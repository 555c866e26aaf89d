"""How many bytes a program has moved, by the kernel's own account of it (proc_pid_io(5)).

Nobody's command line is changed for that. What counts is `wchar`: what has been handed to write(2) and its like, be it
to a file, a pipe or a connection. rsync (to this machine, through ssh, to a daemon), ssh, cp and csync2 each write what
they transfer once, whatever they have read to find that out. The disk's own counters (`write_bytes`) know nothing of a
network, and count whole pages, later.

A transfer is mostly several processes in a row: rsync's own children, or ssh, write the same bytes once more. The
kernel counts the children that a process has waited for as a part of it, but not of its threads, so both shares are
known: the program's own, and all the rest. The greater of the two is what was moved: the program's own where it does
the work itself, the rest where it is a shell, or another wrapper.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST: Final = 16
"""Generations of processes that are looked at."""

MOST: Final = 256
"""Processes of one transfer that are looked at."""


_CHARS: Final = re.compile(rb"^rchar: (\d+)\nwchar: (\d+)$", re.MULTILINE)


class Moved(NamedTuple):
    """`bytes`: that were moved. `activity`: all that was read and written to do it, which grows as long as anything
    goes on: whoever only compares moves nothing, and yet is at work."""

    bytes: int
    activity: int


def moved_by(pid: int) -> Moved | None:
    """How much a running program has moved, with its children.

    None: nobody may know, as where it runs as another user, or the kernel does not count.
    """
    own, whole = _chars(f"/proc/{pid}/task/{pid}/io"), _chars(f"/proc/{pid}/io")
    if own is None or whole is None:
        return None
    below = [chars for child in _below(pid) if (chars := _chars(f"/proc/{child}/io")) is not None]
    rest = whole[1] - own[1] + sum(written for _, written in below)
    return Moved(max(own[1], rest), sum(whole) + sum(map(sum, below)))


def moved_before(pid: int) -> int | None:
    """The bytes that a program has moved which has ended and is not waited for: there is nothing below it any more.
    Asked once for each transfer, so few calls are made."""
    counts = []
    try:
        for path in (f"/proc/{pid}/task/{pid}/io", f"/proc/{pid}/io"):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                counts.append(int(_CHARS.findall(os.read(file, 4096))[0][1]))
            finally:
                os.close(file)
    except (OSError, ValueError, IndexError):
        return None
    own, whole = counts
    return max(own, whole - own)


def _chars(path: str) -> tuple[int, int] | None:
    """Bytes read and written."""
    try:
        with open(path, "rb", buffering=0) as file:
            read, written = _CHARS.findall(file.read(4096))[0]
            return int(read), int(written)
    except (OSError, ValueError, IndexError):
        return None


def _below(pid: int) -> Iterator[int]:
    """The processes that it, or one of its children, has started, and that still run."""
    generation, count = [pid], 0
    for _ in range(DEEPEST):
        generation = [child for parent in generation for child in _children(parent)]
        for child in generation:
            if count >= MOST:
                return
            count += 1
            yield child
        if not generation:
            return


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb", buffering=0) as file:
            return [int(word) for word in file.read(1 << 16).split()]
    except (OSError, ValueError):
        return []
