"""From the engine into the functions of a sync's config, looked up at each call, since users replace them.

A function that is still a plugin's own is called straight, without Lua: `plugin_of(name)` compares what the config has
under the name with what the plugins' actions have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.config.lua.keys import key_of
from orchestrator.config.lua.runtime import to_bytes, to_text
from orchestrator.logic.verdict import COMMON, OK
from orchestrator.sync.batch import BATCH_END, BATCH_START, batch_paths
from orchestrator.sync.outcome import Collected, Outcome
from orchestrator.sync.verify import CannotVerify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.config.lua.actions import ActionCalls
    from orchestrator.config.lua.usercode import UserCode
    from orchestrator.logic.difference import Difference
    from orchestrator.sync.calls import Calls
    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.sync import Sync
    from orchestrator.sync.verify import Verifier

_ON_BATCH_START, _ON_BATCH_END = to_bytes(BATCH_START), to_bytes(BATCH_END)


class SyncCalls:
    """See sync.calls.Calls. Of the sync `number`, whose config is `table`; `actions`: of all plugins, by name.

    `plugin_of(name)`: which plugin's the function of that name in the config is, by the name of its action; None: the
    user's, or nobody's. True: the common `default.collect`.
    """

    def __init__(
        self,
        code: UserCode,
        syncs: Mapping[int, Sync],
        number: int,
        table: Any,
        actions: Mapping[bytes, ActionCalls],
        plugin_of: Callable[[bytes], Any],
    ) -> None:
        self._code = code
        self._syncs = syncs
        self._number = number
        self._table = table
        self._actions = actions
        self._plugin_of = plugin_of
        self._known: dict[bytes, Any] = {}
        self._as_of = -1  # which of Lua's changes

    def move_into(self, other: Calls) -> None:
        """Be the functions of the same sync of another config."""
        assert isinstance(other, SyncCalls)
        vars(self).update(vars(other))

    def _found(self, name: bytes, find: Callable[[bytes], Any]) -> Any:
        """`find(name)`, called again only when Lua's tables may have changed."""
        changes = self._code.lua.changes
        if self._as_of != changes:
            self._as_of = changes
            self._known.clear()
        elif name in self._known:
            return self._known[name]
        found = self._known[name] = find(name)
        return found

    def _get(self, key: bytes) -> Any:
        return self._table[key]

    def moved(self, source: bytes) -> None:
        self._code.lua.changes += 1
        self._table[b"source"] = source

    def has_init(self) -> bool:
        return self._table[b"init"] not in (None, False)

    def has_startup(self) -> bool:
        if not self.has_init():
            return False
        plugin = self._found(b"init", self._plugin_of)
        if plugin is not None and not self._actions[plugin].has_init:
            return False
        return bool(self._code.call("has_startup", self._number))

    def init(self, event: Event) -> None:
        plugin = self._found(b"init", self._plugin_of)
        if plugin is None:
            self._code.call("init", self._number, event, key_of(event))
        else:
            self._actions[plugin].init(self._syncs[self._number], event)

    def full(self, event: Event) -> None:
        plugin = self._found(b"full", self._plugin_of)
        if plugin is None:
            self._code.call("full", self._number, event, key_of(event))
        else:
            self._actions[plugin].full(self._syncs[self._number], event)

    def action(self) -> None:
        plugin = self._found(b"action", self._plugin_of)
        if plugin is None:
            self._code.call("action", self._number)
        else:
            self._actions[plugin].action(self._syncs[self._number])

    def collect(self, outcome: Outcome) -> Collected:
        plugin, sync, agent = self._found(b"collect", self._plugin_of), self._syncs[self._number], outcome.agent
        if plugin is True:
            judgement = sync.judge.judge(outcome)
            return Collected(judgement.verdict, judgement=judgement)
        if plugin is not None:
            return self._actions[plugin].collect(sync, outcome)
        with self._code.endings.collecting(outcome) as ending:
            verdict = self._code.call("collect", self._number, agent, key_of(agent), outcome.exit_code)
        self._code.done_with(len(agent.delays))
        return replace(ending.collected, verdict=self._verdict(verdict))

    def is_of_plugin(self) -> bool:
        names = (b"init", b"full", b"action", b"collect")
        return None not in [self._found(name, self._plugin_of) for name in names]

    def remarks(self) -> Sequence[str]:
        plugin = self._found(b"action", self._plugin_of)
        return () if plugin is None else self._actions[plugin].remarks(self._syncs[self._number])

    def resumes(self, cut_off: Sequence[bytes], until: float | None) -> None:
        plugin, sync = self._found(b"action", self._plugin_of), self._syncs[self._number]
        if plugin is not None:
            self._actions[plugin].resumes(sync, cut_off, until)

    def verifier(self, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        plugin = self._found(b"action", self._plugin_of) or self._found(b"init", self._plugin_of)
        if plugin is None:
            raise CannotVerify("it is transferred by functions of the config, which say nothing about the target")
        return self._actions[plugin].verifier(self._syncs[self._number], paths, quick=quick)

    def repairs(self, differences: Sequence[Difference]) -> None:
        plugin = self._found(b"action", self._plugin_of) or self._found(b"init", self._plugin_of)
        if plugin is not None:
            self._actions[plugin].repairs(self._syncs[self._number], differences)

    def started(self, outcome: Outcome) -> None:
        plugin, sync = self._found(b"action", self._plugin_of), self._syncs[self._number]
        sync.judge.judge(outcome, COMMON if plugin is None else self._actions[plugin].plugin.wording, {0: OK})

    def _verdict(self, given: Any) -> Any:
        """What the config's function has returned: lsyncd takes any text but `again` and `die` as `ok`."""
        if isinstance(given, bytes):
            return to_text(given)
        if given is not None and given is not True and given is not False:
            returned = f"collect returned {_shown(given)}; it takes 'ok', 'again', 'die' or nothing. Taken as 'ok'."
            self._code.log("Error", returned)
        return None

    def batch_start(self, agent: Agent) -> bytes | bool | None:
        handler = self._found(_ON_BATCH_START, self._get)
        if handler is None or not self._code.lua.is_function(handler):
            return handler if isinstance(handler, bytes) else None
        paths = self._code.lua.table(batch_paths(agent))
        return False if self._code.call("batch_start", self._number, paths, agent, key_of(agent)) is False else None

    def batch_end(self, outcome: Outcome, verdict: str) -> bytes | None:
        handler = self._found(_ON_BATCH_END, self._get)
        if handler is None or not self._code.lua.is_function(handler):
            return handler if isinstance(handler, bytes) else None
        paths = self._code.lua.table(batch_paths(outcome.agent))
        answer = (paths, outcome.exit_code, outcome.duration, to_bytes(verdict))
        self._code.call("batch_end", self._number, *answer)
        return None


def _shown(value: Any) -> str:
    return f"{value}" if isinstance(value, (int, float)) else "neither a string nor nil"
