"""What kind of file system a path lies on: some never report changes made elsewhere (spec 6 row 20)."""

from __future__ import annotations

import re

SILENT = frozenset(
    (
        *("9p", "afs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("ocfs2", "smb2", "smb3", "smbfs"),
    )
)
"""Types whose changes may be made by another machine, of which the kernel here hears nothing."""

_OCTAL = re.compile(rb"\\([0-7]{3})")


def file_system_of(path: bytes, mountinfo: bytes | None = None) -> str:
    """The type of the file system that holds an absolute path; "" if unknown. See proc(5), mountinfo."""
    if mountinfo is None:
        try:
            with open("/proc/self/mountinfo", "rb") as file:
                mountinfo = file.read()
        except OSError:
            return ""
    best, kind = b"", b""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(b" - ")
        point = mount_point(fields.split(b" ")[4])
        is_above = path == point or path.startswith(point.rstrip(b"/") + b"/")
        # of two at one place the later lies on top
        if is_above and len(point) >= len(best):
            best, kind = point, rest.split(b" ")[0]
    return kind.decode("utf-8", "replace")


def mount_point(field: bytes) -> bytes:
    """A path as it stands in mountinfo, where blanks and the like are octal numbers."""
    return _OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), field)


def is_silent(kind: str) -> bool:
    """Whether changes made by others on such a file system go unheard."""
    return kind in SILENT or (kind.startswith("fuse.") and kind not in ("fuse.lxcfs",))
