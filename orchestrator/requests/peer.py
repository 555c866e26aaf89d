"""The rights of the other end of a connection, by its user and groups, as the kernel reports them."""

from __future__ import annotations

import os
import socket
import struct

from orchestrator.requests.protocol import Right

_PEERGROUPS = {"sparc": 0x3D, "sparc64": 0x3D, "parisc": 0x4034, "parisc64": 0x4034}
"""SO_PEERGROUPS, of which Python does not know the number, where it is not that of all other machines."""

_MOST_GROUPS = 256
"""Python's getsockopt takes 1024 bytes. Of a process with more groups, only the main one counts."""


def right_of(connection: socket.socket, group: int | None) -> Right | None:
    """The right of the other end, by its user, and by its groups at the time at which it connected. None: none.

    `group`: whose members may read.
    """
    _, user, main_group = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if user in (0, os.geteuid()):
        return Right.STEER
    if group is None:
        return None
    return Right.READ if group == main_group or group in _groups(connection) else None


def _groups(connection: socket.socket) -> tuple[int, ...]:
    option = _PEERGROUPS.get(os.uname().machine, 59)
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, option, _MOST_GROUPS * 4)
    except OSError:  # too many, or a kernel before 4.13
        return ()
    return struct.unpack(f"{len(data) // 4}I", data)
