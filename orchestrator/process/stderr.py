"""Passes on what children write to stderr, where the end of it is to be kept."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.logic.secrets import mask_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.masterloop import LoopLike

TAIL = 2048
"""Bytes that are kept."""

LONGEST_LINE = 65536
"""Bytes that are kept of a line that does not end."""


class Stderr:
    """The reading end of a child's stderr and where it goes on to. May outlive the child (a master of ssh keeps it)."""

    __slots__ = ("fd", "feed", "line", "on", "rest", "tail")

    def __init__(
        self, fd: int, on: int, feed: Callable[[bytes], object] | None, line: Callable[[bytes], object] | None
    ) -> None:
        self.fd = fd
        self.on = on
        self.feed = feed
        self.line = line
        self.rest = b""  # of a line that has no end yet
        self.tail = b""


class Stderrs:
    """Those that are open."""

    def __init__(self, loop: LoopLike) -> None:
        self._loop = loop
        self._open: dict[Stderr, None] = {}

    def add(
        self,
        fd: int,
        on: int,
        feed: Callable[[bytes], object] | None = None,
        line: Callable[[bytes], object] | None = None,
    ) -> Stderr:
        """Pass on what comes out of `fd` from now on. Both descriptors are closed when nothing more can come.

        `feed` is given all of it as well, as it is. `line`: gets it instead of `on`, line by line.
        """
        stderr = Stderr(fd, on, feed, line)
        self._open[stderr] = None
        self._loop.add_reader(fd, partial(self._read, stderr))
        return stderr

    def tail(self, stderr: Stderr) -> bytes:
        """The end of what was written up to now, without passwords."""
        if stderr in self._open:
            self._read(stderr)
        return stderr.tail

    def close(self) -> None:
        for stderr in list(self._open):
            self._close(stderr)

    def _read(self, stderr: Stderr) -> None:
        while True:
            try:
                data = os.read(stderr.fd, 65536)
            except BlockingIOError:
                return
            if not data:
                self._close(stderr)
                return
            if stderr.feed is not None:
                stderr.feed(data)
            data = mask_output(data)
            stderr.tail = (stderr.tail + data)[-TAIL:]
            if stderr.line is not None:
                self._say_lines(stderr.line, stderr, data)
                continue
            try:
                os.write(stderr.on, data)
            except OSError:
                pass  # where it would have gone is gone, as it would be for the child

    def _say_lines(self, say: Callable[[bytes], object], stderr: Stderr, data: bytes) -> None:
        *lines, rest = (stderr.rest + data).split(b"\n")
        stderr.rest = rest[-LONGEST_LINE:]
        for line in lines:
            say(line)

    def _close(self, stderr: Stderr) -> None:
        if stderr in self._open:
            del self._open[stderr]
            if stderr.line is not None and stderr.rest:
                stderr.line(stderr.rest)
                stderr.rest = b""
            self._loop.remove_reader(stderr.fd)
            os.close(stderr.fd)
            os.close(stderr.on)
