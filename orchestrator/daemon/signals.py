"""What the daemon has been told by signals."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.masterloop import Loop

ENDS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """`end`: the first signal that asks for the end. `is_urged`: another has come. `asks_reset`: HUP has."""

    def __init__(self, loop: Loop) -> None:
        self.end: signal.Signals | None = None
        self.is_urged = False
        self.asks_reset = False
        self._loop = loop
        # From now on: what has been read of the config when it comes may be old.
        loop.on_signal(signal.SIGHUP, self._note_reset)

    def mind_ends(self) -> None:
        """Until then they end the process at once, as they do with any."""
        for signum in ENDS:
            self._loop.on_signal(signum, partial(self._note_end, signum))

    def waiting_end(self) -> signal.Signals | None:
        """One that has come and is not known to anybody yet: the loop stands still."""
        return next((signum for signum in ENDS if self._loop.has_caught(signum)), None)

    def is_waiting(self) -> bool:
        """Whether any of them has come that is to be obeyed and is not yet."""
        return self.end is not None or self.asks_reset or any(map(self._loop.has_caught, (*ENDS, signal.SIGHUP)))

    def _note_reset(self) -> None:
        self.asks_reset = True

    def _note_end(self, signum: signal.Signals) -> None:
        if self.end is None:
            self.end = signum
        else:
            self.is_urged = True
