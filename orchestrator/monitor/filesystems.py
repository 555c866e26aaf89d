"""What kind of file system a path lies on: some never report changes made elsewhere (spec 6 row 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.mounttable import read_mounts

if TYPE_CHECKING:
    from orchestrator.logic.mounts import Mounts

SILENT = frozenset(
    (
        *("9p", "afs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("ocfs2", "smb2", "smb3", "smbfs"),
    )
)
"""Types whose changes may be made by another machine, of which the kernel here hears nothing."""


def file_system_of(path: bytes, mounts: Mounts | None = None) -> str:
    """The type of the file system that holds an absolute path; "" if unknown. `mounts` None: those of this process."""
    mount = (mounts or read_mounts()).mount_of(path.rstrip(b"/") or b"/")
    return "" if mount is None else mount.kind


def is_silent(kind: str) -> bool:
    """Whether changes made by others on such a file system go unheard."""
    return kind in SILENT or (kind.startswith("fuse.") and kind not in ("fuse.lxcfs",))
