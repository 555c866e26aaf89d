"""The pid file: says which process the daemon is, and by its lock that there is one (spec 1.4).

The lock is lockf's, as lsyncd's, so that the two keep each other out. Such a lock belongs to one
process: a fork does not inherit it, and closing any descriptor of the file gives it up. Hence it is
taken after detaching, and nothing else here may open the file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError
from orchestrator.ownfiles import LastLink, located

if TYPE_CHECKING:
    from orchestrator.ownfiles import Place

MODE = 0o644

_FLOCK = "hhqqi0q"
"""struct flock of fcntl(2): type, whence, start, length, pid."""

_HELD = frozenset({errno.EAGAIN, errno.EACCES})


class CannotCreate(OrchestratorError):
    """There is no pid file to be had, for a reason other than a daemon that has it."""

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(f"Cannot create pidfile; '{path}'")
        self.reason = error.strerror or str(error)


class PidFile:
    """Created, locked and written on construction; held until `remove` or the end of the process.

    Raises OrchestratorError: `Cannot lock pidfile; 'FILE'` where a living process holds it (whose file
    is left as it is), CannotCreate, `Cannot create pidfile; 'FILE'`, where it can't be had otherwise.

    `previous`: the pid of a daemon that left its file behind, since it was killed.
    """

    def __init__(self, path: str | bytes) -> None:
        self.path = os.path.abspath(os.fsencode(path))
        shown = os.fsdecode(path)
        try:
            self._fd = _lock(self.path)
        except BlockingIOError:
            raise OrchestratorError(f"Cannot lock pidfile; '{shown}'") from None
        except OSError as error:
            raise CannotCreate(shown, error) from None
        try:
            # Only now: until it is locked, what stands in it is another's.
            self.previous = _number(os.pread(self._fd, 32, 0))
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError as error:  # no room
            self.remove()
            raise CannotCreate(shown, error) from None

    def remove(self) -> None:
        """Take the file away and let go of it. Leaves a file alone that another has put in its place."""
        if self._fd < 0:
            return
        try:
            with located(self.path, LastLink.NEVER) as place:
                if _is_same_file(self._fd, place):
                    os.unlink(place.name, dir_fd=place.directory)
        except OSError:
            pass  # no right to the directory any more, or gone: there is nothing to be done about it
        os.close(self._fd)
        self._fd = -1


def _number(text: bytes) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() else None


def _lock(path: bytes) -> int:
    """A descriptor of the locked file. BlockingIOError: another process has it; OSError: anything else."""
    with located(path, LastLink.NEVER) as place:
        while True:
            fd, is_new = _open(place)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                if _is_locked(fd):
                    if is_new:
                        os.fchmod(fd, MODE & ~_umask())
                    if _is_same_file(fd, place):
                        return fd
                elif _is_same_file(fd, place):
                    os.unlink(place.name, dir_fd=place.directory)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # its owner, or we, removed it after we had opened it: take a new one


def _open(place: Place) -> tuple[int, bool]:
    """The file, and whether it was made. A new one is for us alone until it is locked."""
    while True:
        try:
            return place.open(os.O_RDWR | os.O_NONBLOCK), False
        except FileNotFoundError:
            pass
        try:
            return place.open(os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), True
        except FileExistsError:
            pass


def _is_locked(fd: int) -> bool:
    """Lock it. False: one who only reads has a lock on it, as anybody may; so it is no daemon's.

    Raises BlockingIOError where a daemon has it.
    """
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0]
        if kind == fcntl.F_WRLCK:
            raise BlockingIOError(error.errno, error.strerror) from None
        return False
    return True


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _is_same_file(fd: int, place: Place) -> bool:
    there = place.stat()
    return there is not None and os.path.samestat(os.fstat(fd), there)
