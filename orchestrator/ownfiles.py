"""Where the files of the daemon's own are (log, status, pid file), in directories that others may have rights to.

The daemon often is root. A link that somebody else laid on the way, in a directory of his or of everybody's, would
let him choose what is written to: so the way is gone step by step, and a link is followed only if root or the
daemon's own user made it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MODE = 0o664
"""Of a new file, beside what the umask takes away: whatever that is, not everybody may write it."""

_LINKS = 40
"""As many as the kernel follows, path_resolution(7)."""

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LastLink(Enum):
    """Whether a path's last name, where it is a link, is followed. Never one of somebody else's."""

    FOLLOWED = "followed"
    NOT_FROM_SHARED = "not out of a directory that everybody may write, like /tmp"
    NEVER = "never"


class Place(NamedTuple):
    """A name in an open directory. `is_magic`: a link of /proc, which leads to an open file and not to a path."""

    directory: int
    name: bytes
    is_magic: bool = False

    def stat(self) -> os.stat_result | None:
        """Of what is there, a link that is not to be followed included; None where nothing is."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=self.is_magic)
        except FileNotFoundError:
            return None

    def open(self, flags: int, mode: int = MODE) -> int:
        """A descriptor, which children do not inherit. A link is an error (ELOOP)."""
        nofollow = 0 if self.is_magic else os.O_NOFOLLOW
        return os.open(self.name, flags | nofollow | os.O_CLOEXEC | os.O_NOCTTY, mode, dir_fd=self.directory)


@contextmanager
def located(path: bytes, last_link: LastLink = LastLink.FOLLOWED) -> Iterator[Place]:
    """The place that a path leads to. Raises OSError where it leads nowhere, or by somebody else's link.

    Where a last link is not followed, the place is the link itself.
    """
    place = _walk(path, last_link)
    try:
        yield place
    finally:
        os.close(place.directory)


def open_file(path: bytes, flags: int, mode: int = MODE) -> int:
    """As open(2), by a way without other people's links. Raises OSError."""
    with located(path) as place:
        return place.open(flags, mode)


def _walk(path: bytes, last_link: LastLink) -> Place:
    directory = _start(path)
    parts = _parts(path)
    links = 0
    try:
        while True:
            name = parts.popleft() if parts else b"."
            target = None if name in (b".", b"..") else _target(directory, name, None if parts else last_link)
            if target is None:
                if not parts:
                    return Place(directory, name)
                directory = _exchange(directory, os.open(name, _DIRECTORY, dir_fd=directory))
                continue
            if target == b"":  # it leads to no path
                return Place(directory, name, is_magic=True)
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            parts.extendleft(reversed(_parts(target)))
            if target.startswith(b"/"):
                directory = _exchange(directory, _start(target))
    except BaseException:
        os.close(directory)
        raise


def _target(directory: int, name: bytes, last_link: LastLink | None) -> bytes | None:
    """Where a link leads that is to be followed; None: it is none, or is not to be; empty: see Place.

    `last_link` None: it is not the last name.
    """
    try:
        link = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        if last_link is not None:
            return None
        raise
    try:
        status = os.fstat(link)
        if not stat.S_ISLNK(status.st_mode):
            return None
        is_ours = status.st_uid in (0, os.geteuid())
        if last_link is not None and not (is_ours and _is_followed(last_link, directory)):
            return None
        if not is_ours:
            raise OSError(errno.ELOOP, "a link of somebody else's is on the way")
        if last_link is not None and status.st_dev == _proc_device():
            return b""
        # of the link itself that was looked at: another may have its name by now
        return os.readlink(b"", dir_fd=link)
    finally:
        os.close(link)


def _is_followed(last_link: LastLink, directory: int) -> bool:
    if last_link is LastLink.NOT_FROM_SHARED:
        return not os.fstat(directory).st_mode & stat.S_IWOTH
    return last_link is LastLink.FOLLOWED


def _proc_device() -> int:
    try:
        return os.lstat("/proc/self/fd").st_dev
    except OSError:
        return -1


def _start(path: bytes) -> int:
    return os.open(b"/" if path.startswith(b"/") else b".", _DIRECTORY)


def _parts(path: bytes) -> deque[bytes]:
    return deque(part for part in path.split(b"/") if part)


def _exchange(old: int, new: int) -> int:
    os.close(old)
    return new
