"""Are the entries of both sides the same, where that takes more than their states (rules.py)? Data: content.py.

All raise Vanished where the source's entry is gone or has become something else, OSError where a side cannot be read.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator_native import xattrs
from orchestrator_native.report import Vanished
from orchestrator_native.rules import is_same_meta, passes_quick_check
from orchestrator_native.trees import ELSEWHERE

if TYPE_CHECKING:
    from orchestrator_native.entry import Entry
    from orchestrator_native.rules import CopyRule


def is_same(entry: Entry, wanted: os.stat_result, have: os.stat_result, rule: CopyRule) -> bool:
    """The same but for the attributes. Regular files: by the quick check."""
    if stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(have.st_mode):
        return False
    if stat.S_ISREG(wanted.st_mode):
        return passes_quick_check(wanted, have, rule)
    if stat.S_ISLNK(wanted.st_mode):
        return symlink_text(entry) == os.readlink(entry.name, dir_fd=entry.target)
    return wanted.st_rdev == have.st_rdev


def is_same_attributes(entry: Entry, wanted: os.stat_result, have: os.stat_result, rule: CopyRule) -> bool:
    """Mode, owner, time and extended attributes."""
    return is_same_meta(wanted, have, rule) and is_same_xattrs(entry, rule)


def is_same_xattrs(entry: Entry, rule: CopyRule) -> bool:
    if not rule.xattrs:
        return True
    name = entry.name
    try:
        return xattrs.is_same(xattrs.below(entry.source, name), xattrs.below(entry.target, name), rule)
    except FileNotFoundError as error:
        raise Vanished from error


def symlink_text(entry: Entry) -> str:
    """Where the source's symlink leads."""
    try:
        return os.readlink(entry.name, dir_fd=entry.source)
    except OSError as error:
        if error.errno in ELSEWHERE or error.errno == errno.EINVAL:
            raise Vanished from error
        raise
