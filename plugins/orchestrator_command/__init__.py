"""`default.command`: any program, configured in TOML or Lua without writing code (spec 4.5)."""

from __future__ import annotations

from orchestrator.api import Action, hookimpl
from orchestrator_command.action import Command


@hookimpl
def orchestrator_actions() -> list[Action]:
    return [Command()]
