"""Removing what is extra on the target: never through a symlink, never what is excluded."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from orchestrator_native.proofs import ANY_CHANGE
from orchestrator_native.report import Stopped
from orchestrator_native.rules import identity
from orchestrator_native.trees import join, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator_native.task import Task
    from orchestrator_native.trees import OpenTree


class Remover:
    """Has an OpenTree of its own, so that it may go down anywhere while its owner works elsewhere."""

    def __init__(self, task: Task, tree: OpenTree, name_went: Callable[[str], None]) -> None:
        """`name_went` is called with each name that is removed of a file with several."""
        self.task = task
        self.tree = tree
        self._name_went = name_went
        self._is_counted = False

    def remove(self, path: str, mode: int, *, is_counted: bool = False) -> bool:
        """Remove a file, or a directory with all in it. False: something of it stays, be it excluded
        or because it could not be removed (which is reported). `is_counted`: it is no more than the task's budget
        has left, or TooMuch is raised."""
        self._is_counted = is_counted
        try:
            if not stat.S_ISDIR(mode):
                return self._unlink(path)
            return self._remove_tree(path)
        finally:
            self.tree.forget()

    def _unlink(self, path: str) -> bool:
        if self.task.is_excluded(path, is_dir=False):
            return False
        parent, name = split(path)
        self._take()
        try:
            self._unlink_name(path, name, self.tree.open(parent))
        except FileNotFoundError:
            pass
        except OSError as error:
            self.task.report.trouble("remove", path, error)
            return False
        return True

    def _unlink_name(self, path: str, name: str, directory: int) -> None:
        if not self.task.rule.hard_links:
            with self.task.changing(directory):
                os.unlink(name, dir_fd=directory)
            return
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        with self.task.changing(directory):
            os.unlink(name, dir_fd=directory)
        if status.st_nlink > 1:
            self.task.proofs.spoil(status, ANY_CHANGE)
            self._name_went(path)

    def _remove_tree(self, path: str) -> bool:
        """Goes through the directories by a list of its own: a tree may be deeper than Python's stack."""
        gone = True
        pending = [(path, False)]
        while pending:
            if self.task.stop.is_set():
                raise Stopped
            directory, is_empty = pending.pop()
            if is_empty:
                gone = self._rmdir(directory) and gone
                continue
            if self.task.is_excluded(directory, is_dir=True):
                gone = False
                continue
            pending.append((directory, True))
            try:
                pending += [(inner, False) for inner in self._empty(directory)]
            except FileNotFoundError:
                pass
            except OSError as error:
                self.task.report.trouble("remove", directory, error)
                gone = False
        return gone

    def _empty(self, directory: str) -> list[str]:
        """Unlink all but directories; those are returned."""
        fd = self.tree.open(directory)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) in self.task.removal.guarded:
            raise PermissionError(1, "it is a sync's own source or target")
        self.task.proofs.is_gone(identity(status))
        if not self.task.rule.root and status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            with self.task.changing(fd):
                os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
            self.tree.forget()
            fd = self.tree.open(directory)
        with os.scandir(fd) as listing:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
        inner: list[str] = []
        for name, is_dir in entries:
            path = join(directory, name)
            if is_dir:
                inner.append(path)
            elif not self.task.is_excluded(path, is_dir=False):
                self._take()
                try:
                    self._unlink_name(path, name, fd)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    self.task.report.trouble("remove", path, error)
        return inner

    def _take(self) -> None:
        if self._is_counted and self.task.removal.budget is not None:
            self.task.removal.budget.take()

    def _rmdir(self, directory: str) -> bool:
        parent, name = split(directory)
        self._take()
        try:
            outer = self.tree.open(parent)
            with self.task.changing(outer):
                os.rmdir(name, dir_fd=outer)
        except FileNotFoundError:
            pass
        except OSError as error:
            if not self._holds_something(directory):
                self.task.report.trouble("remove", directory, error)
            return False
        return True

    def _holds_something(self, directory: str) -> bool:
        """Excluded entries, or what was reported already: no trouble of its own."""
        try:
            with os.scandir(self.tree.open(directory)) as listing:
                return any(True for _ in listing)
        except OSError:
            return False
