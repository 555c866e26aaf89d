"""What cp, mv, mkdir and rm would do for one change, done by descriptors from the roots of both trees (spec 4.4).

Users of the trees are hostile, and the daemon may be root: they put a symlink where a directory was, on the target, to
have files written or deleted elsewhere; where a file was, in the source, to have others' files copied; a FIFO, for cp
to wait at for ever. No symlink below a root is followed here, and nothing but a regular file is opened.

A file is made complete under a temporary name and renamed: neither half a file of a full target, nor other hard links
of the file that was there before, nor who reads it meanwhile, see anything of the copying.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orchestrator.api import Progress, etypes
from orchestrator_direct.exitcodes import DONE, FAILED, LINK, NO_ROOM, STOPPED
from orchestrator_direct.removal import Removal
from orchestrator_direct.walk import Refused, open_directory
from orchestrator_native.api import Copier, Stopped, Vanished, is_same_data, temp_name

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.api import Change

_SHORTAGE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_PINNED: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ACL: Final = "system.posix_acl_access"


@dataclass(frozen=True)
class Step:
    """A job: one change brought from `source` to `target`, both absolute. Safe in any thread.

    The paths of `change` are those of the queue: relative to both trees, with a leading slash. `removes`: deletions are
    carried over. `follows`: symlinks to directories on the target count as directories. `log` takes a category and
    the parts of a message.
    """

    change: Change
    source: bytes
    target: bytes
    removes: bool
    follows: bool
    log: Callable[..., object]
    copied: list[int] = field(init=False, default_factory=list, compare=False)
    """Bytes, of each piece of the file so far."""

    def progress(self) -> Progress:
        """How far it is; for the daemon's thread."""
        copied = sum(self.copied)
        return Progress(bytes_done=copied, steps=copied)

    def __call__(self, stop: threading.Event) -> int:
        try:
            self._do(stop)
        except Vanished:
            return FAILED
        except Stopped:
            return STOPPED
        except Refused as refused:
            self.log("Warn", refused.path, " is a symlink, and a directory in the source: it is not followed.")
            return LINK
        except OSError as error:
            if self.change.etype == etypes.DELETE and error.errno in _GONE:
                return DONE  # with the directory that it was in
            if self.change.path.endswith(b"/") and error.errno == errno.EEXIST:
                return FAILED  # no news, mostly: the transfer of everything was faster
            reason = os.strerror(error.errno) if error.errno else str(error)
            self.log(
                "Normal",
                f"{self.change.etype} ",
                self.target,
                (self.change.path2 or self.change.path).rstrip(b"/"),
                f" failed: {reason}",
            )
            return NO_ROOM if error.errno in _SHORTAGE else FAILED
        return DONE

    @property
    def _path(self) -> bytes:
        return self.change.path.strip(b"/")

    def _do(self, stop: threading.Event) -> None:
        directory, name = self._on_target(self._path)
        try:
            if self.change.etype == etypes.DELETE:
                Removal(stop).remove(name, directory)
            elif self.change.etype == etypes.MOVE:
                self._move(directory, name, stop)
            elif self.change.path.endswith(b"/"):
                os.mkdir(name, dir_fd=directory)
            else:
                self._copy(directory, name, stop)
        finally:
            os.close(directory)

    def _on_target(self, path: bytes) -> tuple[int, bytes]:
        """The open directory on the target that a path lies in, and its name there."""
        *directories, name = path.split(b"/")
        return open_directory(self.target, directories, follows=self.follows), name

    # ---- Move ---------------------------------------------------------------------------------

    def _move(self, directory: int, name: bytes, stop: threading.Event) -> None:
        try:
            self._rename(directory, name)
        except OSError as error:
            if self.removes and error.errno not in _SHORTAGE:
                Removal(stop).remove(name, directory)
            raise

    def _rename(self, directory: int, name: bytes) -> None:
        to, new = self._on_target((self.change.path2 or b"").strip(b"/"))
        try:
            moved = os.stat(name, dir_fd=directory, follow_symlinks=False)
            os.rename(name, new, src_dir_fd=directory, dst_dir_fd=to)
            # two names of one file: rename(2) does nothing then, and says that all is well
            if moved.st_nlink > 1 and not stat.S_ISDIR(moved.st_mode) and _is(moved, name, directory):
                os.unlink(name, dir_fd=directory)
        finally:
            os.close(to)

    # ---- Create, Modify -----------------------------------------------------------------------

    def _copy(self, directory: int, name: bytes, stop: threading.Event) -> None:
        entry = self._pin_source()
        try:
            status = os.fstat(entry)
            kind = stat.S_IFMT(status.st_mode)
            temp = os.fsencode(temp_name(os.fsdecode(name)))
            if kind == stat.S_IFDIR or _is_there_already(entry, status, name, directory, stop):
                return
            try:
                if kind == stat.S_IFREG:
                    _copy_file(entry, temp, directory, Copier(stop, self.copied.append))
                elif kind == stat.S_IFLNK:
                    os.symlink(os.readlink(b"", dir_fd=entry), temp, dir_fd=directory)
                    _dress(temp, directory, status)
                else:
                    os.mknod(temp, kind | 0o600, status.st_rdev, dir_fd=directory)
                    _dress(temp, directory, status)
                os.rename(temp, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                _unlink(temp, directory)
                raise
        finally:
            os.close(entry)

    def _pin_source(self) -> int:
        """A descriptor of exactly the source's entry, which opens nothing of it."""
        *directories, name = self._path.split(b"/")
        try:
            directory = open_directory(self.source, directories)
            try:
                return os.open(name, _PINNED, dir_fd=directory)
            finally:
                os.close(directory)
        except Refused:
            raise Vanished from None
        except OSError as error:
            if error.errno in _GONE:
                raise Vanished from None
            raise


def _is_there_already(entry: int, status: os.stat_result, name: bytes, directory: int, stop: threading.Event) -> bool:
    """Whether the target has just this file or link: to write it once more would be a change to whoever mirrors back.

    Contents are read only where size, time and all else are the same, as when it is a copy that came from there.
    """
    try:
        there = os.open(name, _PINNED, dir_fd=directory)
    except OSError:
        return False
    try:
        if not _is_alike(status, os.fstat(there)):
            return False
        if stat.S_ISLNK(status.st_mode):
            return os.readlink(b"", dir_fd=entry) == os.readlink(b"", dir_fd=there)
        return stat.S_ISREG(status.st_mode) and _is_same_file(entry, there, stop)
    except OSError:
        return False  # whatever it is, the copying will say it
    finally:
        os.close(there)


def _is_alike(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_mode, one.st_uid, one.st_gid, one.st_size, one.st_mtime_ns) == (
        other.st_mode,
        other.st_uid,
        other.st_gid,
        other.st_size,
        other.st_mtime_ns,
    )


def _is_same_file(entry: int, there: int, stop: threading.Event) -> bool:
    """Of two regular files, both held by a descriptor that opens nothing of them."""
    with (
        open(f"/proc/self/fd/{entry}", "rb", buffering=0, opener=_opener) as one,
        open(f"/proc/self/fd/{there}", "rb", buffering=0, opener=_opener) as other,
    ):
        return _acl(one.fileno()) == _acl(other.fileno()) and is_same_data(one.fileno(), other.fileno(), stop)


def _opener(path: str, flags: int) -> int:
    return os.open(path, _READING)


def _acl(fd: int) -> bytes | None:
    try:
        return os.getxattr(fd, _ACL)
    except OSError:
        return None


def _copy_file(entry: int, temp: bytes, directory: int, copier: Copier) -> None:
    fd = os.open(f"/proc/self/fd/{entry}", _READING)
    try:
        status = os.fstat(fd)
        copy = os.open(temp, _NEW, 0o600, dir_fd=directory)
        try:
            copier.copy(fd, copy, status, os.fstat(copy).st_dev)
            mode = _give(copy, status)
            _set_acl(fd, copy)
            os.fchmod(copy, mode)
            os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(copy)
    finally:
        os.close(fd)


def _dress(temp: bytes, directory: int, status: os.stat_result) -> None:
    """Owner, mode and times of a link or special file, just made: whatever is put in its place meanwhile."""
    fd = os.open(temp, _PINNED, dir_fd=directory)
    try:
        pinned = f"/proc/self/fd/{fd}"
        mode = _give(pinned, status)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(pinned, mode)
        os.utime(pinned, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(fd)


def _give(handle: int | str, status: os.stat_result) -> int:
    """Set the owner where that is permitted, as cp -p does; the mode that goes with who owns it now."""
    mode = stat.S_IMODE(status.st_mode)
    try:
        os.chown(handle, status.st_uid, status.st_gid)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):  # EINVAL: user_namespaces(7), an unmapped owner
            raise
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    return mode


def _set_acl(source: int, copy: int) -> None:
    try:
        os.setxattr(copy, _ACL, os.getxattr(source, _ACL))
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.EINVAL):
            raise


def _is(status: os.stat_result, name: bytes, directory: int) -> bool:
    try:
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)


def _unlink(name: bytes, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass
