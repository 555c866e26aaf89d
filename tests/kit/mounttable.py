"""The mount table of this process is its own: what another test mounts wakes nobody here, and hides nothing.

The kernel reports every change of a mount table to each monitor that has it open (proc(5), /proc/pid/mountinfo), and
workers of pytest-xdist would share one. Where the right to make one is missing, the tests cannot mount anything either.
"""

from __future__ import annotations

import ctypes

_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x4000 | 1 << 18


def take_own() -> None:
    """For the calling thread, and what it starts from now on (unshare(2), mount_namespaces(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) == 0:
        libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None)
