"""What a sync asks of its config: the functions of an action, wherever they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.logic.difference import Difference
    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.outcome import Collected, Outcome
    from orchestrator.sync.verify import Verifier


class Calls(Protocol):
    """The functions of a sync's config: a plugin's, or what the user's Lua put in their place."""

    def moved(self, source: bytes) -> None:
        """The source is another directory from now on."""

    def move_into(self, other: Calls) -> None:
        """Be the functions of `other`, the same sync's, which a reload has read anew."""

    def has_init(self) -> bool: ...

    def has_startup(self) -> bool:
        """Whether something is done at the startup: it stands for all changes that were made before."""

    def init(self, event: Event) -> None: ...

    def full(self, event: Event) -> None: ...

    def action(self) -> None: ...

    def collect(self, outcome: Outcome) -> Collected: ...

    def is_of_plugin(self) -> bool:
        """Whether startup, full run, action and judgement all are a plugin's own, so its promises hold."""

    def remarks(self) -> Sequence[str]:
        """See Action.remarks."""

    def resumes(self, cut_off: Sequence[bytes], until: float | None) -> None:
        """See Action.resumes."""

    def started(self, outcome: Outcome) -> None:
        """A startup that was resumed is over: say so as the action says it of any startup."""

    def verifier(self, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        """See Action.verify. Raises CannotVerify."""

    def repairs(self, differences: Sequence[Difference]) -> None:
        """See Action.repairs."""

    def batch_start(self, agent: Agent) -> bytes | bool | None:
        """A transfer is about to be started: a command to run before it, or whether it may be (False: not now)."""

    def batch_end(self, outcome: Outcome, verdict: str) -> bytes | None:
        """A transfer has ended: a command to run after it, if any."""
