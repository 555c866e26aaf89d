"""Finding plugins: all, the ones in the box included, come through the same door (spec 6 "Beyond").

A distribution names its plugin module by an entry point in the group `orchestrator`. There is no
global manager: whoever needs one makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pluggy

from orchestrator import hookspecs
from orchestrator.api import API_VERSION, Action
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUP = "orchestrator"


@dataclass(frozen=True)
class Found:
    """One entry point: a plugin, or why it is none."""

    name: str
    version: str
    module: str
    actions: tuple[Action, ...] = ()
    problem: str | None = None


class Manager:
    """The plugins that are there, and the relay to their hooks."""

    def __init__(self, entry_points: Iterable[metadata.EntryPoint]) -> None:
        self._pluggy = pluggy.PluginManager(GROUP)
        self._pluggy.add_hookspecs(hookspecs)
        self.found: list[Found] = []
        self._actions: dict[str, tuple[Action, str]] = {}
        for entry_point in entry_points:
            self.found.append(self._load(entry_point))

    @property
    def hook(self) -> pluggy.HookRelay:
        """pluggy's relay: `hook.orchestrator_fading(reason=…)`."""
        return self._pluggy.hook

    def actions(self) -> dict[str, Action]:
        """Every action by its name."""
        return {name: action for name, (action, _) in self._actions.items()}

    def problems(self) -> list[str]:
        """One line for each plugin that could not be loaded."""
        return [f'plugin "{found.name}" ({found.module}): {found.problem}' for found in self.found if found.problem]

    def register(self, plugin: object, name: str) -> tuple[Action, ...]:
        """Take a plugin's hooks and actions. Raises ConfigError with the rule that is broken."""
        version = getattr(plugin, "ORCHESTRATOR_API", API_VERSION)
        if version > API_VERSION:
            raise ConfigError(
                f"is written for version {version} of the plugin interface; this is version {API_VERSION}. "
                "Install a newer lsyncd-orchestrator."
            )
        try:
            self._pluggy.register(plugin, name)
            self._pluggy.check_pending()
            self._refuse_wrappers(plugin)
        except (pluggy.PluginValidationError, ValueError) as error:
            self._unregister(plugin)
            raise ConfigError(" ".join(str(error).split())) from None
        try:
            actions = self._new_actions(plugin, name)
        except Exception:
            self._unregister(plugin)
            raise
        for action in actions:
            self._actions[action.name] = (action, name)
        return actions

    def _refuse_wrappers(self, plugin: object) -> None:
        """Hooks are called one by one, so that one that raises takes no other with it: none can be around others."""
        for caller in self._pluggy.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper):
                    raise ValueError(f"hook {caller.name}: wrappers are not supported")

    def _unregister(self, plugin: object) -> None:
        if self._pluggy.is_registered(plugin):
            self._pluggy.unregister(plugin)

    def _new_actions(self, plugin: object, name: str) -> tuple[Action, ...]:
        others = [other for other in self._pluggy.get_plugins() if other is not plugin]
        caller = self._pluggy.subset_hook_caller("orchestrator_actions", others)
        actions = tuple(action for group in caller() for action in group)
        for action in actions:
            if not isinstance(action, Action):
                raise ConfigError(f"orchestrator_actions gave {action!r}, which is no orchestrator.api.Action")
            if not getattr(action, "name", ""):
                raise ConfigError(f"its action {type(action).__name__} has no name")
            if type(action).action is Action.action:
                raise ConfigError(f'its action "{action.name}" does not define action(inlet)')
            if action.name in self._actions:
                raise ConfigError(
                    f'its action "{action.name}" is there already, from plugin "{self._actions[action.name][1]}"; '
                    "uninstall one of the two."
                )
        return actions

    def _load(self, entry_point: metadata.EntryPoint) -> Found:
        version = entry_point.dist.version if entry_point.dist is not None else "?"

        def found(actions: tuple[Action, ...] = (), problem: str | None = None) -> Found:
            return Found(entry_point.name, version, entry_point.value, actions, problem)

        try:
            return found(actions=self.register(entry_point.load(), entry_point.name))
        except ConfigError as error:
            return found(problem=str(error))
        # whatever a plugin's import raises is that plugin's trouble alone
        except Exception as error:
            return found(problem=f"cannot be loaded: {type(error).__name__}: {error}")


def make_manager(extra: Sequence[tuple[str, Any]] = ()) -> Manager:
    """A manager with every installed plugin; `extra`: (name, plugin) of such as are not installed (tests)."""
    entry_points = sorted(metadata.entry_points(group=GROUP), key=lambda entry_point: entry_point.name)
    manager = Manager(entry_points)
    for name, plugin in extra:
        manager.register(plugin, name)
    return manager
