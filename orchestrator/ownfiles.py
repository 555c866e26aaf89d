"""Opens the daemon's own files (log, status, pid file) in directories that other users may write to; and the place of
temporary ones.

The daemon often is root. A symlink that another user made, in his own directory or in a shared one, would let him
choose the file that is written to. So a path is resolved component by component, and a link is followed only if root
or the daemon's own user owns it.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections import deque
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MODE = 0o664
"""Mode of a new file before the umask is applied: never writable by others, whatever the umask."""

_LINKS = 40
"""Links followed in one path, as many as by the kernel: path_resolution(7)."""

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LastLink(Enum):
    """Whether a link as a path's last component is followed. One of another user never is."""

    FOLLOWED = "followed"
    NOT_FROM_SHARED = "not out of a directory that everybody may write, like /tmp"
    NEVER = "never"


class Place(NamedTuple):
    """A name in an open directory. `is_magic`: it is a link of /proc, which leads to an open file and not to a path."""

    directory: int
    name: bytes
    is_magic: bool = False

    def stat(self) -> os.stat_result | None:
        """The status of the file, or of a link that is not followed; None where there is neither."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=self.is_magic)
        except FileNotFoundError:
            return None

    def open(self, flags: int, mode: int = MODE) -> int:
        """Open it; children do not inherit the descriptor. Raises OSError, ELOOP for a link."""
        nofollow = 0 if self.is_magic else os.O_NOFOLLOW
        return os.open(self.name, flags | nofollow | os.O_CLOEXEC | os.O_NOCTTY, mode, dir_fd=self.directory)


@contextmanager
def located(path: bytes, last_link: LastLink = LastLink.FOLLOWED) -> Iterator[Place]:
    """The place that a path leads to. Raises OSError where a directory is missing or a link is another user's.

    Where a link as last component is not followed, the place is the link itself.
    """
    place = _walk(path, last_link)
    try:
        yield place
    finally:
        os.close(place.directory)


def open_file(path: bytes, flags: int, mode: int = MODE) -> int:
    """As open(2), but links of other users are not followed. Raises OSError."""
    with located(path) as place:
        return place.open(flags, mode)


def temporary_directory() -> str:
    """Where temporary files go: the first of tempfile's places in which we may write. It stays the same.

    tempfile.gettempdir() would make a file there to find out, which stays if we are killed just then.
    """
    return _temporary_directory(os.environ.get("TMPDIR"))


@functools.cache
def _temporary_directory(wanted: str | None) -> str:
    places = [wanted or "/tmp", "/tmp", "/var/tmp", "."]
    return os.path.abspath(next((place for place in places if os.access(place, os.W_OK | os.X_OK)), places[0]))


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
            if target == b"":  # a link of /proc leads to no path
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
    """The target of a link that is to be followed; None for any other file; empty for a link of /proc (see Place).

    `last_link` None: the name is not the last component.
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
        # by the descriptor of the link that was examined: another may have its name by now
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
