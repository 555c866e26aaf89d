"""From Lua to the plugins: an action's part of `default.NAME`, and what it says of a sync's config.

A plugin that raises is named in one line. While a config is loaded that is a ConfigError; later on its sync tries
again after a pause, and nothing else is touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.config.anchor import anchor_paths
from orchestrator.config.lua.runtime import to_bytes
from orchestrator.config.lua.table import TableConfig, to_lua
from orchestrator.config.model import Config, Option
from orchestrator.config.types import problem_with
from orchestrator.errors import ConfigError, OrchestratorError, fault
from orchestrator.logic.event import WAIT
from orchestrator.logic.secrets import declare
from orchestrator.logic.verdict import AGAIN, DIE, OK
from orchestrator.sync.faults import SLOW, Waits, say
from orchestrator.sync.knowledge import Resumable
from orchestrator.sync.outcome import Collected, Outcome
from orchestrator.sync.target import Target
from orchestrator.sync.verify import CannotVerify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.api import Action
    from orchestrator.config.lua.usercode import UserCode
    from orchestrator.log import Log
    from orchestrator.logic.difference import Difference
    from orchestrator.logic.verdict import Verdict
    from orchestrator.sync.inlet import Agent, Event, Inlet
    from orchestrator.sync.sync import Sync
    from orchestrator.sync.verify import Verifier

T = TypeVar("T")


def add_action(
    code: UserCode, calls: ActionCalls, syncs: Mapping[int, Sync], leaves_its_directory: Callable[[], bool], add: Any
) -> None:
    """Make `default.NAME` of an action; `add` is Lua's part of it (default.lua). `syncs`: by number, later ones too.

    `leaves_its_directory()`: whether the daemon will work in another one.
    """
    lua, action = code.lua, calls.plugin

    def sync_of(event: Event) -> Sync:
        return syncs[event.inlet.number]

    def prepare(table: Any) -> bytes | None:
        problem = calls.prepare(TableConfig(lua, table), is_anchored=leaves_its_directory())
        return None if problem is None else to_bytes(problem)

    def collect(agent: Agent, exit_code: float) -> bytes:
        outcome = code.endings.outcome(agent, int(exit_code))
        collected = calls.collect(syncs[agent.inlet.number], outcome)
        code.endings.note(agent, collected)
        return to_bytes(collected.verdict or OK)

    # what Lua calls where a function of the user's stands before the action's own
    functions = lua.table()
    functions[b"prepare"] = lua.export(prepare)
    functions[b"action"] = lua.export(lambda number: calls.action(syncs[number]))
    functions[b"init"] = lua.export(lambda event: calls.init(sync_of(event), event))
    functions[b"full"] = lua.export(lambda event: calls.full(sync_of(event), event))
    # one that judges in no way of its own shares default.collect
    if _has_own(action, "collect", "exit_codes", "wording"):
        functions[b"collect"] = lua.export(collect)
    values = to_lua(lua, {**_defaults(action.options), **action.defaults})
    gauge = to_lua(lua, _gauge(action.options))
    lua.call(add, to_bytes(action.name), values, gauge, functions)


def asked_endpoint(action: Action, config: TableConfig) -> str | None:
    """Where a sync's transfers go (see Action.endpoint). Raises ConfigError that names the plugin."""
    return _asked(action, "endpoint", config, str)


def asked_target(action: Action, config: TableConfig) -> Target | None:
    """The place that a sync's transfers write to (see Action.target). Raises ConfigError that names the plugin."""
    return _asked(action, "target", config, Target)


def can_verify(action: Action) -> bool:
    """Whether an action has a comparison of source and target of its own."""
    return _has_own(action, "verify")


def _has_own(action: Action, *names: str) -> bool:
    """Whether it has any of these from elsewhere than Action itself."""
    kinds = [kind for kind in type(action).__mro__ if kind.__module__ != "orchestrator.api"]
    return any(name in vars(kind) for kind in kinds for name in names)


def asked_undivided(action: Action, config: TableConfig) -> str | None:
    """Why the startup of a sync is one run (see Action.undivided). Raises ConfigError that names the plugin."""
    return _asked(action, "undivided", config, str)


def asked_resumable(action: Action, config: TableConfig) -> Resumable | None:
    """The promise of an action about a sync's transfers (see Action.resumable). Raises ConfigError that names the
    plugin."""
    return _asked(action, "resumable", config, Resumable)


def _asked(action: Action, method: str, config: TableConfig, kind: type[T]) -> T | None:
    try:
        answer = getattr(action, method)(config)
        if answer is None or isinstance(answer, kind):
            return answer
        wanted = "not a str or None" if kind is str else f"which is no orchestrator.api.{kind.__name__}"
        raise TypeError(f"it gave {answer!r}, {wanted}")
    except OrchestratorError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(_trouble(action, method, error)) from error


