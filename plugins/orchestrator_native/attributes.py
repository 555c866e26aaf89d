"""The attributes of entries that are on the target already, made like the source's; how is in meta.py.

Attributes that cannot be carried over are noted in the task's report.

Rights to a file's data, which are the owner and group it belongs to, set-user and set-group bits, capabilities, root
never gives to a file that lies there already: somebody may have put it there, equal in size and time or even in
content, with a descriptor open to write to it afterwards. Such a file is copied anew.
"""

from __future__ import annotations

import errno
import os
import stat
from enum import Enum, auto
from typing import TYPE_CHECKING

from orchestrator_native import meta, xattrs
from orchestrator_native.compare import is_same_xattrs
from orchestrator_native.rules import is_same_meta, is_same_owner

if TYPE_CHECKING:
    from orchestrator_native.entry import Entry
    from orchestrator_native.rules import CopyRule
    from orchestrator_native.task import Task


def apply(
    task: Task,
    handle: xattrs.Handle,
    wanted: os.stat_result,
    have: os.stat_result,
    attributes: dict[str, bytes] | None,
    *,
    new: bool = False,
) -> None:
    """As meta.apply."""
    for limit in meta.apply(handle, wanted, have, task.rule, attributes, new=new):
        task.report.note(limit)


class Fixed(Enum):
    NOTHING = auto()
    """There was nothing to do."""
    SET = auto()
    REFUSED = auto()
    """It would give rights to data that is not ours for sure; nothing was done."""


def fix(task: Task, entry: Entry, wanted: os.stat_result, have: os.stat_result) -> Fixed:
    """Those of an entry that is the same but for them. Raises OSError, Vanished."""
    same_xattrs = is_same_xattrs(entry, task.rule)
    if same_xattrs and is_same_meta(wanted, have, task.rule):
        return Fixed.NOTHING
    attributes = None if same_xattrs else xattrs.read_entry(entry.source, entry.name, task.rule)
    with meta.pinned(entry.name, entry.target) as handle:
        now = os.stat(handle)
        if stat.S_IFMT(now.st_mode) != stat.S_IFMT(wanted.st_mode):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        if _gives_rights(handle, wanted, now, task.rule, attributes):
            return Fixed.REFUSED
        apply(task, handle, wanted, now, attributes)
    return Fixed.SET


def _gives_rights(
    handle: xattrs.Handle,
    wanted: os.stat_result,
    have: os.stat_result,
    rule: CopyRule,
    attributes: dict[str, bytes] | None,
) -> bool:
    if not rule.root or not stat.S_ISREG(wanted.st_mode):
        return False
    if not is_same_owner(wanted, have, rule) or wanted.st_mode & ~have.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return True
    capabilities = (attributes or {}).get(xattrs.CAPABILITIES)
    return capabilities is not None and xattrs.read(handle, rule).get(xattrs.CAPABILITIES) != capabilities


def settle(task: Task, path: str, source: int, target: int, wanted: os.stat_result) -> None:
    """Those of a directory that is open on both sides; trouble is reported."""
    try:
        with meta.pinned(".", target) as handle:
            have = os.stat(handle)
            attributes = None
            if task.rule.xattrs and not xattrs.is_same(xattrs.below(source, "."), xattrs.below(target, "."), task.rule):
                attributes = xattrs.read_entry(source, ".", task.rule)
            if attributes is not None or not is_same_meta(wanted, have, task.rule):
                with task.changing(target):
                    apply(task, handle, wanted, have, attributes)
            task.leave(target)
    except OSError as error:
        task.report.trouble("set the attributes of", path, error)


def is_closed(directory: os.stat_result, rule: CopyRule) -> bool:
    """A directory of ours on the target may be closed to ourselves (r-x)."""
    return not rule.root and directory.st_mode & stat.S_IRWXU != stat.S_IRWXU


def open_up(handle: xattrs.Handle, directory: os.stat_result) -> None:
    """Lets ourselves in; its attributes need to be set afterwards."""
    os.chmod(handle, stat.S_IMODE(directory.st_mode) | stat.S_IRWXU)
