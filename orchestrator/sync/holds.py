"""Transfers of one sync that somebody lets not begin: the config's onBatchStart, or a plugin's hook.

A transfer is made once, and then kept: its changes count as being transferred, so nothing overtakes them, and they keep
their age. The function or plugin that holds it is asked again each second. The log says when the sync begins to be
held and when that is over.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from orchestrator.logic.event import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.host import Host
    from orchestrator.sync.transfer import Transfer

PAUSE: Final = 1.0
"""Seconds until somebody is asked again."""

AT_ONCE: Final = 100
"""Transfers of single changes that are asked for in one go; the others have their turn a second later."""


class Holds:
    """The held transfers. `ask(transfer, by)` gives who holds it now, `by` as before or another; None: nobody any more.

    While a list or a run over everything is held, so is the sync: what comes meanwhile would be held as well.
    """

    def __init__(self, host: Host, name: str, ask: Callable[[Transfer, str], str | None]) -> None:
        self.by = ""
        """The holder of the transfer that has been held for the longest time; empty: none is held."""
        self._host = host
        self._log = host.log_of(name)
        self._name = name
        self._ask = ask
        self._held: deque[tuple[Transfer, str]] = deque()
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def holds_all(self) -> bool:
        """Whether nothing else of the sync may be started."""
        return any(_is_whole(transfer) for transfer, _ in self._held) if self._held else False

    def add(self, transfer: Transfer, by: str) -> None:
        """It may not begin yet."""
        if not self._held:
            self._since = self._host.clock.now()
            self._set_timer()
            self._say(by)
        self._held.append((transfer, by))

    def close(self) -> None:
        """Nothing of it will begin any more."""
        while self._held:
            self._held.popleft()[0].on_finished()

    def _fire(self) -> None:
        for _ in range(min(AT_ONCE, len(self._held))):
            transfer, by = self._held.popleft()
            still_by = self._ask(transfer, by)
            if still_by is not None:
                self._held.append((transfer, still_by))
                if still_by != self.by:
                    self._say(still_by)
        if self._held:
            self._set_timer()
        elif self.by:
            seconds = self._host.clock.now() - self._since
            self._log("Normal", f"{self._name} is no longer held by {self.by}, after {seconds:.0f} s.")
            self.by = ""

    def _set_timer(self) -> None:
        self._host.alarms.add(self._host.clock.now() + PAUSE, self._fire)

    def _say(self, by: str) -> None:
        self.by = by
        self._log("Normal", f"{self._name} is held by {by}, which is asked again each second.")


def _is_whole(transfer: Transfer) -> bool:
    agent = transfer.agent
    return agent.is_list or any(delay.etype in SPECIAL for delay in agent.delays)
