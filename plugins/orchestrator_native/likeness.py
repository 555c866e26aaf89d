"""Are the two entries at a spot the same, where that takes more than their states (rules.py)? Data: content.py.

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
    from orchestrator_native.rules import Rule
    from orchestrator_native.spot import Spot


def is_same(spot: Spot, wanted: os.stat_result, have: os.stat_result, rule: Rule) -> bool:
    """The same but for the attributes. Regular files: by the quick check."""
    if stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(have.st_mode):
        return False
    if stat.S_ISREG(wanted.st_mode):
        return passes_quick_check(wanted, have, rule)
    if stat.S_ISLNK(wanted.st_mode):
        return symlink_text(spot) == os.readlink(spot.name, dir_fd=spot.target)
    return wanted.st_rdev == have.st_rdev


def is_same_attributes(spot: Spot, wanted: os.stat_result, have: os.stat_result, rule: Rule) -> bool:
    """Mode, owner, time and extended attributes."""
    return is_same_meta(wanted, have, rule) and is_same_xattrs(spot, rule)


def is_same_xattrs(spot: Spot, rule: Rule) -> bool:
    if not rule.xattrs:
        return True
    name = spot.name
    try:
        return xattrs.is_same(xattrs.below(spot.source, name), xattrs.below(spot.target, name), rule)
    except FileNotFoundError as error:
        raise Vanished from error


def symlink_text(spot: Spot) -> str:
    """Where the source's symlink leads."""
    try:
        return os.readlink(spot.name, dir_fd=spot.source)
    except OSError as error:
        if error.errno in ELSEWHERE or error.errno == errno.EINVAL:
            raise Vanished from error
        raise
