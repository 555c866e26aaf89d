"""Who is at the other end, as the kernel says: real processes of other users."""

from __future__ import annotations

import os
import socket

import pytest

from orchestrator.requests.peer import right_of
from orchestrator.requests.protocol import Right
from tests.kit.need import missing

GROUP, OTHER, USER = 4711, 4712, 4713

PEERS = {
    "root": (0, 0, [], Right.STEER),
    "root without the group": (0, OTHER, [OTHER], Right.STEER),
    "a user of the group": (USER, GROUP, [], Right.READ),
    "a user with the group besides": (USER, OTHER, [OTHER, GROUP], Right.READ),
    "another user": (USER, OTHER, [OTHER], None),
    "a user with more groups than are asked for": (USER, OTHER, [*range(5000, 5300), GROUP], None),
}


def connect_as(address: str, user: int, group: int, groups: list[int]) -> int:
    """The process id of a child that connects as that user, and holds the connection until the other end is closed."""
    pid = os.fork()
    if not pid:
        try:
            os.setgroups(groups)
            os.setgid(group)
            os.setuid(user)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address)
                client.recv(1)
        finally:
            os._exit(0)
    return pid


@pytest.mark.parametrize("case", PEERS)
def test_rights_by_user_and_groups(case: str) -> None:
    if os.geteuid() != 0:
        missing("only root may be somebody else")
    user, group, groups, right = PEERS[case]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0lsyncd-test-{os.getpid()}")  # a name that no directory's rights stand before
        server.listen()
        server.settimeout(30)
        peer = connect_as(server.getsockname().decode(), user, group, groups)
        connection, _ = server.accept()
        with connection:
            assert right_of(connection, GROUP) is right
            assert right_of(connection, None) is (Right.STEER if user == 0 else None)
        os.waitpid(peer, 0)
