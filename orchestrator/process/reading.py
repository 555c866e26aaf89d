"""A program that is run to be read: in a thread of its own, to its end. For jobs, and for checks before a transfer."""

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

LONGEST_LINE = 1 << 16
"""Bytes that are kept of a line; the rest of a longer one is dropped."""


def read_program(
    argv: Sequence[bytes],
    stdin: bytes | None,
    env: Mapping[str, str] | None,
    stop: threading.Event,
    feed: Callable[[bytes], None],
    *,
    merges_stderr: bool = False,
) -> tuple[int, bytes]:
    """Run it and give each line that it writes, without its end, to `feed`. Waits: not for the loop's thread.

    When `stop` is set the program is asked to end by TERM, and is killed 5 seconds later. `merges_stderr`: lines of
    its stderr are given to `feed`, too, in their order.

    Returns the exit code (128 + signal) and the end of what it wrote to stderr. Raises OSError or ValueError where
    it cannot be run; an exception of `feed` kills it.
    """
    import tempfile  # late: few daemons need it

    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(stdin or b"")
        given.seek(0)
        with subprocess.Popen(
            list(argv),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merges_stderr else errors,
            env=env,
            bufsize=0,
        ) as process:
            assert process.stdout is not None
            with ends_with_daemon(process.pid):
                try:
                    _read(process, process.stdout.fileno(), stop, feed)
                except BaseException:
                    process.kill()
                    raise
                finally:
                    process.wait()
        code = process.returncode
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - TAIL))
        return code if code >= 0 else 128 - code, errors.read()


def _read(process: subprocess.Popen[bytes], fd: int, stop: threading.Event, feed: Callable[[bytes], None]) -> None:
    """Pass lines on until the output is closed and the program has ended."""
    rest, deadline, is_open = b"", 0.0, True
    while True:
        if stop.is_set() and not deadline:
            process.terminate()
            deadline = time.monotonic() + GRACE
        elif deadline and time.monotonic() > deadline:
            process.kill()
        if not is_open:
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                continue
            return
        if not select.select([fd], [], [], POLL)[0]:
            if process.poll() is None:
                continue
            is_open = False  # a child of its own holds the pipe
        elif data := os.read(fd, LONGEST_LINE):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                feed(line)
            rest = rest[:LONGEST_LINE]
            continue
        else:
            is_open = False
        if rest:
            feed(rest)
