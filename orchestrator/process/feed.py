"""Gives one child its input, as fast as it takes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.masterloop import LoopLike


class Feed:
    """Our end of a child's stdin, and what is still to go into it."""

    __slots__ = ("_fd", "_log", "_loop", "_rest")

    def __init__(self, loop: LoopLike, log: Callable[[str, str], object], fd: int, data: memoryview) -> None:
        self._loop = loop
        self._log = log
        self._fd = fd
        self._rest = data

    def go_on(self) -> None:
        """Give as much as the pipe takes; the rest when it takes more."""
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            self._loop.add_writer(self._fd, self.go_on)
            return
        except BrokenPipeError:
            self._log("Normal", "broken pipe.")
        self.stop()

    def child_ended(self) -> None:
        """A process of the child's own may hold the pipe open, which is then nobody's to feed."""
        if self._fd >= 0:  # it has not read all
            self.go_on()
            self.stop()

    def stop(self) -> None:
        """The rest is not given any more."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
        self._fd = -1
        self._rest = memoryview(b"")
