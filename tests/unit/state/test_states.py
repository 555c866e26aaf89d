"""Which file systems a state may be kept of: those that are known to keep inodes and times."""

from __future__ import annotations

import pytest

from orchestrator.logic.mounts import Mounts
from orchestrator.state.states import untrusted_file_system

MOUNTS = Mounts(
    b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/nfs rw,relatime - nfs4 server:/x rw
31 22 8:2 / /srv/a\\040disk rw - xfs /dev/sdb rw
32 31 0:42 / /srv/a\\040disk/remote rw - fuse.sshfs me@there: rw
"""
)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (b"/", "nfs4"),
        (b"/home/me/", ""),
        (b"/srv/nfs/", "nfs4"),
        (b"/srv/nfs/below/", "nfs4"),
        (b"/srv/nfsother/", ""),
        (b"/srv/a disk/", "fuse.sshfs"),
        (b"/srv/a disk/here/", ""),
    ],
)
def test_all_of_a_source_is_to_be_trusted(source: bytes, kind: str) -> None:
    assert untrusted_file_system(source, MOUNTS) == kind


def test_what_cannot_be_known_is_not_trusted() -> None:
    assert untrusted_file_system(b"/home/", Mounts(b"")) == "unknown"
