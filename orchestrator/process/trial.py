"""A program that is run to see whether it works: without a terminal, and for a limited time."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 1 << 16
"""Bytes that are kept of its output."""


class Trial(NamedTuple):
    """`code`: 128 + signal for one that a signal ended; None: it had not ended in time, and was killed."""

    code: int | None
    stderr: bytes


def try_program(argv: Sequence[bytes], environment: Mapping[str, str], seconds: float) -> Trial:
    """Run it for so many seconds at most. It has no terminal, so it asks nobody for a password. Raises OSError,
    ValueError where it cannot be run."""
    process = subprocess.Popen(
        list(argv),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            _, stderr = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            _kill(process)
            return Trial(None, (late.stderr or b"")[-LONGEST:])
        except BaseException:
            _kill(process)
            raise
    code = process.returncode
    return Trial(code if code >= 0 else 128 - code, stderr[-LONGEST:])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started: its session is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself
