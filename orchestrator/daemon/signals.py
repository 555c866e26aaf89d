"""What signals have asked the daemon for."""

from __future__ import annotations

import signal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.masterloop import TurnedLoop

ENDS = (signal.SIGTERM, signal.SIGINT)


class StopRequest(Enum):
    """What the daemon is asked to do with the configuration that is at work. The later one in this list wins."""

    NONE = 0
    RESET = 1
    """HUP: start over with the configuration read anew."""
    END = 2
    """TERM or INT: end when all transfers have ended."""
    END_NOW = 3
    """Another TERM or INT: wait for them no longer."""


class Signals:
    """`request`: the one that stands. `end`: the signal that first asked for the end."""

    def __init__(self, loop: TurnedLoop) -> None:
        self.request = StopRequest.NONE
        self.end: signal.Signals | None = None
        self._loop = loop
        # From now on: what has been read of the config when it comes may be old.
        loop.on_signal(signal.SIGHUP, self._hang_up)

    def install_stop_handlers(self) -> None:
        """Handle TERM and INT from now on: until then they end the process at once, as they do with any."""
        for signum in ENDS:
            self._loop.on_signal(signum, partial(self._terminate, signum))

    def take_reset(self) -> bool:
        """Whether a reset is asked for, which the caller now does."""
        is_asked = self.request is StopRequest.RESET
        if is_asked:
            self.request = StopRequest.NONE
        return is_asked

    def take_second_signal(self) -> bool:
        """Whether there was a second TERM or INT since this was last asked."""
        was_sent = self.request is StopRequest.END_NOW
        if was_sent:
            self.request = StopRequest.END
        return was_sent

    def unhandled_end(self) -> signal.Signals | None:
        """A TERM or INT that has come while the loop stands still, so that it is not handled yet."""
        return next((signum for signum in ENDS if self._loop.has_caught(signum)), None)

    def is_stop_requested(self) -> bool:
        """Whether there is a request, or a signal that will become one, and the daemon does not follow it yet."""
        return self.request is not StopRequest.NONE or any(map(self._loop.has_caught, (*ENDS, signal.SIGHUP)))

    def _hang_up(self) -> None:
        if self.request is StopRequest.NONE:
            self.request = StopRequest.RESET

    def _terminate(self, signum: signal.Signals) -> None:
        if self.end is None:
            self.end = signum
            self.request = StopRequest.END
        else:
            self.request = StopRequest.END_NOW
