"""What signals have asked the daemon for."""

from __future__ import annotations

import signal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.masterloop import TurnedLoop

ENDS = (signal.SIGTERM, signal.SIGINT)
RELOADS = (signal.SIGHUP, signal.SIGUSR2)


class StopRequest(Enum):
    """What the daemon is asked to do with the configuration that is at work. The later one in this list wins."""

    NONE = 0
    RELOAD = 1
    """USR2: read the configuration anew; syncs that are the same go on."""
    RESET = 2
    """HUP: likewise, and all syncs start over, unless the setting `reload` says otherwise."""
    END = 3
    """TERM or INT: end when all transfers have ended."""
    END_NOW = 4
    """Another TERM or INT: wait for them no longer."""


class Signals:
    """`request`: the one that stands. `end`: the signal that first asked for the end."""

    def __init__(self, loop: TurnedLoop) -> None:
        self.request = StopRequest.NONE
        self.end: signal.Signals | None = None
        self._loop = loop
        # From now on: what has been read of the config when it comes may be old.
        loop.on_signal(signal.SIGHUP, partial(self._ask_for, StopRequest.RESET))
        loop.on_signal(signal.SIGUSR2, partial(self._ask_for, StopRequest.RELOAD))

    def install_stop_handlers(self) -> None:
        """Handle TERM and INT from now on: until then they end the process at once, as they do with any."""
        for signum in ENDS:
            self._loop.on_signal(signum, partial(self._terminate, signum))

    def take_reload(self) -> StopRequest | None:
        """RELOAD or RESET where one is asked for, which the caller now does."""
        request = self.request
        if request not in (StopRequest.RELOAD, StopRequest.RESET):
            return None
        self.request = StopRequest.NONE
        return request

    def ask_to_reload(self) -> None:
        """As USR2."""
        self._ask_for(StopRequest.RELOAD)

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
        return self.request is not StopRequest.NONE or any(map(self._loop.has_caught, (*ENDS, *RELOADS)))

    def _ask_for(self, request: StopRequest) -> None:
        if request.value > self.request.value:
            self.request = request

    def _terminate(self, signum: signal.Signals) -> None:
        if self.end is None:
            self.end = signum
            self.request = StopRequest.END
        else:
            self.request = StopRequest.END_NOW
