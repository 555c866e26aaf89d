"""Waits for room in what is full: a FIFO or a terminal whose reader is slow."""

from __future__ import annotations

import select


def has_room(fd: int, milliseconds: int) -> bool:
    """Whether `fd` can be written to before that time is over."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(milliseconds))
