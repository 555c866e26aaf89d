"""From Lua to the plugins: an action's part of `default.NAME`, and what it says of a sync's config.

A plugin that raises is named in one line. While a config is loaded that is a ConfigError; later on its sync tries
again after a pause, and nothing else is touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.config.anchor import anchor_paths
from orchestrator.config.lua.runtime import to_bytes
from orchestrator.config.lua.table import TableConfig, to_lua
from orchestrator.config.model import Config, Option
from orchestrator.config.types import problem_with
from orchestrator.errors import ConfigError, OrchestratorError, fault
from orchestrator.logic.event import WAIT
from orchestrator.logic.secrets import declare
from orchestrator.logic.verdict import AGAIN, DIE, OK
from orchestrator.sync.faults import Waits, say
from orchestrator.sync.outcome import Collected
from orchestrator.sync.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.api import Action
    from orchestrator.config.lua.loader import LuaConfig
    from orchestrator.logic.verdict import Verdict
    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.sync import Sync


def add_action(config: LuaConfig, action: Action, add: Any) -> None:
    """Make `default.NAME` of an action; `add` is Lua's part of it (default.lua)."""
    lua, calls = config.lua, ActionCalls(config, action)
    # one that judges in no way of its own shares default.collect
    has_own_collect = any(
        name in vars(kind) for kind in type(action).__mro__[:-2] for name in ("collect", "exit_codes", "wording")
    )
    functions = lua.table()
    for name in ("prepare", "action", "init", "full"):
        functions[to_bytes(name)] = lua.export(getattr(calls, name))
    if has_own_collect:
        functions[b"collect"] = lua.export(calls.collect)
    values = to_lua(lua, {**_defaults(action.options), **action.defaults})
    gauge = to_lua(lua, _gauge(action.options))
    lua.call(add, to_bytes(action.name), values, gauge, functions)


def asked_endpoint(action: Action, config: TableConfig) -> str | None:
    """Where a sync's transfers go (see Action.endpoint). Raises ConfigError that names the plugin."""
    try:
        endpoint = action.endpoint(config)
        if endpoint is not None and not isinstance(endpoint, str):
            raise TypeError(f"it gave {endpoint!r}, not a str or None")
        return endpoint
    except OrchestratorError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(_trouble(action, "endpoint", error)) from error


def asked_target(action: Action, config: TableConfig) -> Target | None:
    """The place that a sync's transfers write to (see Action.target). Raises ConfigError that names the plugin."""
    try:
        target = action.target(config)
        if target is not None and not isinstance(target, Target):
            raise TypeError(f"it gave {target!r}, which is no orchestrator.api.Target")
    except OrchestratorError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(_trouble(action, "target", error)) from error
    return target


class ActionCalls:
    """What the Lua functions of `default.NAME` call."""

    def __init__(self, config: LuaConfig, action: Action) -> None:
        self._config = config
        self._action = action
        self._waits = Waits(config.host.log, config.host.clock.now)

    def prepare(self, table: Any) -> bytes | None:
        try:
            config = TableConfig(self._config.lua, table)
            _declare_secrets(config, self._action.options)
            problem = problem_with(config, self._action.options) if self._action.checks_types else None
            if problem is not None:
                return to_bytes(problem)
            if self._config.leaves_its_directory():
                anchor_paths(config, self._action.options)
            self._action.prepare(config)
        except ConfigError as error:
            return to_bytes(str(error))
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(_trouble(self._action, "prepare", error)) from error
        return None

    def action(self, number: int) -> None:
        sync = self._config.syncs_by_number[number]
        self._guarded("action", sync, lambda: self._action.action(sync.inlet))

    def init(self, event: Event) -> None:
        self._guarded("init", self._sync_of(event), lambda: self._action.init(event))
        self._drop_left(event)

    def full(self, event: Event) -> None:
        self._guarded("full", self._sync_of(event), lambda: self._action.full(event))
        self._drop_left(event)

    def collect(self, agent: Agent, exit_code: float) -> bytes | None:
        action = self._action
        outcome = self._config.endings.outcome(agent, int(exit_code))
        try:
            with self._waits.watch(f'plugin "{action.name}" in collect()'):
                collected = _checked(action.collect(outcome))
                if collected.verdict is None:
                    judge = self._config.syncs_by_number[agent.inlet.number].judge
                    judgement = judge.judge(outcome, action.wording, action.exit_codes(agent))
                    collected = replace(collected, verdict=judgement.verdict, judgement=judgement)
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            say(self._config.host.log, _failed(action, "collect"), error, type(action).__module__)
            collected = Collected(AGAIN)
        self._config.endings.note(agent, collected)
        return to_bytes(collected.verdict or OK)

    def _guarded(self, method: str, sync: Sync, call: Callable[[], None]) -> None:
        try:
            with self._waits.watch(f'plugin "{self._action.name}" in {method}()'):
                call()
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            say(self._config.host.log, _failed(self._action, method), error, type(self._action).__module__)
            sync.trouble()

    def _drop_left(self, event: Event) -> None:
        """A plugin that leaves it waiting has nothing to do; a config's own function wants to be asked again."""
        sync = self._sync_of(event)
        if event.status == WAIT and event.delay in sync.queue and not sync.transfers.is_put_off:
            sync.discard(event)

    def _sync_of(self, event: Event) -> Sync:
        return self._config.syncs_by_number[event.inlet.number]


def _checked(answer: Collected | Verdict | None) -> Collected:
    """The answer of a plugin's `collect`. Raises ValueError or TypeError for one that is none."""
    collected = answer if isinstance(answer, Collected) else Collected(answer)
    if collected.verdict not in (OK, AGAIN, DIE, None):
        raise ValueError(f"it gave {collected.verdict!r}, not ok, again, die or None")
    failed: object = collected.failed
    if isinstance(failed, (str, bytes)) or not all(isinstance(path, bytes) for path in collected.failed or ()):
        raise TypeError(f"the failed paths are a list of bytes, not {failed!r}")
    return collected


def _declare_secrets(config: Config, options: Mapping[str, Any]) -> None:
    for key, option in options.items():
        value = config.get(key)
        if not isinstance(option, Option):
            if isinstance(value, Config):
                _declare_secrets(value, option)
        elif option.secret:
            for text in value.list() if isinstance(value, Config) else [value]:
                if isinstance(text, str):
                    declare(text)


def _trouble(action: Action, method: str, error: BaseException) -> str:
    return f"{_failed(action, method)}: {fault(error, type(action).__module__)}"


def _failed(action: Action, method: str) -> str:
    return f'plugin "{action.name}" failed in {method}()'


def _defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, option in options.items():
        if not isinstance(option, Option):
            values[key] = _defaults(option)
        elif option.default is not None:
            values[key] = option.default
    return values


def _gauge(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: True if isinstance(option, Option) else _gauge(option) for key, option in options.items()}
