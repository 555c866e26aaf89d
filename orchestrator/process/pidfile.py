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

from orchestrator.errors import OrchestratorError

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
            if os.path.samestat(os.fstat(self._fd), os.lstat(self.path)):
                os.unlink(self.path)
        except OSError:
            pass  # no right to the directory any more, or gone: there is nothing to be done about it
        os.close(self._fd)
        self._fd = -1


def _number(text: bytes) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() else None


def _lock(path: bytes) -> int:
    """A descriptor of the locked file. BlockingIOError: another process has it; OSError: anything else."""
    while True:
        # A link could make us write into any file of root's.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _HELD:
                    raise BlockingIOError(error.errno, error.strerror) from None
                raise
            if _is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its owner removed it between our opening and locking it: take a new one


def _is_at(fd: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False
