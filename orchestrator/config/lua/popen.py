"""The engine's side of io.popen: pipes and shells. Lua's children are Lua's: only `close` waits for them."""

from __future__ import annotations

import os
import subprocess

from orchestrator.logic.text import to_bytes


class Popens:
    """The commands that Lua has started and not closed yet."""

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._ours: dict[int, int] = {}

    def start(self, command: bytes, mode: bytes) -> tuple[int | None, bytes | None, bytes | None]:
        """Start a shell with a pipe to its stdin or stdout: its number and the path to open, or what is wrong."""
        try:
            reading, writing = os.pipe2(os.O_CLOEXEC)
        except OSError as error:
            return None, None, str(error.strerror).encode()
        ours, theirs = (reading, writing) if mode == b"r" else (writing, reading)
        try:
            child = subprocess.Popen(
                [b"/bin/sh", b"-c", command],
                stdin=theirs if mode == b"w" else None,
                stdout=theirs if mode == b"r" else None,
            )
        except (OSError, ValueError) as error:
            os.close(ours)
            return None, None, to_bytes(str(error))
        finally:
            os.close(theirs)
        self._children[child.pid] = child
        self._ours[child.pid] = ours
        # of a pipe this path is another end of the same kind: Lua opens it as a file of its own
        return child.pid, b"/proc/self/fd/%d" % ours, None

    def opened(self, number: int) -> None:
        """Lua has its own end now."""
        os.close(self._ours.pop(number))

    def wait(self, number: int) -> tuple[bytes, int]:
        """Wait for the end: `exit` and the status, or `signal` and its number."""
        code = self._children.pop(number).wait()
        return (b"exit", code) if code >= 0 else (b"signal", -code)
