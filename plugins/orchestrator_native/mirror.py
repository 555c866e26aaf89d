"""One entry or one directory of the target made like the source's: the careful part.

Works in two open directories at a time. Whatever is put on the target is made complete under a
temporary name and renamed, so nobody ever sees half of it. Nothing is synced to disk (fsync), as
rsync does not: after a power cut the next startup compares and repairs.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Protocol

from orchestrator_native import meta, xattrs
from orchestrator_native.data import Copier
from orchestrator_native.glance import glance
from orchestrator_native.removal import Remover
from orchestrator_native.report import Stopped, Vanished
from orchestrator_native.rules import is_same_data, is_same_meta
from orchestrator_native.temps import is_in_use, is_leftover, temp_name
from orchestrator_native.trees import join, split

if TYPE_CHECKING:
    from orchestrator_native.task import Task
    from orchestrator_native.trees import Tree

Key = tuple[int, int]

TRIES = 3
"""A file that changes while being copied is copied so often; then it is taken as it was: its change
has an event of its own, and its time on the target is that of before, so it does not pass for equal."""

LARGE = 1 << 20
"""Bytes. Files from this size on are copied side by side; below, starting a thread costs more."""

ELSEWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE})
"""Opening in the source: the entry is gone, or something else has taken its place."""


class Crew(Protocol):
    """Takes what a Mirror leaves for later."""

    def later_directory(self, path: str, *, touched: bool) -> None: ...

    def later_file(self, path: str, *, written: bool) -> None: ...

    def later_link(self, path: str, wanted: os.stat_result, *, written: bool) -> None: ...

    def later_settle(self, path: str) -> None: ...


class Mirror:
    """For one thread. `source` and `target` are its own."""

    def __init__(self, task: Task, source: Tree, target: Tree, crew: Crew) -> None:
        self.task = task
        self.rule = task.rule
        self.source = source
        self.target = target
        self.crew = crew
        self.copier = Copier(task.stop)
        self.remover = Remover(task, target.clone())

    def close(self) -> None:
        self.source.close()
        self.target.close()
        self.remover.tree.close()

    def directory(self, path: str, *, touched: bool) -> None:
        """What lies directly in a directory; its sub-directories are left for later. `touched`: its own
        attributes need to be set afterwards."""
        try:
            source = self.source.open(path)
        except OSError as error:
            if error.errno not in ELSEWHERE:
                self.task.report.trouble("read", path, error)
            return
        try:
            target = self.target.open(path)
            inner = None if touched else self._glance(source, target)
            if inner is None:
                self._directory(path, source, target)
                return
            for name in inner:
                if not self.task.is_excluded(join(path, name), is_dir=True):
                    self.crew.later_directory(join(path, name), touched=False)
        except OSError as error:
            self.task.report.trouble("mirror", path, _readable(error))
            if touched:
                self.settle(path)

    def _glance(self, source: int, target: int) -> list[str] | None:
        try:
            return glance(source, target, self.rule)
        except OSError:
            return None

    def _directory(self, path: str, source: int, target: int) -> None:
        status = os.fstat(source)
        with os.scandir(source) as listing:
            here = list(listing)
        self._open_up(target)
        with os.scandir(target) as listing:
            there = {entry.name: entry for entry in listing}
        for name in there.keys() - {entry.name for entry in here}:
            self._extra(join(path, name), there[name])
        unsettled = False
        for entry in here:
            if self.task.stop.is_set():
                raise Stopped
            name = entry.name
            inner = join(path, name)
            try:
                wanted = entry.stat(follow_symlinks=False)
                if self.task.is_excluded(inner, is_dir=stat.S_ISDIR(wanted.st_mode)):
                    continue
            except FileNotFoundError:
                continue
            unsettled = self._entry(inner, source, target, wanted, there.get(name)) or unsettled
        if unsettled:
            self.crew.later_settle(path)
        else:
            self._settle(path, source, target, status)

    def _entry(
        self, path: str, source: int, target: int, wanted: os.stat_result, other: os.DirEntry[str] | None
    ) -> bool:
        try:
            have = other.stat(follow_symlinks=False) if other is not None else None
        except FileNotFoundError:
            have = None
        return self.entry(path, source, target, wanted, have)

    def entry(
        self,
        path: str,
        source: int,
        target: int,
        wanted: os.stat_result,
        have: os.stat_result | None,
        *,
        written: bool = False,
        names: int = 0,
    ) -> bool:
        """Make one entry like the source's; trouble is reported. `source`, `target`: the directories it
        lies in. `written`: see rules.is_same_data. `names`: so many hard links to it are known and cared
        for by the caller (0: it is left to the crew if it has several). True: left for later."""
        name = split(path)[1]
        mode = wanted.st_mode
        try:
            if stat.S_ISDIR(mode):
                self._make_directory(path, name, source, target, wanted, have)
                return False
            if wanted.st_nlink > 1 and not names and self.rule.hard_links:
                self.crew.later_link(path, wanted, written=written)
                return True
            same = have is not None and self._is_same(name, source, target, wanted, have, written=written)
            if (
                same
                and have is not None
                and (have.st_nlink <= max(names, 1) or self._is_same_all(name, source, target, wanted, have))
            ):
                self._fix(name, source, target, wanted, have)
            elif stat.S_ISREG(mode):
                if wanted.st_size >= LARGE and not names:
                    self.crew.later_file(path, written=written)
                    return True
                self.put_file(path, source, target)
            elif stat.S_ISLNK(mode):
                self._put_symlink(path, name, source, target, wanted)
            else:
                self._put_special(path, name, source, target, wanted)
        except Vanished:
            pass
        except OSError as error:
            self.task.report.trouble("mirror", path, error)
        return False

    def is_same(self, path: str, wanted: os.stat_result, have: os.stat_result, *, written: bool) -> bool:
        """All but the attributes, of an entry that is nothing to work on now."""
        parent, name = split(path)
        try:
            source, target = self.source.open(parent), self.target.open(parent)
            return self._is_same(name, source, target, wanted, have, written=written)
        except (OSError, Vanished):
            return False

    def _is_same(
        self, name: str, source: int, target: int, wanted: os.stat_result, have: os.stat_result, *, written: bool
    ) -> bool:
        """All but the attributes."""
        if stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(have.st_mode):
            return False
        if stat.S_ISREG(wanted.st_mode):
            return is_same_data(wanted, have, self.rule, written=written)
        if stat.S_ISLNK(wanted.st_mode):
            return _readlink(name, source) == os.readlink(name, dir_fd=target)
        return wanted.st_rdev == have.st_rdev

    def _is_same_all(self, name: str, source: int, target: int, wanted: os.stat_result, have: os.stat_result) -> bool:
        """All attributes, too. Asked before an inode is changed that has more names than we know."""
        return is_same_meta(wanted, have, self.rule) and self._is_same_xattrs(name, source, target)

    def _is_same_xattrs(self, name: str, source: int, target: int) -> bool:
        if not self.rule.xattrs:
            return True
        try:
            return xattrs.is_same(xattrs.below(source, name), xattrs.below(target, name), self.rule)
        except FileNotFoundError as error:
            raise Vanished from error

    def _fix(self, name: str, source: int, target: int, wanted: os.stat_result, have: os.stat_result) -> None:
        """Attributes only."""
        same_xattrs = self._is_same_xattrs(name, source, target)
        if same_xattrs and is_same_meta(wanted, have, self.rule):
            return
        attributes = None if same_xattrs else xattrs.read_entry(source, name, self.rule)
        with meta.pinned(name, target) as handle:
            now = os.stat(handle)
            if stat.S_IFMT(now.st_mode) != stat.S_IFMT(wanted.st_mode):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            self._apply(handle, wanted, now, attributes)

    def _apply(
        self,
        handle: xattrs.Handle,
        wanted: os.stat_result,
        have: os.stat_result,
        attributes: dict[str, bytes] | None,
        *,
        new: bool = False,
    ) -> None:
        for limit in meta.apply(handle, wanted, have, self.rule, attributes, new=new):
            self.task.report.note(limit)

    def file(self, path: str, *, written: bool) -> None:
        """A large file that was left for later."""
        parent, name = split(path)
        try:
            source = self.source.open(parent)
            wanted = os.stat(name, dir_fd=source, follow_symlinks=False)
        except OSError as error:
            if error.errno not in ELSEWHERE:
                self.task.report.trouble("read", path, error)
            return
        try:
            target = self.target.open(parent)
            if stat.S_ISREG(wanted.st_mode):
                self.put_file(path, source, target)
        except Vanished:
            pass
        except OSError as error:
            self.task.report.trouble("mirror", path, error)

    def put_file(self, path: str, source: int, target: int) -> None:
        """Copy a regular file. Vanished: it is gone, or is none any more."""
        name = split(path)[1]
        for left in reversed(range(TRIES)):
            fd = _open_file(name, source)
            try:
                if self._put_file(path, name, fd, source, target, is_last=not left):
                    return
            finally:
                os.close(fd)

    def _put_file(self, path: str, name: str, fd: int, source: int, target: int, *, is_last: bool) -> bool:
        """False: it changed while being copied, and nothing was put."""
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise Vanished
        temp = temp_name(name)
        copy = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
        placed = False
        try:
            try:
                new = os.fstat(copy)
                self.copier.copy(fd, copy, before, new.st_dev)
                if not is_last and _has_changed(before, name, source):
                    return False
                attributes = xattrs.read(fd, self.rule) if self.rule.xattrs else None
                self._apply(copy, before, new, attributes or None, new=True)
            finally:
                os.close(copy)
            self._place(temp, path, target)
            placed = True
            return True
        finally:
            if not placed:
                _unlink(temp, target)

    def _put_symlink(self, path: str, name: str, source: int, target: int, wanted: os.stat_result) -> None:
        text = _readlink(name, source)
        temp = temp_name(name)
        os.symlink(text, temp, dir_fd=target)
        self._finish_new(temp, path, name, source, target, wanted)

    def _put_special(self, path: str, name: str, source: int, target: int, wanted: os.stat_result) -> None:
        mode = wanted.st_mode
        if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and not self.rule.root:
            self.task.report.note("devices are left out: only root can make them")
            return
        temp = temp_name(name)
        os.mknod(temp, stat.S_IFMT(mode) | 0o600, wanted.st_rdev, dir_fd=target)
        self._finish_new(temp, path, name, source, target, wanted)

    def _finish_new(self, temp: str, path: str, name: str, source: int, target: int, wanted: os.stat_result) -> None:
        """Attributes of what was just made under a temporary name; then its real name."""
        placed = False
        try:
            attributes = None
            if self.rule.xattrs:
                try:
                    attributes = xattrs.read_entry(source, name, self.rule)
                except FileNotFoundError as error:
                    raise Vanished from error
            with meta.pinned(temp, target) as handle:
                self._apply(handle, wanted, os.stat(handle), attributes or None, new=True)
            self._place(temp, path, target)
            placed = True
        finally:
            if not placed:
                _unlink(temp, target)

    def _place(self, temp: str, path: str, target: int) -> None:
        name = split(path)[1]
        try:
            os.rename(temp, name, src_dir_fd=target, dst_dir_fd=target)
        except IsADirectoryError:
            self._make_way(path, name, target)
            os.rename(temp, name, src_dir_fd=target, dst_dir_fd=target)

    def _make_way(self, path: str, name: str, target: int) -> None:
        if self.task.makes_way:
            self.remover.remove(path, stat.S_IFDIR)
        else:
            os.rmdir(name, dir_fd=target)

    def put_link(self, leader: str, path: str, target: int) -> None:
        """Make `path`, which lies in `target`, another name of `leader` on the target."""
        parent, name = split(leader)
        temp = temp_name(split(path)[1])
        fd = self.remover.tree.open(parent)
        os.link(name, temp, src_dir_fd=fd, dst_dir_fd=target, follow_symlinks=False)
        try:
            self._place(temp, path, target)
        finally:
            _unlink(temp, target)

    def _make_directory(
        self, path: str, name: str, source: int, target: int, wanted: os.stat_result, have: os.stat_result | None
    ) -> None:
        if have is not None and stat.S_ISDIR(have.st_mode):
            touched = not is_same_meta(wanted, have, self.rule) or not self._is_same_xattrs(name, source, target)
            if not self.rule.root and have.st_mode & stat.S_IRWXU != stat.S_IRWXU:
                with meta.pinned(name, target) as handle:
                    os.chmod(handle, stat.S_IMODE(have.st_mode) | stat.S_IRWXU)
                touched = True
        else:
            if have is not None:
                os.unlink(name, dir_fd=target)
            os.mkdir(name, 0o700, dir_fd=target)
            touched = True
        self.crew.later_directory(path, touched=touched)

    def _open_up(self, target: int) -> None:
        """A directory of ours may be closed to ourselves (r-x); what follows sets its mode again."""
        mode = os.fstat(target).st_mode
        if not self.rule.root and mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(target, stat.S_IMODE(mode) | stat.S_IRWXU)

    def _extra(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            is_dir = entry.is_dir(follow_symlinks=False)
        except OSError:
            return
        if is_in_use(entry.name):
            return
        if self.task.deletes or (not is_dir and is_leftover(entry.name)):
            is_counted = is_dir or not is_leftover(entry.name)
            self.remover.remove(path, stat.S_IFDIR if is_dir else stat.S_IFREG, is_counted=is_counted)

    def settle(self, path: str) -> None:
        """A directory's own attributes, once nothing more changes in it. Where one side has no such directory
        there is nothing to settle."""
        try:
            source = self.source.open(path)
            status = os.fstat(source)
            target = self.target.open(path)
        except OSError as error:
            if error.errno not in ELSEWHERE:
                self.task.report.trouble("set the attributes of", path, error)
            return
        self._settle(path, source, target, status)

    def _settle(self, path: str, source: int, target: int, wanted: os.stat_result) -> None:
        try:
            with meta.pinned(".", target) as handle:
                have = os.stat(handle)
                attributes = None
                if self.rule.xattrs and not xattrs.is_same(
                    xattrs.below(source, "."), xattrs.below(target, "."), self.rule
                ):
                    attributes = xattrs.read_entry(source, ".", self.rule)
                if attributes is not None or not is_same_meta(wanted, have, self.rule):
                    self._apply(handle, wanted, have, attributes)
        except OSError as error:
            self.task.report.trouble("set the attributes of", path, error)


def _readable(error: OSError) -> OSError:
    """A directory that may be passed but not read is opened with O_PATH; reading it then says EBADF."""
    return PermissionError(errno.EACCES, "") if error.errno == errno.EBADF else error


def _open_file(name: str, source: int) -> int:
    """O_NONBLOCK: a FIFO may have taken the file's place."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    except OSError as error:
        if error.errno in ELSEWHERE:
            raise Vanished from error
        raise


def _readlink(name: str, source: int) -> str:
    try:
        return os.readlink(name, dir_fd=source)
    except OSError as error:
        if error.errno in ELSEWHERE or error.errno == errno.EINVAL:
            raise Vanished from error
        raise


def _has_changed(before: os.stat_result, name: str, source: int) -> bool:
    try:
        after = os.stat(name, dir_fd=source, follow_symlinks=False)
    except FileNotFoundError as error:
        raise Vanished from error
    return (before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns) != (
        after.st_dev,
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )


def _unlink(name: str, target: int) -> None:
    try:
        os.unlink(name, dir_fd=target)
    except OSError:
        pass
