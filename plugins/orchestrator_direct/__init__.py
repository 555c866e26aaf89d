"""`default.direct`: keeps two local trees equal with rsync at startup, then cp, mv, mkdir and rm (spec 4.4)."""

from __future__ import annotations

from orchestrator.api import Action, hookimpl
from orchestrator_direct.action import Direct


@hookimpl
def orchestrator_actions() -> list[Action]:
    return [Direct()]
