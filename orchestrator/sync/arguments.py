"""How much fits into one command line (execve(2))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST: Final = 1 << 20
"""Bytes. The most that is put into one argument list, however much the kernel allows."""

_POINTER: Final = 8
"""Bytes of each argument beside its text and its NUL: the pointer to it counts too."""


def argument_size(argument: bytes) -> int:
    """Bytes that an argument takes."""
    return len(argument) + 1 + _POINTER


def argument_room(command: Sequence[bytes], environment: Iterable[tuple[bytes, bytes]] | None = None) -> int:
    """Bytes that are left for more arguments: they and the environment (None: ours) share one limit."""
    used = sum(map(argument_size, command))
    used += sum(len(key) + len(value) + 2 + _POINTER for key, value in environment or os.environb.items())
    return min(_MOST, os.sysconf("SC_ARG_MAX") - 4096) - used
