"""Keeps full runs of one sync from deleting too much (`maxDelete`, spec 6 row 22)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.logic.maxdelete import DeletionCount
from orchestrator.logic.text import text_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.logic.delay import Delay
    from orchestrator.process.child import Child
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.outcome import Outcome
    from orchestrator.sync.spawn import Check
    from orchestrator.sync.transfer import Transfer

REFUSED = 25
"""What a full run that would delete too much is said to have ended with: rsync's own code for that."""


class Guard:
    """`refused`: the full run that would delete too much; nothing goes before it."""

    def __init__(self, host: Host, inlet: Inlet) -> None:
        self.refused: Delay | None = None
        self._host = host
        self._log = host.log_of(inlet.name)
        self._inlet = inlet

    def count(
        self, transfer: Transfer, check: Check, then: Callable[[Child, int, DeletionCount | None], None]
    ) -> Child:
        """Find out, in a job, what a full run would delete. `then(child, exit_code, counted)` is called at its end.

        `counted` is None where counting has failed, or nothing was counted, as when a config is only checked.
        """
        found: list[DeletionCount] = []
        spawn = transfer.spawn

        def count(stop: threading.Event) -> int:
            """count what would be deleted, and go on if maxDelete allows that"""  # shown by `orchestrator check`
            counted = check.count(stop, spawn)
            if not isinstance(counted, DeletionCount):
                raise TypeError(f"a check's count gives a DeletionCount, not {counted!r}")
            found.append(counted)
            return counted.exit_code

        def ended(child: Child, exit_code: int) -> None:
            then(child, exit_code, found[0] if found else None)

        child = self._host.processes.run_job(count, ended)
        if spawn is not None:
            child.argv = spawn.argv
        return child

    def not_counted(self, child: Child, outcome: Outcome, counted: DeletionCount) -> Outcome:
        """Counting has failed: log it, as the run itself would have. Gives the outcome with the reason in it."""
        if counted.error:
            self._log("Error", "Failed executing [ ", child.argv[0], " ]!")
        elif counted.stderr.strip():
            self._log("Normal", counted.stderr.strip())
        return replace(outcome, stderr=counted.stderr, error=counted.error or outcome.error)

    def refuse(self, check: Check, counted: DeletionCount) -> str:
        """Say why a full run is refused: once, it is counted again after growing pauses. Gives the reason."""
        name = self._inlet.name
        reason = check.limit.refusal(counted, name, text_of(self._inlet.target))
        if self.refused is None:
            advice = (
                f"{name} waits: it goes on by itself once source and target are right, or with a greater maxDelete."
            )
            self._log("Error", f"{reason} Nothing is deleted. {advice}")
        return reason

    def allow(self, transfer: Transfer, check: Check, counted: DeletionCount | None) -> None:
        """It deletes little enough, and is kept to that."""
        self.refused = None
        spawn = transfer.spawn
        if spawn is not None and counted is not None:
            spawn.argv = check.limited(spawn.argv, check.limit.allowed(counted.existing))
        if check.announce:
            self._log("Normal", check.announce)
