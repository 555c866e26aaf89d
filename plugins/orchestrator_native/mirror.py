"""One directory of the target made like the source's: the careful part.

Goes through what lies in it on both sides; each entry is entries.py's.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator_native.attributes import is_closed, open_up, settle
from orchestrator_native.entries import Entries
from orchestrator_native.entry import Entry
from orchestrator_native.maker import Maker
from orchestrator_native.quickcompare import LARGE, quick_compare
from orchestrator_native.removal import Remover
from orchestrator_native.report import Stopped, Vanished
from orchestrator_native.rules import Trust, identity
from orchestrator_native.temps import is_in_use, is_leftover, is_ours
from orchestrator_native.trees import ELSEWHERE, join, split

if TYPE_CHECKING:
    from orchestrator_native.entries import WorkQueue
    from orchestrator_native.task import Task
    from orchestrator_native.trees import OpenTree


class Mirror:
    """For one thread. `source` and `target` are its own; `entries`, `maker` and `remover` work in them."""

    def __init__(self, task: Task, source: OpenTree, target: OpenTree, work_queue: WorkQueue) -> None:
        self.task = task
        self.source = source
        self.target = target
        self.work_queue = work_queue
        self.remover = Remover(task, target.clone(), work_queue.name_went)
        self.maker = Maker(task, self.remover)
        self.entries = Entries(task, self.maker, work_queue)

    def close(self) -> None:
        self.source.close()
        self.target.close()
        self.remover.tree.close()

    def entry(self, path: str) -> Entry:
        """Opens the directories that an entry lies in, and lets ourselves in on the target. Raises OSError."""
        parent, name = split(path)
        self.let_in(parent)
        return Entry(path, name, self.source.open(parent), self.target.open(parent))

    def let_in(self, path: str) -> None:
        """To a directory of the target, and what it lies in: what is ours may be closed to ourselves (r-x, as Go has
        the modules that it keeps). Settled afterwards. A directory that cannot be opened is left to
        whoever opens it next."""
        if self.task.rule.root:
            return
        names = path.split("/") if path else []
        for count in range(len(names) + 1):
            directory = "/".join(names[:count])
            if directory in self.task.let_in:
                continue
            try:
                fd = self.target.open(directory)
                status = os.fstat(fd)
                if is_closed(status, self.task.rule):
                    with self.task.changing(fd):
                        open_up(f"/proc/self/fd/{fd}", status)
                    self.target.forget()  # it may have been opened for passing only
                    self.work_queue.later_settle(directory)
            except OSError:
                return
            self.task.let_in.add(directory)

    def directory(self, path: str, *, touched: bool) -> None:
        """The entries directly in a directory; its sub-directories are left for later. `touched`: its own
        attributes need to be set afterwards."""
        try:
            source = self.source.open(path)
        except OSError as error:
            if error.errno not in ELSEWHERE:
                self.task.report.trouble("read", path, error)
            return
        try:
            target = self.target.open(path)
            inner = self._directory(path, source, target, touched=touched)
            for name in inner:
                if not self.task.is_excluded(join(path, name), is_dir=True):
                    self.work_queue.later_directory(join(path, name), touched=False)
        except OSError as error:
            self.task.report.trouble("mirror", path, _readable(error))
            if touched:
                self.settle(path)

    def _directory(self, path: str, source: int, target: int, *, touched: bool) -> list[str]:
        """The names of sub-directories that are still to be looked at."""
        proofs = self.task.proofs
        status = os.fstat(source)
        pair = identity(status), identity(os.fstat(target))
        trust = self.task.trust(*pair)
        if not touched and trust is not Trust.NONE and status.st_size >= LARGE and self.work_queue.later_parts(path):
            return []
        is_foreign = proofs.is_foreign(pair[1])
        inner = None if touched or trust is Trust.NONE else self._quick_compare(source, target)
        # Before the work, as what fails in it, now or later, parts them again.
        proofs.pair(*pair)
        if inner is not None:
            return inner
        try:
            self._entries(path, source, target, trust, is_foreign=is_foreign)
        except BaseException:
            proofs.part(*pair)
            raise
        return []

    def _quick_compare(self, source: int, target: int) -> list[str] | None:
        try:
            return quick_compare(
                source, target, self.task.rule, holds=self.task.proofs.holds, pause=self.task.stop.is_set
            )
        except OSError:
            return None

    def _entries(self, path: str, source: int, target: int, trust: Trust, *, is_foreign: bool) -> None:
        status = os.fstat(source)
        with os.scandir(source) as listing:
            here = list(listing)
        before = os.fstat(target)
        if is_closed(before, self.task.rule):
            with self.task.changing(target):
                open_up(f"/proc/self/fd/{target}", before)
            self.target.forget()  # it may have been opened for passing only
            target = self.target.open(path)
        with os.scandir(target) as listing:
            there = {entry.name: entry for entry in listing}
        for name in there.keys() - {entry.name for entry in here}:
            if self._extra(join(path, name), there[name], is_foreign=is_foreign):
                self.task.defer(path, source, target)
                self.task.proofs.stays_foreign(identity(before))
        unsettled = False
        # what was written to it may have been under a name that is gone; of another directory nothing was known
        is_known = trust is Trust.UNCHANGED
        for found in here:
            if self.task.stop.is_set():
                raise Stopped
            name = found.name
            if is_ours(name):
                continue
            inner = join(path, name)
            try:
                wanted = found.stat(follow_symlinks=False)
                if self.task.is_excluded(inner, is_dir=stat.S_ISDIR(wanted.st_mode)):
                    continue
            except FileNotFoundError:
                continue
            have = _status(there.get(name))
            entry = Entry(inner, name, source, target)
            if have is None and self.task.may_be_deleted(inner, wanted, target):
                self.task.defer(inner, source, target)
                continue
            unsettled = self.entries.bring(entry, wanted, have, trust, is_written=is_known) or unsettled
        # what is closed when it is settled stays open until nothing more is to be done in it
        if unsettled or is_closed(status, self.task.rule):
            self.work_queue.later_settle(path)
        else:
            settle(self.task, path, source, target, status)

    def _extra(self, path: str, entry: os.DirEntry[str], *, is_foreign: bool) -> bool:
        """An entry that only the target has, `is_foreign`: in a directory that we have not made. True: it stays."""
        try:
            have = entry.stat(follow_symlinks=False)
        except OSError:
            return False
        if is_in_use(entry.name):
            return False
        is_dir = stat.S_ISDIR(have.st_mode)
        is_leftover_file = not is_dir and is_leftover(entry.name)
        if is_foreign and self.task.removal.deletes and not is_leftover_file and self.task.may_be_new(path, have):
            return True
        if self.task.removal.deletes or is_leftover_file:
            kind = stat.S_IFDIR if is_dir else stat.S_IFREG
            self.remover.remove(path, kind, is_counted=not is_leftover_file)
        return False

    def file(self, path: str) -> None:
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
            entry = Entry(path, name, source, self.target.open(parent))
        except OSError as error:
            self.task.report.trouble("mirror", path, error)
            return
        if stat.S_ISREG(wanted.st_mode):
            self.entries.file(entry, wanted, target_status(entry))

    def is_same(self, path: str, wanted: os.stat_result, have: os.stat_result, trust: Trust) -> bool:
        """All but the attributes, of an entry that is nothing to work on now."""
        try:
            entry = self.entry(path)
            if self.task.trust(*_identities(entry)) is Trust.NONE:
                trust = Trust.NONE
            return self.entries.is_same(entry, wanted, have, trust)
        except (OSError, Vanished):
            return False

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
        settle(self.task, path, source, target, status)


def target_status(entry: Entry) -> os.stat_result | None:
    try:
        return entry.target_status()
    except OSError:
        return None


def _identities(entry: Entry) -> tuple[int, int]:
    return identity(os.fstat(entry.source)), identity(os.fstat(entry.target))


def _status(entry: os.DirEntry[str] | None) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False) if entry is not None else None
    except FileNotFoundError:
        return None


def _readable(error: OSError) -> OSError:
    """A directory that may be passed but not read is opened with O_PATH; reading it then says EBADF."""
    return PermissionError(errno.EACCES, "") if error.errno == errno.EBADF else error
