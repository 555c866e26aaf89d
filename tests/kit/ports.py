"""TCP ports that a test may listen on."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST, _WORKERS, _EACH = 20_000, 12, 1_000
"""Below those that the kernel hands out (ip(7), ip_local_port_range), where a connection may also meet itself."""


def free_port(*addresses: str) -> int:
    """A port at which nobody listens on any of the addresses; 127.0.0.1 where none is given.

    It is free still when the test uses it: each worker of pytest-xdist has a range of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    while True:
        port = _FIRST + worker * _EACH + random.randrange(_EACH)
        if _is_free(port, addresses or ("127.0.0.1",)):
            return port


def _is_free(port: int, addresses: Sequence[str]) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            for address in addresses:
                stack.enter_context(socket.socket()).bind((address, port))
        except OSError:
            return False
    return True
