"""Which syncs may do their startups now, where the setting `maxStartups` bounds how many do at once (spec 3.5).

A place is taken while something runs for a startup, no longer: one that has failed, is held or refused gives it back
for as long as it pauses. Syncs that were not tried yet go before those that have failed, in the order of the config.
"""

from __future__ import annotations

from typing import Protocol


class Candidate(Protocol):
    """A sync whose startup is not done."""

    def is_starting_up(self) -> bool:
        """Whether something runs for its startup."""

    def could_start_up(self) -> bool:
        """Whether its startup is due. Asked only while there is a place for it."""


class Startups:
    """The startups of all syncs of one configuration."""

    def __init__(self) -> None:
        self._running: list[Candidate] = []  # some may have ended since
        self._untried: dict[Candidate, None] = {}

    def add(self, candidate: Candidate) -> None:
        """It has a startup, which is not begun yet."""
        self._untried[candidate] = None

    def leave(self, candidate: Candidate) -> None:
        """It begins no startup any more; one that runs takes its place until it has ended. May be called again then."""
        self._untried.pop(candidate, None)
        self._running = [running for running in self._running if running.is_starting_up()]

    def may_begin(self, candidate: Candidate, most: int | None) -> bool:
        """Whether it may begin, or go on, where `most` may run at once (None: any number)."""
        if most is None:
            return True
        self._running = [running for running in self._running if running.is_starting_up()]
        if candidate in self._running:
            return True
        if len(self._running) >= most:
            return False
        return candidate in self._untried or not any(other.could_start_up() for other in self._untried)

    def began(self, candidate: Candidate) -> None:
        """Something runs for its startup now."""
        self._untried.pop(candidate, None)
        if candidate not in self._running:
            self._running.append(candidate)
