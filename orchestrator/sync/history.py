"""The last success and the last error of one sync, for the status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.logic.secrets import mask
from orchestrator.logic.verdict import OK

if TYPE_CHECKING:
    from orchestrator.clock import Clock
    from orchestrator.sync.outcome import Outcome


class History:
    """`last_success`: seconds since 1970. `last_error`: its `time` likewise, `exit_code`, `cause`."""

    def __init__(self, clock: Clock) -> None:
        self.last_success: float | None = None
        self.last_error: dict[str, Any] | None = None
        self._clock = clock

    def record(self, outcome: Outcome, verdict: str, cause: str = "") -> None:
        """A transfer has ended. `cause`: why it failed, where its action knows that better than the outcome."""
        if verdict == OK and outcome.exit_code == 0:
            self.last_success = self._clock.wall()
        else:
            self.failed(outcome.exit_code, outcome.error or cause or outcome.cause)

    def failed(self, exit_code: int, cause: str) -> None:
        """`cause` in a few words, without its passwords; empty where nobody knows more than the exit code."""
        cause = mask(cause) or f"exit code {exit_code}"
        self.last_error = {"time": self._clock.wall(), "exit_code": exit_code, "cause": cause}
