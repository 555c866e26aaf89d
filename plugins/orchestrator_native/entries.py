"""One entry of the target made like the source's: what there is to do, by what lies on both sides, and by whom."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol

from orchestrator_native import meta
from orchestrator_native.attributes import fix, is_closed, open_up
from orchestrator_native.likeness import is_same, is_same_attributes
from orchestrator_native.report import Vanished

if TYPE_CHECKING:
    from orchestrator_native.maker import Maker
    from orchestrator_native.spot import Spot
    from orchestrator_native.task import Task

LARGE = 1 << 20
"""Bytes. Files from this size on are copied side by side; below, starting a thread costs more."""


class Crew(Protocol):
    """Takes what is left for later."""

    def later_directory(self, path: str, *, touched: bool) -> None:
        """What lies in it; `touched`: its own attributes need to be set afterwards."""

    def later_file(self, path: str) -> None: ...

    def later_link(self, path: str, wanted: os.stat_result, *, written: bool) -> None:
        """One of the names of a file that has several."""

    def later_settle(self, path: str) -> None:
        """A directory's own attributes, once nothing more changes in it."""


class Entries:
    """For one thread."""

    def __init__(self, task: Task, maker: Maker, crew: Crew) -> None:
        self._task = task
        self._rule = task.rule
        self._maker = maker
        self._crew = crew

    def bring(
        self,
        spot: Spot,
        wanted: os.stat_result,
        have: os.stat_result | None,
        *,
        written: bool = False,
        names: int = 0,
    ) -> bool:
        """Make one entry like the source's; trouble is reported. `written`: see rules.is_same_data. `names`: so many
        hard links to it are known and cared for by the caller (0: it is left to the crew if it has several).
        True: left for later."""
        mode = wanted.st_mode
        try:
            if stat.S_ISDIR(mode):
                self._directory(spot, wanted, have)
                return False
            if wanted.st_nlink > 1 and not names and self._rule.hard_links:
                self._crew.later_link(spot.path, wanted, written=written)
                return True
            if (
                have is not None
                and is_same(spot, wanted, have, self._rule, written=written)
                # an inode that has more names than we know of is not changed
                and (have.st_nlink <= max(names, 1) or is_same_attributes(spot, wanted, have, self._rule))
            ):
                fix(self._task, spot, wanted, have)
            elif stat.S_ISREG(mode):
                if wanted.st_size >= LARGE and not names:
                    self._crew.later_file(spot.path)
                    return True
                self._maker.file(spot)
            elif stat.S_ISLNK(mode):
                self._maker.symlink(spot, wanted)
            else:
                self._maker.special(spot, wanted)
        except Vanished:
            pass
        except OSError as error:
            self._task.report.trouble("mirror", spot.path, error)
        return False

    def _directory(self, spot: Spot, wanted: os.stat_result, have: os.stat_result | None) -> None:
        """Itself; what lies in it is left to the crew."""
        if have is not None and stat.S_ISDIR(have.st_mode):
            touched = not is_same_attributes(spot, wanted, have, self._rule)
            if is_closed(have, self._rule):
                with meta.pinned(spot.name, spot.target) as handle:
                    open_up(handle, have)
                touched = True
        else:
            if have is not None:
                os.unlink(spot.name, dir_fd=spot.target)
            os.mkdir(spot.name, 0o700, dir_fd=spot.target)
            touched = True
        self._crew.later_directory(spot.path, touched=touched)
