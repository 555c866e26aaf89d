"""A full run that could not transfer everything (exit code 23) is made again by itself (spec 6 row 16b).

Where it is unclear which paths those were, or they are many, the whole tree is looked at again: after pauses that grow,
and are ten times as long as the run took at least. Some trees always have a file that can't be read, and they may be
large.

One file that does not fit on the target ends a full run before it comes to those behind it (exit code 11). The next
one leaves out what is as large, so all else arrives; then it counts as one that could not transfer everything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.api import RetryTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api import Inlet

SHARE = 10.0
"""The pause is at least so many times as long as the run took."""


class FullRetry:
    """One sync's. `max_size`: bytes of the largest file of the next full run; None: any."""

    def __init__(self, delay: float, now: Callable[[], float] = time.monotonic) -> None:
        """`delay` in seconds: the first pause. `now` gives the time in seconds."""
        self._now = now
        self.max_size: int | None = None
        self._timer = RetryTimer(delay)
        self._began = 0.0

    @property
    def is_planned(self) -> bool:
        """Whether a full run is still to come by itself."""
        return self._timer.is_planned

    def begin(self) -> None:
        """A full run is started."""
        self._began = self._now()

    def succeeded(self) -> None:
        """A full run has transferred everything."""
        self._timer.succeeded()

    def failed(self, inlet: Inlet) -> float | None:
        """A full run has not transferred everything: plan the next one, instead of one that was planned before.

        Returns the pause in seconds where it has grown, which is worth a log line, else None.
        """
        self._timer.cancel()
        return self._timer.failed(inlet, inlet.full_event, SHARE * (self._now() - self._began))
