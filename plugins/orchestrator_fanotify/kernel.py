"""The door to the kernel: one fanotify group, and what is asked of file handles and the table of mounts.

Decides nothing, so that a test can put something of its own in its place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator_fanotify import calls
from orchestrator_fanotify.handles import Handles
from orchestrator_fanotify.mounts import parse_mounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator_fanotify.mounts import Mount

_CHUNK = 65536  # bytes: some 500 events


class Kernel:
    """`reports_renames`: a rename is one event; else two halves, which may be far from each other."""

    def __init__(self) -> None:
        """Raises OSError where fanotify cannot be used at all."""
        self._group, self.reports_renames = calls.open_group()

    def fileno(self) -> int:
        """Readable when `read` has something to give."""
        return self._group

    def read(self) -> bytes:
        """Some whole events (fanotify(7)), oldest first; empty where there are none. For any thread."""
        try:
            return os.read(self._group, _CHUNK)
        except BlockingIOError:
            return b""

    def mark(self, mask: int, point: bytes) -> bytes:
        """Asks for the events of `mask` on the file system that holds a directory; returns the identity that it has in
        events. Raises OSError: it has none, or no file handles, or may not be watched.
        """
        calls.mark(self._group, mask, point)
        mount = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(calls.open_handle(mount, calls.handle_of(point)))
        finally:
            os.close(mount)
        return calls.file_system_id(point)

    def unmark(self, mask: int, point: bytes) -> None:
        """Asks for them no more. Raises OSError."""
        calls.unmark(self._group, mask, point)

    def mounts(self) -> list[Mount]:
        """All mounts, in the order in which they lie on each other. Raises OSError."""
        with open("/proc/self/mountinfo", "rb") as file:
            return parse_mounts(file.read())

    def handles(self, point: bytes, is_below_source: Callable[[bytes], bool]) -> Handles:
        """The files and directories of the mount that a directory lies on, by their handles."""
        return Handles(point, is_below_source)

    def close(self) -> None:
        os.close(self._group)