class ActionCalls:
    """A plugin's action, called so that what it raises harms nobody, and who keeps the loop waiting is named."""

    def __init__(self, plugin: Action, log: Log, now: Callable[[], float]) -> None:
        """`now()`: seconds of a clock that only goes forward."""
        self.plugin = plugin
        self._log = log
        self._now = now
        self._waits = Waits(log, now)

    @property
    def has_init(self) -> bool:
        """Whether it does anything at a startup."""
        return _has_own(self.plugin, "init")

    def prepare(self, config: TableConfig, *, is_anchored: bool) -> str | None:
        """Check and complete a sync's config. Gives what is wrong with it. `is_anchored`: see anchor_paths."""
        try:
            _declare_secrets(config, self.plugin.options)
            problem = problem_with(config, self.plugin.options) if self.plugin.checks_types else None
            if problem is not None:
                return problem
            if is_anchored:
                anchor_paths(config, self.plugin.options)
            self.plugin.prepare(config)
        except ConfigError as error:
            return str(error)
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(_trouble(self.plugin, "prepare", error)) from error
        return None

    def action(self, sync: Sync) -> None:
        """Something is due."""
        self._run("action", self.plugin.action, sync.inlet, sync)

    def init(self, sync: Sync, event: Event) -> None:
        """The startup is due."""
        self._run("init", self.plugin.init, event, sync)
        _drop_left(sync, event)

    def full(self, sync: Sync, event: Event) -> None:
        """A run over everything is due."""
        self._run("full", self.plugin.full, event, sync)
        _drop_left(sync, event)

    def resumes(self, sync: Sync, cut_off: Sequence[bytes], until: float | None) -> None:
        """Changes follow that were made while no daemon ran."""

        def resumes(inlet: Inlet) -> None:
            self.plugin.resumes(inlet, cut_off, until)

        self._run("resumes", resumes, sync.inlet, sync)

    def remarks(self, sync: Sync) -> Sequence[str]:
        """Lines for a report about what its programs do not show."""
        found: list[str] = []
        self._run("remarks", lambda inlet: found.extend(map(str, self.plugin.remarks(inlet.config))), sync.inlet, sync)
        return found

    def verifier(self, sync: Sync, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        """The plugin's comparison of source and target. Raises CannotVerify."""
        try:
            compare = self.plugin.verify(sync.inlet, paths, quick=quick)
            if not callable(compare):
                raise TypeError(f"it gave {compare!r}, which is no function")
            return compare
        except (CannotVerify, OrchestratorError):
            raise
        except (Exception, SystemExit) as error:
            say(self._log, _failed(self.plugin, "verify"), error, type(self.plugin).__module__)
            raise CannotVerify(_trouble(self.plugin, "verify", error)) from error

    def repairs(self, sync: Sync, differences: Sequence[Difference]) -> None:
        """Changes follow of paths that a verification has found to differ."""

        def repairs(inlet: Inlet) -> None:
            self.plugin.repairs(inlet, differences)

        self._run("repairs", repairs, sync.inlet, sync)

    def collect(self, sync: Sync, outcome: Outcome) -> Collected:
        """What the plugin makes of a transfer that has ended, with a verdict; `again` where it fails."""
        action, began = self.plugin, self._now()
        try:
            collected = _checked(action.collect(outcome))
            if collected.verdict is None:
                judgement = sync.judge.judge(outcome, action.wording, action.exit_codes(outcome.agent))
                collected = replace(collected, verdict=judgement.verdict, judgement=judgement)
            return collected
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            say(self._log, _failed(action, "collect"), error, type(action).__module__)
            return Collected(AGAIN)
        finally:
            if self._now() - began >= SLOW:
                self._waits.took(f'plugin "{action.name}" in collect()', self._now() - began)

    def _run(self, method: str, call: Callable[[Any], None], argument: Any, sync: Sync) -> None:
        began = self._now()
        try:
            call(argument)
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            say(self._log, _failed(self.plugin, method), error, type(self.plugin).__module__)
            sync.trouble()
        finally:
            if self._now() - began >= SLOW:
                self._waits.took(f'plugin "{self.plugin.name}" in {method}()', self._now() - began)


def _drop_left(sync: Sync, event: Event) -> None:
    """A plugin that leaves it waiting has nothing to do; a config's own function wants to be asked again."""
    if event.status == WAIT and event.delay in sync.queue and not sync.transfers.is_deferred:
        sync.discard(event)


def _checked(answer: Collected | Verdict | None) -> Collected:
    """The answer of a plugin's `collect`. Raises ValueError or TypeError for one that is none."""
    collected = answer if isinstance(answer, Collected) else Collected(answer)
    if collected.verdict not in (OK, AGAIN, DIE, None):
        raise ValueError(f"it gave {collected.verdict!r}, not ok, again, die or None")
    failed: object = collected.failed
    if failed is None:
        return collected
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
