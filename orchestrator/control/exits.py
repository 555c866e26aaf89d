"""Exit statuses of `orchestrator`, the same for every subcommand but `health`, and the way to end with one."""

from __future__ import annotations

from typing import Final

OK: Final = 0
ATTENTION: Final = 1
"""Somebody should have a look: at a sync, at a config, at a difference."""
WRONG_CALL: Final = 2
"""As for any call that argparse refuses: also several daemons where one was meant, or a sync that there is not."""
NO_DAEMON: Final = 3
"""None runs, none answers, or none that this user may ask."""


class Refused(Exception):
    """The subcommand ends without a result: its one line for stderr, without "Error: ", and the exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotAllowed(Refused):
    """A daemon runs, and this user may not ask that of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, NO_DAEMON)
