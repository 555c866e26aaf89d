"""The things seen at a path, by the kernel's table of mounts; and where two tables show different things.

A service may run in a mount name space of its own, in which directories look empty that are not (systemd.exec(5):
ProtectKernelModules=, PrivateTmp=, ProtectHome=, InaccessiblePaths=). A mirror of such a directory empties the target.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """A line of mountinfo (proc(5)). `root`: which directory of the file system on `device` is seen at `point`."""

    number: bytes
    parent: bytes
    device: bytes
    root: bytes
    point: bytes
    kind: str
    source: bytes = b""


class Place(NamedTuple):
    """What a path means, whatever it is called: a path on a device."""

    device: bytes
    path: bytes


class Mounts:
    """A table of mounts."""

    def __init__(self, mountinfo: bytes) -> None:
        self._all = [_parse(line) for line in mountinfo.splitlines()]
        self._children: dict[bytes, list[Mount]] = {}
        for mount in self._all:
            self._children.setdefault(mount.parent, []).append(mount)
        numbers = {mount.number for mount in self._all}
        self._top = [mount for mount in self._all if mount.parent not in numbers or mount.parent == mount.number]

    def mount_of(self, path: bytes) -> Mount | None:
        """The mount that an absolute path without symlinks lies on; None if the table has none."""
        seen: Mount | None = None
        candidates = [mount for mount in self._top if _is_at_or_below(path, mount.point)]
        while candidates:
            # where one was mounted on a directory above another one's point, the other is hidden
            seen = min(candidates, key=lambda mount: len(mount.point))
            candidates = [
                child
                for child in self._children.get(seen.number, ())
                if child.number != child.parent and _is_at_or_below(path, child.point)
            ]
        return seen

    def place_of(self, path: bytes) -> Place | None:
        """The meaning of an absolute path without symlinks; None if the table has none."""
        seen = self.mount_of(path)
        if seen is None:
            return None
        rest = path.rstrip(b"/")[len(seen.point.rstrip(b"/")) :]
        return Place(seen.device, (seen.root.rstrip(b"/") + rest) or b"/")

    def paths_to(self, path: bytes) -> list[bytes]:
        """Every path that leads to the directory at an absolute path without symlinks: that path itself comes first."""
        place = self.place_of(path)
        paths = [path]
        if place is None:
            return paths
        for mount in self._all:
            if mount.device == place.device and _is_at_or_below(place.path, mount.root):
                rest = place.path[len(mount.root.rstrip(b"/")) :].strip(b"/")
                found = mount.point.rstrip(b"/") + b"/" + rest if rest else mount.point
                if found != path and self.place_of(found) == place:
                    paths.append(found)
        return paths

    def inside(self, path: bytes, outer: bytes) -> bytes | None:
        """Where in the directory `outer` another one lies, with a leading slash; None: nowhere, or it is the same."""
        for found in self.paths_to(path):
            if _is_at_or_below(found, outer) and not _is_at_or_below(outer, found):
                return found[len(outer.rstrip(b"/")) :]
        return None

    def within(self, directory: bytes) -> list[Mount]:
        """Those at or below a directory."""
        return [mount for mount in self._all if _is_at_or_below(mount.point, directory)]

    def points_unlike(self, other: Mounts) -> set[bytes]:
        """Where the one has mounted something that the other has not."""
        ours, theirs = ({(m.point, m.device, m.root) for m in table._all} for table in (self, other))
        return {point for point, _, _ in ours ^ theirs}


def places_unlike(ours: Mounts, theirs: Mounts, source: bytes) -> list[bytes]:
    """The directories at or below an absolute path where `ours` shows something else than `theirs` does.

    Only the outermost of them. None where the two have different root directories: paths mean something else there.
    """
    if ours.place_of(b"/") is None or ours.place_of(b"/") != theirs.place_of(b"/"):
        return []
    source = source.rstrip(b"/") or b"/"
    points = ours.points_unlike(theirs)
    places = {point for point in points if _is_at_or_below(point, source)}
    if any(_is_at_or_below(source, point) for point in points):
        places.add(source)
    unlike = sorted(place for place in places if ours.place_of(place) != theirs.place_of(place))
    outermost: list[bytes] = []
    for place in unlike:
        if not any(_is_at_or_below(place, outer) for outer in outermost):
            outermost.append(place)
    return outermost


def _is_at_or_below(path: bytes, directory: bytes) -> bool:
    directory = directory.rstrip(b"/")
    return path.rstrip(b"/") == directory or path.startswith(directory + b"/")


def _parse(line: bytes) -> Mount:
    fields, _, rest = line.partition(b" - ")
    number, parent, device, root, point = fields.split(b" ")[:5]
    kind, _, more = rest.partition(b" ")
    source = unescaped(more.partition(b" ")[0])
    return Mount(number, parent, device, unescaped(root), unescaped(point), kind.decode("utf-8", "replace"), source)


def unescaped(field: bytes) -> bytes:
    """A path as it stands in mountinfo, where blanks and the like are octal numbers."""
    return _OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), field)
