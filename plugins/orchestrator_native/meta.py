"""Owner, mode, times and extended attributes of an entry on the target."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator_native import xattrs
from orchestrator_native.report import NO_ROOM
from orchestrator_native.rules import is_same_owner, is_same_time
from orchestrator_native.temps import temp_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator_native.rules import CopyRule
    from orchestrator_native.xattrs import Handle


@contextlib.contextmanager
def pinned(name: str, dir_fd: int) -> Iterator[str]:
    """A handle of exactly this entry, whatever it is (a symlink itself too) and whatever is put in
    its place meanwhile: calls without a no-follow form can then do no harm elsewhere."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def apply(
    handle: Handle,
    wanted: os.stat_result,
    have: os.stat_result,
    rule: CopyRule,
    attributes: dict[str, bytes] | None,
    *,
    new: bool = False,
) -> list[str]:
    """Make the inode behind `handle` like `wanted`. `attributes`: None leaves those alone. `new`: just made
    by us, and written to since `have` was taken.

    Returns what the target's file system or our rights do not allow, in words: that is no failure ("where
    permitted"). The order matters: a change of owner clears the set-user bit and capabilities, and
    every change but the last spoils the times.
    """
    limits: list[str] = []
    mode = stat.S_IMODE(have.st_mode)
    if not is_same_owner(wanted, have, rule):
        try:
            os.chown(handle, wanted.st_uid if rule.root else -1, wanted.st_gid)
            mode = -1
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):  # EINVAL: user_namespaces(7), an unmapped owner
                raise
            limits.append("some owners cannot be set on the target")
    if attributes is not None:
        present = xattrs.read(handle, rule)
        if present != attributes:
            if not rule.root and not stat.S_ISLNK(wanted.st_mode) and not mode & stat.S_IWUSR:
                os.chmod(handle, stat.S_IMODE(have.st_mode) | stat.S_IWUSR)
                mode = -1
            if not xattrs.write(handle, attributes, present):
                limits.append("the target's file system takes no extended attributes")
    if mode != stat.S_IMODE(wanted.st_mode) and not stat.S_ISLNK(wanted.st_mode):
        try:
            os.chmod(handle, stat.S_IMODE(wanted.st_mode))
        except PermissionError:
            if not new:
                raise
            limits.append("some modes cannot be set on the target")
    if new or not is_same_time(wanted, have, rule):
        os.utime(handle, ns=(wanted.st_atime_ns if new else have.st_atime_ns, wanted.st_mtime_ns))
    return limits


def has_room(fd: int) -> bool:
    """Whether a small file fits into a directory: found by trying."""
    name = temp_name("room")
    try:
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
        try:
            os.write(file, bytes(1))
        finally:
            os.close(file)
            os.unlink(name, dir_fd=fd)
    except OSError as error:
        return error.errno not in NO_ROOM
    return True


def granularity(fd: int) -> int:
    """How coarse the times of a directory's file system are, in nanoseconds: found by trying, and put back."""
    before = os.fstat(fd)
    probe = 1_000_000_001_123_456_789
    try:
        os.utime(fd, ns=(before.st_atime_ns, probe))
        stored = os.fstat(fd).st_mtime_ns
        os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
    except OSError:
        return 1
    for step in (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000):
        if probe - probe % step == stored:
            return step
    return 1
