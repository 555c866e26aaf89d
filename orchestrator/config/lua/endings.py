"""Outcomes on their way through Lua, whose `collect(agent, exitcode)` is lsyncd's and has no room for them.

A config's function may call the built-in ones, with another exit code even. They are given the outcome by its agent,
and leave here what they know beyond the verdict. Called at any other time they judge the exit code alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.sync.outcome import Collected, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.sync.inlet import Agent


class Ending:
    """One outcome while a config's `collect` runs. `collected`: the answer of the built-in functions so far."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.collected = Collected()


class Endings:
    """All that are being collected."""

    def __init__(self) -> None:
        self._by_agent: dict[Agent, Ending] = {}

    @contextmanager
    def collecting(self, outcome: Outcome) -> Iterator[Ending]:
        """For the time that the config's `collect` runs."""
        ending = self._by_agent[outcome.agent] = Ending(outcome)
        try:
            yield ending
        finally:
            del self._by_agent[outcome.agent]

    def outcome(self, agent: Agent, exit_code: int) -> Outcome:
        """The outcome for a built-in `collect`, with the exit code that Lua has passed."""
        ending = self._by_agent.get(agent)
        return Outcome(agent, exit_code) if ending is None else replace(ending.outcome, exit_code=exit_code)

    def note(self, agent: Agent, collected: Collected) -> None:
        """A built-in `collect` has answered. What an earlier one has said of failed paths and causes stays."""
        ending = self._by_agent.get(agent)
        if ending is not None:
            before = ending.collected
            failed = before.failed if collected.failed is None else [*(before.failed or ()), *collected.failed]
            ending.collected = replace(collected, failed=failed, cause=collected.cause or before.cause)
