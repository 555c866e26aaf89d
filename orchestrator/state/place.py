"""The directory with the states: 0700 and our own, each file locked by the daemon that uses it.

A lock file also holds the number of the last change that was certainly written, so that a database which has lost its
last changes is found out.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from struct import Struct
from typing import Final
from zlib import crc32

from orchestrator.ownfiles import LastLink, located

_PRIVATE: Final = 0o700
_SEAL: Final = Struct("<QI")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


class Unusable(Exception):
    """There is no state to be had; the text says why."""


def open_place(path: str) -> str:
    """Make the directory, if it is not there. Gives its real path. Raises Unusable."""
    try:
        with located(os.fsencode(path), LastLink.FOLLOWED) as place:
            with contextlib.suppress(FileExistsError):
                os.mkdir(place.name, _PRIVATE, dir_fd=place.directory)
            fd = place.open(os.O_RDONLY | os.O_DIRECTORY)
        try:
            found = os.fstat(fd)
            if found.st_uid != os.geteuid():
                raise Unusable("it belongs to somebody else")
            if stat.S_IMODE(found.st_mode) != _PRIVATE:
                os.fchmod(fd, _PRIVATE)
            return os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from None


def file_name(sync: str) -> str:
    """The name of a sync's state: its own, where that can be a file's."""
    if _PLAIN.fullmatch(sync):
        return sync
    import hashlib  # late: most daemons have no use for it, and it brings OpenSSL along

    return "=" + hashlib.sha256(sync.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Seal:
    """The lock on one state. Raises Unusable where another daemon has it, OSError."""

    def __init__(self, directory: str, name: str) -> None:
        self.path = os.path.join(directory, name + ".db")
        """The database."""
        self._fd = os.open(
            os.path.join(directory, name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise Unusable("another daemon uses it") from None
            raise

    def number(self) -> int | None:
        """The number of the last change that was written; None: there is none that could be read."""
        data = os.pread(self._fd, _SEAL.size + 1, 0)
        if len(data) != _SEAL.size:
            return None
        number, check = _SEAL.unpack(data)
        return int(number) if check == crc32(data[:8]) else None

    def write(self, number: int) -> None:
        """A change has been written. Not fsynced itself: an older number only proves less."""
        head = number.to_bytes(8, "little")
        os.pwrite(self._fd, _SEAL.pack(number, crc32(head)), 0)

    def make(self) -> bool:
        """Make the database, for us alone, where it is missing. Gives whether it was."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
        return True

    def remove_files(self) -> None:
        """Remove the database. Raises OSError."""
        for suffix in _SUFFIXES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path + suffix)

    def close(self) -> None:
        os.close(self._fd)
