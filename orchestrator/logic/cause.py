"""What a program that failed has to say about it: the one line for the status."""

from __future__ import annotations

from typing import Final

SUMMARIES: Final = (
    b"rsync error:",
    b"rsync warning:",
    b"rsync: connection unexpectedly closed",
    b"rsync: [sender] write error",
)
"""How lines of rsync's begin that only say that something was wrong."""


def cause_of(stderr: bytes) -> bytes:
    """The last line that says more than that it failed; nothing where nothing was written."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith(SUMMARIES)]
    return (wanted or lines or [b""])[-1].strip()
