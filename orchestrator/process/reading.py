"""A program that is run to be read: in a thread of its own, to its end. For what is asked before a transfer."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING

from orchestrator.lifeline import ends_with_daemon
from orchestrator.process.stderr import TAIL

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

POLL = 0.2
"""Seconds between two looks at whether it is to stop."""

GRACE = 5.0
"""Seconds between TERM and KILL."""


def read_program(
    argv: Sequence[bytes],
    stdin: bytes | None,
    env: Mapping[str, str] | None,
    stop: threading.Event,
    feed: Callable[[bytes], None],
) -> tuple[int, bytes]:
    """Run it and give each line that it writes, without its end, to `feed`. Waits: not for the loop's thread.

    Returns the exit code (128 + signal) and the end of what it wrote to stderr. Raises OSError or ValueError where
    it cannot be run.
    """
    import tempfile  # late: few daemons need it

    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(stdin or b"")
        given.seek(0)
        with subprocess.Popen(
            list(argv), stdin=given, stdout=subprocess.PIPE, stderr=errors, env=env, bufsize=0
        ) as process:
            assert process.stdout is not None
            with ends_with_daemon(process.pid):
                _read(process, process.stdout.fileno(), stop, feed)
                process.wait()
        code = process.returncode
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - TAIL))
        return code if code >= 0 else 128 - code, errors.read()


def _read(process: subprocess.Popen[bytes], fd: int, stop: threading.Event, feed: Callable[[bytes], None]) -> None:
    rest, deadline = b"", 0.0
    while True:
        if stop.is_set() and not deadline:
            process.terminate()
            deadline = time.monotonic() + GRACE
        elif deadline and time.monotonic() > deadline:
            process.kill()
        if not select.select([fd], [], [], POLL)[0]:
            if process.poll() is not None:
                return  # a child of its own holds the pipe
            continue
        data = os.read(fd, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            feed(line)
