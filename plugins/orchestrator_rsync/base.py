"""The part that all actions have in common whose startup and full runs are rsync's: rsync, rsyncssh and direct."""

from __future__ import annotations

from typing import ClassVar

from orchestrator.api import Action, Config, Event, Target
from orchestrator_rsync.arguments import target_of
from orchestrator_rsync.batches import spawn_full
from orchestrator_rsync.parts import undivided
from orchestrator_rsync.syncruns import Runs


class RsyncAction(Action):
    """An action that mirrors the whole tree by rsync: at startup, and whenever a full run is due.

    `runs` are its runs. When one has ended, an action's `collect` returns `runs.collect(…)`: paths that rsync could not
    transfer are tried again by themselves. `retries_paths`: single paths, by `spawn_changes`, else everything.
    """

    checks_types = False
    retries_paths: ClassVar[bool] = True

    def __init__(self) -> None:
        self.runs = Runs(by_paths=self.retries_paths)

    def target(self, config: Config) -> Target | None:
        return target_of(config)

    def undivided(self, config: Config) -> str | None:
        return undivided(config)

    def init(self, event: Event) -> None:
        spawn_full(event, self.runs.of(event.inlet))
