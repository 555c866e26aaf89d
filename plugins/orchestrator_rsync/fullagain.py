"""A full run that could not transfer everything (exit code 23) is made again by itself (spec 6 row 16b).

rsync does not say in a form to rely on which paths it was, so all is looked at again: after pauses that grow, and are
ten times as long as the run took at least. Some trees always have a file that can't be read, and they may be large.
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
    """One sync's. `pause` in seconds is the last one, `plan` what the next run was planned as; None: none is due."""

    began: float = 0.0
    pause: float = 0.0
    plan: object | None = None

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
