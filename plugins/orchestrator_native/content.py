"""Do two files hold the same? Read on both sides, to the first byte that differs; holes of both are passed over.

Both are opened so that neither a symlink nor a FIFO in the place of a file does harm.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator_native.data import segments
from orchestrator_native.report import Stopped, Vanished
from orchestrator_native.trees import ELSEWHERE

if TYPE_CHECKING:
    import threading

    from orchestrator_native.entry import Entry

BLOCK = 1 << 20

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""O_NONBLOCK: a FIFO may have taken the file's place."""


def open_source(entry: Entry) -> int:
    """The source's file. Raises Vanished where it is gone or has become something else, OSError."""
    try:
        return os.open(entry.name, FILE, dir_fd=entry.source)
    except OSError as error:
        if error.errno in ELSEWHERE:
            raise Vanished from error
        raise


def is_same_content(entry: Entry, stop: threading.Event) -> bool:
    """Of two regular files. False, too, where the target's cannot be read. Raises as `open_source`, and Stopped."""
    source = open_source(entry)
    try:
        try:
            target = os.open(entry.name, FILE, dir_fd=entry.target)
        except OSError as error:
            if error.errno in ELSEWHERE or error.errno in (errno.EACCES, errno.EPERM):
                return False
            raise
        try:
            return is_same_data(source, target, stop)
        finally:
            os.close(target)
    finally:
        os.close(source)


def is_same_data(source: int, target: int, stop: threading.Event) -> bool:
    """Of two open files. False where the target's is no regular file.

    Raises Vanished where the source's is none, OSError, and Stopped.
    """
    here, there = os.fstat(source), os.fstat(target)
    if not stat.S_ISREG(here.st_mode):
        raise Vanished
    if not stat.S_ISREG(there.st_mode) or here.st_size != there.st_size:
        return False
    size = here.st_size
    if min(here.st_blocks, there.st_blocks) * 512 >= size:
        return _is_same_part(source, target, 0, size, stop)
    return all(
        _is_same_part(source, target, start, end, stop) for fd in (source, target) for start, end in segments(fd, size)
    )


def _is_same_part(source: int, target: int, at: int, end: int, stop: threading.Event) -> bool:
    while at < end:
        if stop.is_set():
            raise Stopped
        length = min(BLOCK, end - at)
        mine = os.pread(source, length, at)
        if not mine or mine != os.pread(target, len(mine), at):
            return False
        at += len(mine)
    return True
