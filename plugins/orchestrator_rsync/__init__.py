"""`default.rsync`: mirrors to a directory, a host or an rsync daemon with rsync (spec 4.2)."""

from __future__ import annotations

from orchestrator.api import Action, hookimpl
from orchestrator_rsync.action import Rsync


@hookimpl
def orchestrator_actions() -> list[Action]:
    return [Rsync()]
