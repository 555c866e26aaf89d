"""New entries of the target: made complete under a temporary name and renamed, so nobody ever sees half of one.

Nothing is synced to disk (fsync), as rsync does not: after a power cut the next startup compares and repairs.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from orchestrator_native import meta, xattrs
from orchestrator_native.attributes import apply
from orchestrator_native.compare import symlink_text
from orchestrator_native.content import open_source
from orchestrator_native.data import Copier
from orchestrator_native.newer import is_newer
from orchestrator_native.proofs import ANY_CHANGE
from orchestrator_native.report import Vanished
from orchestrator_native.temps import temp_name
from orchestrator_native.trees import split

if TYPE_CHECKING:
    from orchestrator_native.entry import Entry
    from orchestrator_native.removal import Remover
    from orchestrator_native.task import Task

TRIES = 3
"""A file that changes while being copied is copied so often; then it is taken as it was: its change
has an event of its own, and its time on the target is that of before, so it does not pass for equal."""


class Maker:
    """For one thread. All raise OSError, and Vanished where the source's entry is gone or has become something else;
    what was begun under a temporary name is removed then."""

    def __init__(self, task: Task, remover: Remover) -> None:
        """`remover`: for directories that stand in the way."""
        self._task = task
        self._remover = remover
        self._copier = Copier(task.stop, task.tally.copied)

    def file(self, entry: Entry, have: os.stat_result | None) -> None:
        """Copy a regular file over what there was when that was decided. See newer.py."""
        for left in reversed(range(TRIES)):
            fd = open_source(entry)
            try:
                if self._copy(entry, fd, have, is_last=not left):
                    return
            finally:
                os.close(fd)

    def symlink(self, entry: Entry, wanted: os.stat_result) -> None:
        text = symlink_text(entry)
        temp = temp_name(entry.name)
        with self._task.changing(entry.target):
            os.symlink(text, temp, dir_fd=entry.target)
        self._finish(temp, entry, wanted)

    def special(self, entry: Entry, wanted: os.stat_result) -> None:
        """A device, FIFO or socket."""
        mode = wanted.st_mode
        if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and not self._task.rule.root:
            self._task.report.note("devices are left out: only root can make them")
            return
        temp = temp_name(entry.name)
        with self._task.changing(entry.target):
            os.mknod(temp, stat.S_IFMT(mode) | 0o600, wanted.st_rdev, dir_fd=entry.target)
        self._finish(temp, entry, wanted)

    def link(self, leader: str, path: str, target: int) -> None:
        """Make `path`, which lies in `target`, another name of `leader` on the target."""
        parent, name = split(leader)
        own = split(path)[1]
        temp = temp_name(own)
        fd = self._remover.tree.open(parent)
        with self._task.changing(target):
            os.link(name, temp, src_dir_fd=fd, dst_dir_fd=target, follow_symlinks=False)
        try:
            self._place(temp, path, own, target)
        finally:
            self._unlink(temp, target)

    def _copy(self, entry: Entry, fd: int, have: os.stat_result | None, *, is_last: bool) -> bool:
        """False: it changed while being copied, and nothing was put."""
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise Vanished
        temp = temp_name(entry.name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._task.changing(entry.target):
            copy = os.open(temp, flags, 0o600, dir_fd=entry.target)
        placed = False
        try:
            try:
                new = os.fstat(copy)
                self._copier.copy(fd, copy, before, new.st_dev)
                if not is_last and _has_changed(before, entry):
                    return False
                attributes = xattrs.read(fd, self._task.rule) if self._task.rule.xattrs else None
                apply(self._task, copy, before, new, attributes or None, new=True)
            finally:
                os.close(copy)
            if self._task.patience > 0 and self._was_written(entry, before, have):
                self._task.defer(entry.path, entry.source, entry.target)
                return True
            self._place(temp, entry.path, entry.name, entry.target)
            placed = True
            if has_changed_since(entry, before):
                self._task.proofs.spoil(new, ANY_CHANGE)
            return True
        finally:
            if not placed:
                self._unlink(temp, entry.target)

    def _was_written(self, entry: Entry, wanted: os.stat_result, have: os.stat_result | None) -> bool:
        """What it is to replace has been written meanwhile."""
        try:
            now = entry.target_status()
        except OSError:
            return False
        return (have is None or now.st_ctime_ns != have.st_ctime_ns) and is_newer(wanted, now)

    def _finish(self, temp: str, entry: Entry, wanted: os.stat_result) -> None:
        """Attributes of what was just made under a temporary name; then its real name."""
        placed = False
        try:
            attributes = None
            if self._task.rule.xattrs:
                try:
                    attributes = xattrs.read_entry(entry.source, entry.name, self._task.rule)
                except FileNotFoundError as error:
                    raise Vanished from error
            with meta.pinned(temp, entry.target) as handle:
                apply(self._task, handle, wanted, os.stat(handle), attributes or None, new=True)
            self._place(temp, entry.path, entry.name, entry.target)
            placed = True
        finally:
            if not placed:
                self._unlink(temp, entry.target)

    def _place(self, temp: str, path: str, name: str, target: int) -> None:
        self._task.proofs.name_goes(name, target)
        try:
            self._rename(temp, name, target)
        except IsADirectoryError:
            self._make_way(path, name, target)
            self._rename(temp, name, target)
        self._task.tally.made()

    def _rename(self, temp: str, name: str, target: int) -> None:
        with self._task.changing(target):
            os.rename(temp, name, src_dir_fd=target, dst_dir_fd=target)

    def _make_way(self, path: str, name: str, target: int) -> None:
        if self._task.removal.makes_way:
            self._remover.remove(path, stat.S_IFDIR)
        else:
            with self._task.changing(target):
                os.rmdir(name, dir_fd=target)

    def _unlink(self, name: str, target: int) -> None:
        try:
            with self._task.changing(target):
                os.unlink(name, dir_fd=target)
        except OSError:
            pass


def has_changed_since(entry: Entry, before: os.stat_result) -> bool:
    """The source's entry: in whatever way, so that what was made of it may not be all of it."""
    try:
        return entry.source_status().st_ctime_ns != before.st_ctime_ns
    except OSError:
        return True


def _has_changed(before: os.stat_result, entry: Entry) -> bool:
    try:
        after = entry.source_status()
    except FileNotFoundError as error:
        raise Vanished from error
    return (before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns) != (
        after.st_dev,
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )
