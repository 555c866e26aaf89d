"""`default.native`: keeps two local trees equal without any external program (spec 4.5)."""

from __future__ import annotations

from orchestrator.api import Action, hookimpl
from orchestrator_native.action import Native


@hookimpl
def orchestrator_actions() -> list[Action]:
    return [Native()]
