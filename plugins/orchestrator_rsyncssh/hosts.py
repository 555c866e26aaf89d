"""The hosts that moves go to: how a move can be done there, if it can.

A host is probed once, before the first move: with `sh` (moves.PROBE), else with one `mv` that can't be done.
An ssh that does not get through (255) says nothing about that; but where rsync gets through and ssh, before and after
that, does not, ssh is called in a wrong way, and waiting for it would not help.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from orchestrator_rsyncssh.moves import Mv, ran_mv

NO_CONNECTION: Final = 255
TRIES: Final = 3
"""How often ssh fails in a row until one move is given to rsync, to see whether that gets through."""


NOT_BY_SSH: Final = (
    "is reached by rsync, but not by the ssh that moves (see ssh and rsync.rsh): renames are transferred."
)


class Way(Enum):
    UNKNOWN = auto()
    """`sh` is to be tried."""
    MAYBE_SINGLE = auto()
    """It knows no `sh`; one `mv` is to be tried."""
    SCRIPT = auto()
    SINGLE = auto()
    NONE = auto()


@dataclass
class MoveHost:
    """`mv`: what it is like there, for scripts. `name`: of nothing that there is in any target directory."""

    way: Way = Way.UNKNOWN
    mv: Mv = Mv.NEITHER
    name: bytes = field(default_factory=lambda: b".lsyncd-" + os.urandom(8).hex().encode())
    failed: int = 0
    is_doubted: bool = False
    """A move was given to rsync, since ssh did not get through."""
    rsync_got_through: bool = False
    """And rsync did. If the host was merely down, ssh does so, too, from then on."""

    def probed(self, exit_code: int, stderr: bytes) -> str | None:
        """A probe has ended, not with 255. Gives what is worth a log line."""
        self.failed = 0
        self.rsync_got_through = False
        if self.way is Way.MAYBE_SINGLE:
            if ran_mv(exit_code, stderr, self.name):
                self.way = Way.SINGLE
                return "runs no sh for us: renames are done by one mv each."
            self.way = Way.NONE
            return "lets us run neither sh nor mv: renames are transferred."
        try:
            self.mv = Mv(exit_code)
        except ValueError:
            self.way = Way.MAYBE_SINGLE
        else:
            self.way = Way.SCRIPT
        return None

    def is_to_be_tried_by_rsync(self) -> bool:
        """ssh has failed once more. Whether to give a move to rsync now, to see whether that gets through."""
        if self.rsync_got_through:
            self.way = Way.NONE
            return True
        self.failed += 1
        if self.failed < TRIES:
            return False
        self.failed = 0
        self.is_doubted = True
        return True

    def rsync_ended(self, got_through: bool) -> None:
        """A run of rsync has ended."""
        if self.is_doubted:
            self.is_doubted = False
            self.rsync_got_through = got_through

    def forget(self) -> None:
        """It is not as it was found to be."""
        self.way = Way.UNKNOWN
