"""The keys under which Lua knows events and lists of the engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.lua.runtime import to_bytes
from orchestrator.sync.inlet import EventList

if TYPE_CHECKING:
    from orchestrator.sync.inlet import Agent, Event


def key_of(agent: Agent) -> bytes:
    """The same for two requests for the same delay; of a list, which lives as long as anything is kept under it."""
    if isinstance(agent, EventList):
        return b"list:%d" % id(agent)
    return b"%d:%d:%b" % (agent.inlet.number, agent.delay.seq, to_bytes(agent.half or ""))


def with_key(event: Event | None) -> tuple[Any, ...]:
    return (None, None) if event is None else (event, key_of(event))
