"""Whether a sync's target is still the directory that it was (spec 6 row 29).

Where its file system is not mounted, rsync fills the bare mount point and says that all went well. So the target is
looked at before each transfer, and compared with what was first seen there: before the first one, or after it, if that
made the directory. For a target on another machine there is only `targetMarker`.
"""

from __future__ import annotations

import os
import stat
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.descent import follow
from orchestrator.mounttable import read_mounts

if TYPE_CHECKING:
    from orchestrator.logic.mounts import Mount
    from orchestrator.sync.target import Target

_MAY_HANG: Final = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse", "autofs")
"""Beginnings of the types of file systems that may not answer for long: they are asked in a thread."""

_NUMBERED_ANEW: Final = ("fuse", "cifs", "smb", "9p", "vfat", "msdos", "exfat", "ntfs", "afs", "overlay")
"""Those that may give one directory another inode number later on (of overlay: the kernel's overlayfs.rst)."""


class Finding(Enum):
    """The state of the target's place; the text is for the log."""

    FINE = ""
    REPLACED = "is another directory than before"
    GONE = "is gone"
    UNMOUNTED = "lies on another file system than before (is it mounted?)"
    RELINKED = "is reached by a link that neither root nor this daemon's user has made"
    UNMARKED = "has no file {marker}"
    UNKNOWN = "cannot be asked for {marker}"


class _Seen(NamedTuple):
    """A directory as it was seen."""

    path: bytes
    device: int
    inode: int | None
    mount: tuple[bytes, ...] | None  # what it lies on, if that can be known again


class TargetWatch:
    """One sync's. `marker`: the name of a file that must be in it; empty: none."""

    def __init__(self, target: Target, marker: bytes = b"") -> None:
        self.target = target
        self.marker = marker
        self._seen: _Seen | None = None
        self._placeholder: int | None = None  # the device of what was in its place while it was lost
        self._is_slow: bool | None = None

    def is_slow(self) -> bool:
        """Whether looking may take long, so that it is to be done in a thread."""
        if self._is_slow is None:
            mount = read_mounts().mount_of(os.path.abspath(self.target.directory)) if self.target.directory else None
            self._is_slow = mount is not None and mount.kind.startswith(_MAY_HANG)
        return self._is_slow

    def is_as_seen(self) -> bool:
        """Whether the target is the directory that was seen before, by whatever way it is reached: one look is enough
        to know."""
        seen, directory = self._seen, self.target.directory
        if seen is None or self.marker or directory is None:
            return False
        try:
            status = os.stat(directory)
        except OSError:
            return False
        is_same = (status.st_dev, status.st_ino) == (seen.device, seen.inode) and stat.S_ISDIR(status.st_mode)
        if is_same:
            self._placeholder = None
        return is_same

    def look(self) -> Finding:
        """The state of a target on this machine. A directory that is right is the one to compare with from then on."""
        directory = self.target.directory
        if directory is None:
            return Finding.FINE
        if self.is_as_seen():
            return Finding.FINE
        try:
            real = os.path.realpath(directory)
            status = os.stat(real)
        except PermissionError:
            return Finding.FINE  # nobody knows; the transfer itself will tell
        except OSError:
            return Finding.GONE if self._seen is not None or self.marker else Finding.FINE
        if not stat.S_ISDIR(status.st_mode):
            return Finding.GONE if self._seen is not None else Finding.FINE
        if self.marker and not os.path.lexists(os.path.join(real, self.marker)):
            return Finding.UNMARKED
        finding = self._compare(real, status)
        if finding in (Finding.FINE, Finding.REPLACED):
            self._placeholder = None
        return finding

    def accept(self) -> None:
        """From now on what is there is what it should be."""
        self._seen = self._is_slow = None
        self.look()

    def _compare(self, real: bytes, status: os.stat_result) -> Finding:
        seen = self._seen
        if seen is not None and (real, status.st_dev, status.st_ino) == (seen.path, seen.device, seen.inode):
            return Finding.FINE
        mount = read_mounts().mount_of(real)
        now = _Seen(real, status.st_dev, _inode(status, mount), _identity(mount))
        if seen is None:
            self._seen = now
            return Finding.FINE
        if real != seen.path and not _links_are_ours(os.path.abspath(self.target.directory or b"")):
            return Finding.RELINKED
        is_same_place = now.device == seen.device or (now.mount is not None and now.mount == seen.mount)
        if not is_same_place and real == seen.path:
            if self._placeholder is None:
                self._placeholder = now.device
            if self._placeholder == now.device:
                return Finding.UNMOUNTED
        if is_same_place and real == seen.path and (now.inode is None or now.inode == seen.inode):
            self._seen = now  # the same, mounted anew
            return Finding.FINE
        return Finding.REPLACED


def keeps_inode(mount: Mount | None) -> bool:
    """Whether a directory on this file system keeps its inode number for as long as it exists."""
    return mount is not None and not mount.kind.startswith(_NUMBERED_ANEW)


def _inode(status: os.stat_result, mount: Mount | None) -> int | None:
    return status.st_ino if keeps_inode(mount) else None


def _identity(mount: Mount | None) -> tuple[bytes, ...] | None:
    """By which a file system is known again when it was unmounted; None for such as have no name, as tmpfs."""
    if mount is None or not (b"/" in mount.source or b":" in mount.source):
        return None
    return (mount.point, mount.source, mount.root)


def _links_are_ours(path: bytes) -> bool:
    """Whether every link on the way to a directory (absolute path) was made by root or our own user."""
    try:
        place, _ = follow(path)
    except OSError:
        return False
    os.close(place)
    return True
