"""Extended attributes, read and carried over by the rules of `rsync -X`.

Root carries all but `system.*` (ACLs: rsync's -A), others only `user.*`. Handles are descriptors,
or paths below /proc/self/fd, which lead to exactly the inode that was opened and to no other.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator_native.rules import CopyRule

Handle = int | str

CAPABILITIES = "security.capability"
"""capabilities(7): what a program may do that its user may not."""

UNSUPPORTED = frozenset({errno.ENOTSUP, errno.ENOSYS})
GONE = errno.ENODATA


def below(fd: int, name: str) -> str:
    """A path to an entry of an open directory, for calls that know no directory descriptor."""
    return f"/proc/self/fd/{fd}/{name}"


def is_wanted(name: str, rule: CopyRule) -> bool:
    return not name.startswith("system.") if rule.root else name.startswith("user.")


def read(handle: Handle, rule: CopyRule) -> dict[str, bytes]:
    """The attributes to be carried over, of an open or pinned entry."""
    return _read(handle, rule, follow=True)


def read_entry(dir_fd: int, name: str, rule: CopyRule) -> dict[str, bytes]:
    """The attributes to be carried over, of an entry that is not open."""
    return _read(below(dir_fd, name), rule, follow=False)


def is_same(source: str, target: str, rule: CopyRule) -> bool:
    """Of two entries (`below`). Nearly always there are none: two calls."""
    if not _names(source, follow=False) and not _names(target, follow=False):
        return True
    return _read(source, rule, follow=False) == _read(target, rule, follow=False)


def are_same(source: int, target: int, entries: Iterable[str], rule: CopyRule, *, alone: bool) -> bool:
    """Of all these entries of two directories. `alone`: names relative to the working directory are looked up
    three times as fast as those below /proc, so where it may be changed it is."""
    if alone:
        some: set[str] = set()
        for fd in (source, target):
            os.fchdir(fd)
            some.update(_those_with_any(entries))
        entries = some
    return all(is_same(below(source, name), below(target, name), rule) for name in entries)


def _those_with_any(names: Iterable[str]) -> list[str]:
    """Of entries of the working directory. Nearly all of the time of a comparison is spent here and in lstat(2)."""
    listxattr = os.listxattr
    try:
        return [name for name in names if listxattr(name, follow_symlinks=False)]
    except OSError:
        return [name for name in names if _names(name, follow=False)]


def _names(handle: Handle, *, follow: bool) -> list[str]:
    try:
        return os.listxattr(handle, follow_symlinks=follow)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return []
        raise


def _read(handle: Handle, rule: CopyRule, *, follow: bool) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in _names(handle, follow=follow):
        if is_wanted(name, rule):
            try:
                found[name] = os.getxattr(handle, name, follow_symlinks=follow)
            except OSError as error:
                if error.errno != GONE:
                    raise
    return found


def write(handle: Handle, wanted: dict[str, bytes], have: dict[str, bytes]) -> bool:
    """Make `have` into `wanted`. False: the target's file system has no such thing as `user.*`.

    Attributes beside `user.*` belong to the system (labels, capabilities): carried over where permitted.
    """
    supported = True
    for name, value in wanted.items():
        if have.get(name) != value:
            try:
                os.setxattr(handle, name, value)
            except OSError as error:
                if error.errno in UNSUPPORTED:
                    supported = supported and not name.startswith("user.")
                elif name.startswith("user.") or error.errno not in (errno.EPERM, errno.EACCES):
                    raise
    for name in have.keys() - wanted.keys():
        try:
            os.removexattr(handle, name)
        except OSError as error:
            if error.errno != GONE and (name.startswith("user.") or error.errno not in (errno.EPERM, errno.EACCES)):
                raise
    return supported
