"""`default.rsyncssh`: rsync over ssh, with moves done on the target itself (spec 4.3)."""

from __future__ import annotations

from orchestrator.api import Action, hookimpl
from orchestrator_rsyncssh.action import RsyncSsh


@hookimpl
def orchestrator_actions() -> list[Action]:
    return [RsyncSsh()]
