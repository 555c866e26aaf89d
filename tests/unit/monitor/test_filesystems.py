"""Which file systems do not report changes that others make (spec 6 row 20)."""

from __future__ import annotations

import pytest

from orchestrator.logic.mounts import Mounts
from orchestrator.monitor.filesystems import file_system_of, is_silent

MOUNTS = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/nfs rw,relatime - nfs4 server:/x rw
31 22 0:41 / /srv/with\\040space rw - cifs //server/x rw
32 30 8:2 / /srv/nfs/local rw - xfs /dev/sdb rw
33 22 0:42 / /home/me/remote rw - fuse.sshfs me@there: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/etc/", "ext4"),
        (b"/srv/nfs/", "nfs4"),
        (b"/srv/nfs/a/b/", "nfs4"),
        (b"/srv/nfsother/", "ext4"),
        (b"/srv/nfs/local/a/", "xfs"),
        (b"/srv/with space/", "cifs"),
        (b"/home/me/remote/x/", "fuse.sshfs"),
    ],
)
def test_the_nearest_mount_counts(path: bytes, kind: str) -> None:
    assert file_system_of(path, Mounts(MOUNTS)) == kind


@pytest.mark.parametrize(
    ("kind", "silent"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False)]
)
def test_what_is_shared_with_others_is_silent(kind: str, silent: bool) -> None:
    assert is_silent(kind) is silent
