"""From the engine into Lua: the functions of a sync's config, looked up at each call, since users replace them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.config.lua.core import key_of
from orchestrator.config.lua.runtime import to_bytes, to_text
from orchestrator.sync.batch import BATCH_END, BATCH_START, batch_paths

if TYPE_CHECKING:
    from orchestrator.config.lua.loader import LuaConfig
    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.outcome import Collected, Outcome


class SyncCalls:
    """See sync.calls.Calls."""

    def __init__(self, config: LuaConfig, table: Any, number: int) -> None:
        self._config = config
        self._table = table
        self._number = number

    def moved(self, source: bytes) -> None:
        self._table[b"source"] = source

    def has_init(self) -> bool:
        return self._table[b"init"] not in (None, False)

    def init(self, event: Event) -> None:
        self._config.call("init", self._number, event, key_of(event))

    def full(self, event: Event) -> None:
        self._config.call("full", self._number, event, key_of(event))

    def action(self) -> None:
        self._config.call("action", self._number)

    def collect(self, outcome: Outcome) -> Collected:
        agent = outcome.agent
        with self._config.endings.collecting(outcome) as ending:
            verdict = self._config.call("collect", self._number, agent, key_of(agent), outcome.exit_code)
        self._config.done_with(len(agent.delays))
        return replace(ending.collected, verdict=self._verdict(verdict))

    def _verdict(self, given: Any) -> Any:
        """What the config's function has returned: lsyncd takes any text but `again` and `die` as `ok`."""
        if isinstance(given, bytes):
            return to_text(given)
        if given is not None and given is not True and given is not False:
            returned = f"collect returned {_shown(given)}; it takes 'ok', 'again', 'die' or nothing. Taken as 'ok'."
            self._config.host.log("Error", returned)
        return None

    def batch_start(self, agent: Agent) -> bytes | bool | None:
        handler = self._table[to_bytes(BATCH_START)]
        if not self._config.lua.is_function(handler):
            return handler if isinstance(handler, bytes) else None
        paths = self._config.lua.table(batch_paths(agent))
        return False if self._config.call("batch_start", self._number, paths, agent, key_of(agent)) is False else None

    def batch_end(self, outcome: Outcome, verdict: str) -> bytes | None:
        handler = self._table[to_bytes(BATCH_END)]
        if not self._config.lua.is_function(handler):
            return handler if isinstance(handler, bytes) else None
        paths = self._config.lua.table(batch_paths(outcome.agent))
        answer = (paths, outcome.exit_code, outcome.duration, to_bytes(verdict))
        self._config.call("batch_end", self._number, *answer)
        return None


def _shown(value: Any) -> str:
    return f"{value}" if isinstance(value, (int, float)) else "neither a string nor nil"
