"""default.csync2: hands over what changed, and keeps trying what could not be delivered (spec 4.5).

All that takes time to load comes with the first sync that has work for it: not all who start the daemon use it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.api import SHORT, Action, Event, Resumable
from orchestrator_csync2.options import DEFAULTS, OPTIONS, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.api import Collected, Config, Difference, Inlet, Outcome, Verifier
    from orchestrator_csync2.delivery import Deliveries


class Csync2(Action):
    name = "csync2"
    options = OPTIONS
    defaults = DEFAULTS
    wording = SHORT

    @cached_property
    def _deliveries(self) -> Deliveries:
        from orchestrator_csync2.delivery import Deliveries

        return Deliveries()

    def prepare(self, config: Config) -> None:
        settings_of(config)

    def resumable(self, config: Config) -> Resumable | None:
        return None if settings_of(config).dry_run else Resumable()

    def resumes(self, inlet: Inlet, cut_off: Sequence[bytes], until: float | None) -> None:
        if until is None:
            self._deliveries.recheck(inlet)

    def verify(self, inlet: Inlet, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        return self._deliveries.test(inlet, paths)

    def repairs(self, inlet: Inlet, differences: Sequence[Difference]) -> None:
        self._deliveries.recheck(inlet)

    def init(self, event: Event) -> None:
        self._deliveries.everything(event, "startup")

    def full(self, event: Event) -> None:
        self._deliveries.everything(event, "full")

    def action(self, inlet: Inlet) -> None:
        self._deliveries.changes(inlet)

    def collect(self, outcome: Outcome) -> Collected | None:
        return self._deliveries.collect(outcome, self.exit_codes(outcome.agent))
