"""A full run that could not transfer everything (exit code 23) is made again by itself (spec 6 row 16b).

Where it is unclear which paths those were, or they are many, all is looked at again: after pauses that grow, and are
ten times as long as the run took at least. Some trees always have a file that can't be read, and they may be large.

One file that does not fit on the target ends a full run before it comes to those behind it (exit code 11). The next
one leaves out what is as large, so all else arrives; then it counts as one that could not transfer everything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.api import next_pause

if TYPE_CHECKING:
    from orchestrator.api import Inlet

SHARE = 10.0
"""Times as long as the run took is the pause at least."""


@dataclass
class FullAgain:
    """One sync's. `pause` in seconds is the last one, `plan` what the next run was planned as; None: none is due.

    `max_size`: bytes of the largest file of the next run; None: any.
    """

    began: float = 0.0
    pause: float = 0.0
    plan: object | None = None
    max_size: int | None = None

    def begin(self) -> None:
        """A full run is started."""
        self.began = time.monotonic()

    def succeeded(self) -> None:
        """A full run has transferred everything."""
        self.pause = 0.0
        self.plan = None

    def failed(self, inlet: Inlet) -> float | None:
        """It has not. Gives the pause until it is made again, where that is longer than the last: worth a log line."""
        least = SHARE * (time.monotonic() - self.began)
        pause = max(next_pause(self.pause, float(inlet.config.get("delay") or 0.0)), least)
        is_news = pause > max(self.pause, least) or not self.pause
        self.pause = pause
        plan = self.plan = object()

        def again() -> None:
            if self.plan is plan:
                self.plan = None
                inlet.full_event()

        inlet.after(pause, again)
        return pause if is_news else None
