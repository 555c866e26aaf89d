"""csync2 as an action: cluster synchronisation of what changed, and only that (spec 4.5)."""

from __future__ import annotations

from orchestrator.api import Action, hookimpl
from orchestrator_csync2.action import Csync2


@hookimpl
def orchestrator_actions() -> list[Action]:
    return [Csync2()]
