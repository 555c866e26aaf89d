"""Which mounts a source lies on, and which lie below it: proc(5), /proc/pid/mountinfo. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """`point` ends with a slash."""

    number: int
    point: bytes
    kind: str


def parse_mounts(table: bytes) -> list[Mount]:
    """The lines of mountinfo."""
    found = []
    for line in table.splitlines():
        fields, _, rest = line.partition(b" - ")
        number, _, _, _, point, *_ = fields.split(b" ")
        point = _OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), point)
        kind = rest.split(b" ")[0].decode("utf-8", "replace")
        found.append(Mount(int(number), point.rstrip(b"/") + b"/", kind))
    return found


def mount_of(source: bytes, mounts: list[Mount]) -> Mount | None:
    """The mount that a source (slash at the end) lies on: the innermost; of two at one place the later lies on top."""
    best = None
    for mount in mounts:
        if source.startswith(mount.point) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def mounts_below(source: bytes, mounts: list[Mount]) -> list[Mount]:
    """Those within a source; of several at one place the topmost."""
    found = {mount.point: mount for mount in mounts if mount.point != source and mount.point.startswith(source)}
    return list(found.values())
