"""One entry of the target made like the source's: what there is to do, by what lies on both sides, and by whom."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol

from orchestrator_native import meta
from orchestrator_native.attributes import Fixed, fix, is_closed, open_up
from orchestrator_native.compare import is_same, is_same_attributes
from orchestrator_native.content import is_same_content
from orchestrator_native.maker import has_changed_since
from orchestrator_native.report import Vanished
from orchestrator_native.rules import Trust

if TYPE_CHECKING:
    from orchestrator_native.entry import Entry
    from orchestrator_native.maker import Maker
    from orchestrator_native.task import Task

LARGE = 1 << 20
"""Bytes. Files from this size on are copied side by side; below, starting a thread costs more."""


class WorkQueue(Protocol):
    """Takes the work that is left for later."""

    def later_directory(self, path: str, *, touched: bool) -> None:
        """A directory's entries; `touched`: its own attributes need to be set afterwards."""

    def later_file(self, path: str) -> None: ...

    def later_parts(self, path: str) -> bool:
        """The entries of a large directory, by those who compare it in parts; False: nobody does."""

    def later_link(self, path: str, wanted: os.stat_result, *, trust: Trust, is_written: bool) -> None:
        """One of the names of a file that has several. `trust`: of what lies there on the target, and, if it was
        written to (`is_written`), under its other names as well."""

    def name_went(self, path: str) -> None:
        """No file that has several names has this one any more, if one had."""

    def later_settle(self, path: str) -> None:
        """A directory's own attributes, once nothing more changes in it."""


class Entries:
    """For one thread."""

    def __init__(self, task: Task, maker: Maker, work_queue: WorkQueue) -> None:
        self._task = task
        self._rule = task.rule
        self._maker = maker
        self._work_queue = work_queue

    def bring(
        self,
        entry: Entry,
        wanted: os.stat_result,
        have: os.stat_result | None,
        trust: Trust,
        *,
        is_written: bool = False,
        names: int = 0,
    ) -> bool:
        """Make one entry like the source's; trouble is reported. `is_written`: see WorkQueue.later_link.
        `names`: so many hard links to it are known and cared for by the caller (0: it is left to the work queue if it
        has several).
        True: left for later."""
        mode = wanted.st_mode
        try:
            if stat.S_ISDIR(mode):
                self._directory(entry, wanted, have)
                return False
            if wanted.st_nlink > 1 and not names and self._rule.hard_links:
                self._work_queue.later_link(entry.path, wanted, trust=trust, is_written=is_written)
                return True
            if not names and self._task.is_deferred(entry.path, wanted, have):
                self._task.defer(entry.path, entry.source, entry.target)
                return False
            if have is not None and self._is_plainly_same(entry, wanted, have, trust):
                is_sure = self._task.proofs.holds(wanted, have, Trust.FINISHED)
                self._keep(entry, wanted, have, names, is_sure=is_sure)
            elif stat.S_ISREG(mode) and wanted.st_size >= LARGE and not names:
                self._work_queue.later_file(entry.path)
                return True
            else:
                self._compare_or_make(entry, wanted, have, names)
        except Vanished:
            pass
        except OSError as error:
            self._failed(entry, error)
        return False

    def file(self, entry: Entry, wanted: os.stat_result, have: os.stat_result | None) -> None:
        """A large file that was left for later; trouble is reported."""
        try:
            self._compare_or_make(entry, wanted, have, 0)
        except Vanished:
            pass
        except OSError as error:
            self._failed(entry, error)

    def is_same(self, entry: Entry, wanted: os.stat_result, have: os.stat_result, trust: Trust) -> bool:
        """All but the attributes. Raises OSError, Vanished."""
        return self._is_plainly_same(entry, wanted, have, trust) or self._is_same_content(entry, wanted, have)

    def _is_plainly_same(self, entry: Entry, wanted: os.stat_result, have: os.stat_result, trust: Trust) -> bool:
        if not is_same(entry, wanted, have, self._rule):
            return False
        return not stat.S_ISREG(wanted.st_mode) or self._task.proofs.holds(wanted, have, trust)

    def _is_same_content(self, entry: Entry, wanted: os.stat_result, have: os.stat_result) -> bool:
        is_worth_it = stat.S_ISREG(wanted.st_mode) and stat.S_ISREG(have.st_mode) and wanted.st_size == have.st_size
        return is_worth_it and is_same_content(entry, self._task.stop)

    def _compare_or_make(self, entry: Entry, wanted: os.stat_result, have: os.stat_result | None, names: int) -> None:
        if have is not None and self._is_same_content(entry, wanted, have):
            self._task.proofs.compared(have)
            self._keep(entry, wanted, have, names, is_sure=True)
        else:
            self._make(entry, wanted, have)

    def _keep(self, entry: Entry, wanted: os.stat_result, have: os.stat_result, names: int, *, is_sure: bool) -> None:
        """It is the same but for the attributes. `is_sure`: that is more than the quick check's word."""
        # an inode that has more names than we know of is not changed
        if have.st_nlink > max(names, 1) and not is_same_attributes(entry, wanted, have, self._rule):
            self._make(entry, wanted, have)
            return
        fixed = fix(self._task, entry, wanted, have)
        if fixed is Fixed.REFUSED:
            self._make(entry, wanted, have)
        elif fixed is Fixed.SET and stat.S_ISREG(wanted.st_mode) and (not is_sure or has_changed_since(entry, wanted)):
            self._task.proofs.spoil(have, wanted.st_ctime_ns)

    def _make(self, entry: Entry, wanted: os.stat_result, have: os.stat_result | None) -> None:
        if stat.S_ISREG(wanted.st_mode):
            self._maker.file(entry, have)
        elif stat.S_ISLNK(wanted.st_mode):
            self._maker.symlink(entry, wanted)
        else:
            self._maker.special(entry, wanted)

    def _failed(self, entry: Entry, error: OSError) -> None:
        self._task.report.trouble("mirror", entry.path, error)
        self._task.part(entry.source, entry.target)

    def _directory(self, entry: Entry, wanted: os.stat_result, have: os.stat_result | None) -> None:
        """Itself; its entries are left to the work queue."""
        if have is not None and stat.S_ISDIR(have.st_mode):
            touched = not is_same_attributes(entry, wanted, have, self._rule)
            if is_closed(have, self._rule):
                with meta.pinned(entry.name, entry.target) as handle:
                    open_up(handle, have)
                touched = True
        else:
            if have is not None:
                self._task.proofs.name_goes(entry.name, entry.target)
                with self._task.changing(entry.target):
                    os.unlink(entry.name, dir_fd=entry.target)
            with self._task.changing(entry.target):
                os.mkdir(entry.name, 0o700, dir_fd=entry.target)
            self._task.made(entry.name, entry.target)
            touched = True
        self._work_queue.later_directory(entry.path, touched=touched)
