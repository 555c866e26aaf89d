"""Opening directories without being led astray: step by step, following no link that a stranger may have put there.

Whoever owns a part of a source may put a symlink in the place of a directory at any moment, also between two looks at
it. So nothing below a source is reached by a path alone. On the way to a source, links are the administrator's own
way of naming it (`current`), and are followed where root or the daemon's own user owns them.
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
_LINKS = 40  # links followed on one way, as the kernel does: path_resolution(7)

_HOW = pack("QQQ", _PLACE, 0, _RESOLVE_NO_SYMLINKS)
"""`struct open_how`: openat2(2)."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
_libc.syscall.restype = ctypes.c_long


@contextmanager
def opened(path: bytes, sources: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Opens a directory (absolute path) for the time of a block; gives a path that leads to it and nowhere else.

    `sources` (each with a slash at the end): below the first of them that the path lies in, no link is followed.
    Elsewhere it is if root or our own user owns it. Raises OSError; ELOOP for a link that is not to be followed.
    """
    place = open_directory(path, sources)
    try:
        yield way_into(place, path)
    finally:
        os.close(place)


def way_into(place: int, path: bytes) -> bytes:
    """The path, with a slash at the end, by which the kernel finds an open directory again.

    Without /proc there is none, and the directory's own has to do.
    """
    return b"/proc/self/fd/%d/" % place if _has_proc() else path.rstrip(b"/") + b"/"


def open_directory(path: bytes, sources: Iterable[bytes] = ()) -> int:
    """As `opened`: a descriptor that is good for naming what is in the directory."""
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
    """A descriptor of a directory, and the links on the way to it, each by its own path. Raises OSError, as above.

    `links`: a list to put them in. If there is trouble, it holds those before it, and the name where it is.
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


def _names(path: bytes) -> list[bytes]:
    """The names in a path, last one first."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]


def _open_unlinked(place: int, path: bytes) -> int:
    """Opens a directory, of a path of any length, following no link at all."""
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
    """Not before Linux 5.6, nor where a container forbids what it does not know."""
    found: int = _libc.syscall(_OPENAT2, _AT_FDCWD, b"/", _HOW, len(_HOW))
    if found >= 0:
        os.close(found)
    return found >= 0


@functools.cache
def _has_proc() -> bool:
    return os.path.isdir("/proc/self/fd")
