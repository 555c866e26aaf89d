"""The process's name: `lsyncd` to pgrep -x, pidof and init scripts, the command line as it was called (spec 1.3).

Else it were `python /usr/bin/lsyncd …`. Two things carry a name: the thread's `comm`, and the memory
that the kernel put the arguments into, which is what /proc/PID/cmdline shows. Both are written through
/proc. Against calling prctl and memmove by ctypes: importing ctypes takes longer than all of this, and
an address that is wrong is an error here and a crash there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def set_title(name: bytes, command_line: Sequence[bytes]) -> None:
    """Be called `name`, and show this command line. Where the kernel does not let us, the old ones stay; no error."""
    try:
        _write(b"/proc/self/comm", None, name)
    except OSError:
        pass
    try:
        start, end = _argument_area()
        _write(b"/proc/self/mem", start, _fit(b"\0".join(command_line), end - start))
    except (OSError, ValueError):
        pass


def _argument_area() -> tuple[int, int]:
    """Where the kernel put our arguments: arg_start and arg_end of proc(5), fields 48 and 49."""
    with open("/proc/self/stat", "rb") as file:
        # The second field is the name in parentheses, which may hold spaces and parentheses.
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[45]), int(fields[46])


def _fit(title: bytes, size: int) -> bytes:
    """Exactly `size` bytes. They must end in NUL, or the kernel takes what follows, the environment, for a title."""
    if size < 1:
        raise ValueError("no room for a title")
    return title[: size - 1].ljust(size, b"\0")


def _write(path: bytes, offset: int | None, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if offset is None:
            os.write(fd, data)
        else:
            os.pwrite(fd, data, offset)
    finally:
        os.close(fd)
