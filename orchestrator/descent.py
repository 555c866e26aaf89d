"""Opens directories component by component, and follows no symlink that another user may have made.

The owner of a part of a source can replace a directory by a symlink at any moment, also between two system calls. So
nothing below a source is reached by a path alone. A source's own path may contain links of the administrator's
(`current`): those are followed that root or the daemon's own user owns.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
from contextlib import contextmanager
from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW

_AT_FDCWD = -100
_OPENAT2 = 437  # the same on all architectures that came to Linux by 5.6
_RESOLVE_NO_SYMLINKS = 0x04
_PIECE = 3000  # bytes of a path walked in one system call; PATH_MAX is 4096
_LINKS = 40  # links followed in one path, as many as by the kernel: path_resolution(7)

_HOW = pack("QQQ", _PLACE, 0, _RESOLVE_NO_SYMLINKS)
"""`struct open_how`: openat2(2)."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
_libc.syscall.restype = ctypes.c_long


@contextmanager
def opened(path: bytes, sources: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Open a directory (absolute path) for the time of a block; yields a path that leads to it and nowhere else.

    `sources` (each with a slash at the end): below the first of them that contains the path, no link is followed.
    Elsewhere a link is followed if root or our own user owns it. Raises OSError, ELOOP for a link that is not followed.
    """
    place = open_directory(path, sources)
    try:
        yield way_into(place, path)
    finally:
        os.close(place)


def way_into(place: int, path: bytes) -> bytes:
    """A path, with a slash at the end, that leads to an open directory whatever it is called by now.

    Without /proc there is none, and the directory's own path is used.
    """
    return b"/proc/self/fd/%d/" % place if _has_proc() else path.rstrip(b"/") + b"/"


def open_directory(path: bytes, sources: Iterable[bytes] = ()) -> int:
    """As `opened`, but returns a descriptor (O_PATH) of the directory, to be closed by the caller."""
    try:
        return _open_unlinked(_AT_FDCWD, path)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    source = min((source for source in sources if path.startswith(source)), key=len, default=path)
    place, _ = follow(source)
    try:
        return _open_unlinked(place, path[len(source) :] or b".")
    finally:
        os.close(place)


def follow(path: bytes, links: list[bytes] | None = None) -> tuple[int, list[bytes]]:
    """A descriptor of a directory, and the links in its path, each by its own path. Raises OSError as `opened` does.

    `links`: a list to append them to. After an error it has the links before the failing component, and that one.
    """
    links = [] if links is None else links
    names = _names(path)
    place, at = os.open(b"/", _PLACE), b"/"
    try:
        while names:
            name = names.pop()
            try:
                step = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            except OSError:
                links.append(at + name)
                raise
            found = os.fstat(step)
            if not stat.S_ISLNK(found.st_mode):
                os.close(place)
                place = step
                at = os.path.dirname(at[:-1]).rstrip(b"/") + b"/" if name == b".." else b"%s%s/" % (at, name)
                continue
            links.append(at + name)
            try:
                if found.st_uid not in (0, os.geteuid()) or len(links) > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = os.readlink(b"", dir_fd=step)
            finally:
                os.close(step)
            names += _names(target)
            if target.startswith(b"/"):
                os.close(place)
                place, at = os.open(b"/", _PLACE), b"/"
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except BaseException:
        os.close(place)
        raise
    return place, links


def foreign_link(path: bytes) -> bytes | None:
    """The first link on the way to an absolute path that belongs neither to root nor to our own user; None: there is
    none, as far as the way goes."""
    links: list[bytes] = []
    try:
        place, _ = follow(path, links)
    except OSError as error:
        return links[-1] if error.errno == errno.ELOOP else None
    os.close(place)
    return None


def _names(path: bytes) -> list[bytes]:
    """The names in a path, last one first."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]


def _open_unlinked(place: int, path: bytes) -> int:
    """Open a directory by a path of any length, following no link at all."""
    step = -1
    try:
        while len(path) > _PIECE:
            cut = path.rindex(b"/", 1, _PIECE)
            above, step = step, _open_short(place if step < 0 else step, path[:cut])
            if above >= 0:
                os.close(above)
            path = path[cut:].lstrip(b"/")
        return _open_short(place if step < 0 else step, path or b".")
    finally:
        if step >= 0:
            os.close(step)


def _open_short(place: int, path: bytes) -> int:
    if not _has_openat2():
        return _open_by_steps(place, path)
    found: int = _libc.syscall(_OPENAT2, place, path, _HOW, len(_HOW))
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found


def _open_by_steps(place: int, path: bytes) -> int:
    names = _names(path)
    at = os.open(b"/" if path.startswith(b"/") else b".", _PLACE, dir_fd=place if place >= 0 else None)
    try:
        while names:
            name = names.pop()
            try:
                step = os.open(name, _PLACE, dir_fd=at)
            except NotADirectoryError:
                if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                raise
            os.close(at)
            at = step
    except OSError:
        os.close(at)
        raise
    return at


@functools.cache
def _has_openat2() -> bool:
    """Whether openat2(2) works: not before Linux 5.6, nor in a container whose seccomp filter does not know it."""
    found: int = _libc.syscall(_OPENAT2, _AT_FDCWD, b"/", _HOW, len(_HOW))
    if found >= 0:
        os.close(found)
    return found >= 0


@functools.cache
def _has_proc() -> bool:
    return os.path.isdir("/proc/self/fd")
