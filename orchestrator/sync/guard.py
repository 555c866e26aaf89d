"""Keeps full runs of one sync from deleting too much (`maxDelete`, spec 6 row 22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.maxdelete import Forecast
from orchestrator.logic.text import text_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.logic.delay import Delay
    from orchestrator.process.child import Child
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.transfer import Check, Transfer

REFUSED = 25
"""What a full run that would delete too much is said to have ended with: rsync's own code for that."""


class Guard:
    """What is known of what they would delete. `refused`: the one that would be too much; nothing goes before it."""

    def __init__(self, host: Host, inlet: Inlet) -> None:
        self.refused: Delay | None = None
        self._host = host
        self._log = host.log_of(inlet.name)
        self._inlet = inlet

    def count(self, transfer: Transfer, check: Check, then: Callable[[Child, int, Forecast | None], None]) -> Child:
        """Find out, in a job, what a full run would delete. `then(child, exit_code, forecast)` is told its end.

        No forecast: counting has failed, or nothing was counted, as when a config is only checked.
        """
        found: list[Forecast] = []
        spawn = transfer.spawn

        def count(stop: threading.Event) -> int:
            """count what would be deleted, and go on if maxDelete allows that"""  # shown by `orchestrator check`
            forecast = check.count(stop, spawn)
            if not isinstance(forecast, Forecast):
                raise TypeError(f"a check's count gives a Forecast, not {forecast!r}")
            found.append(forecast)
            return forecast.exit_code

        def ended(child: Child, exit_code: int) -> None:
            then(child, exit_code, found[0] if found else None)

        child = self._host.processes.run_job(count, ended)
        if spawn is not None:
            child.argv = spawn.argv
        return child

    def tell_not_counted(self, child: Child, forecast: Forecast) -> None:
        """What was asked has not said it to the log, as the run itself would have."""
        child.stderr_tail = forecast.stderr
        if forecast.error:
            child.error = forecast.error
            self._log("Error", "Failed executing [ ", child.argv[0], " ]!")
        elif forecast.stderr.strip():
            self._log("Normal", forecast.stderr.strip())

    def object(self, check: Check, forecast: Forecast) -> str:
        """Say why a full run is refused: once, it is counted again after growing pauses. Gives the reason."""
        name = self._inlet.name
        reason = check.limit.objection(forecast, name, text_of(self._inlet.target))
        if self.refused is None:
            advice = (
                f"{name} waits: it goes on by itself once source and target are right, or with a greater maxDelete."
            )
            self._log("Error", f"{reason} Nothing is deleted. {advice}")
        return reason

    def let_through(self, transfer: Transfer, check: Check, forecast: Forecast | None) -> None:
        """It deletes little enough, and is kept to that."""
        self.refused = None
        spawn = transfer.spawn
        if spawn is not None and forecast is not None:
            spawn.argv = check.limited(spawn.argv, check.limit.allowed(forecast.there))
        if check.announce:
            self._log("Normal", check.announce)
