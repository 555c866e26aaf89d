"""Finding plugins: all, the ones in the box included, come through the same door (spec 6 "Beyond").

A distribution names its plugin module by an entry point in the group `orchestrator`. There is no
global manager: whoever needs one makes it. A fault of a plugin is that plugin's trouble alone,
logged in one line.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pluggy

from orchestrator import hookspecs
from orchestrator.api import API_VERSION, Action, MonitorKind, Option, OwnSettings
from orchestrator.errors import ConfigError, OrchestratorError, fault, trace
from orchestrator.installed import EntryPoint, entry_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orchestrator.api import Options

GROUP: Final = "orchestrator"

METHODS: Final = {
    "prepare": ("config",),
    "init": ("event",),
    "full": ("event",),
    "action": ("inlet",),
    "collect": ("outcome",),
    "exit_codes": ("agent",),
    "endpoint": ("config",),
    "target": ("config",),
}
"""How an Action's methods are called."""

TAKEN: Final = frozenset(
    {"action", "checkgauge", "collect", "delay", "init", "maxDelays", "maxProcesses", "prepare", "rsyncExitCodes"}
    | {"sshExitCodes", "statusInterval"}
)
"""Names that `default` has beside those of actions."""

OPTION_TYPES: Final = frozenset({bool, str, int, float, list, dict})


class FoundPlugin(NamedTuple):
    """One entry point: a plugin, or why it is none. `options`: of the settings that it has for itself. `trace`: the
    traceback, where its own code raised an exception."""

    name: str
    version: str
    module: str
    actions: tuple[Action, ...] = ()
    monitors: tuple[MonitorKind, ...] = ()
    options: Options = MappingProxyType({})
    problem: str | None = None
    trace: str | None = None


class Manager:
    """The plugins that are there, and the relay to their hooks."""

    def __init__(self, entry_points: Iterable[EntryPoint]) -> None:
        self._pluggy = pluggy.PluginManager(GROUP)
        self._pluggy.add_hookspecs(hookspecs)
        self.found: list[FoundPlugin] = []
        self._actions: dict[str, tuple[Action, str]] = {}
        self._monitors: dict[str, tuple[MonitorKind, str]] = {}
        self._settings: dict[str, OwnSettings] = {}
        for entry_point in entry_points:
            self.found.append(self._load(entry_point))

    @property
    def hook(self) -> pluggy.HookRelay:
        """pluggy's relay: `hook.orchestrator_fading(reason=…)`."""
        return self._pluggy.hook

    def actions(self) -> dict[str, Action]:
        """Every action by its name."""
        return {name: action for name, (action, _) in self._actions.items()}

    def monitors(self) -> dict[str, MonitorKind]:
        """Every monitor of a plugin by its name."""
        return {name: kind for name, (kind, _) in self._monitors.items()}

    def settings(self) -> dict[str, OwnSettings]:
        """The settings of each plugin that has any, by its name."""
        return self._settings

    def problems(self) -> list[str]:
        """One line for each plugin that could not be loaded."""
        return [_line(found) for found in self.found if found.problem]

    def problem_by_name(self) -> dict[str, str]:
        """The same by the plugins' names, which mostly are those of their actions."""
        return {found.name: _line(found) for found in self.found if found.problem}

    def register(self, plugin: object, name: str) -> tuple[tuple[Action, ...], tuple[MonitorKind, ...]]:
        """Take a plugin's hooks, and what they bring. Raises ConfigError with the rule that is broken."""
        _check_version(getattr(plugin, "ORCHESTRATOR_API", API_VERSION))
        self._check_name(plugin, name)
        try:
            self._pluggy.register(plugin, name)
            self._pluggy.check_pending()
            self._check_hooks(plugin)
            actions = tuple(self._given(plugin, "orchestrator_actions", "actions"))
            monitors = tuple(self._given(plugin, "orchestrator_monitors", "monitors"))
            self._check_actions(actions)
            self._check_monitors(monitors)
            own = self._own_settings(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            self._unregister(plugin)
            raise ConfigError(" ".join(str(error).split())) from None
        except BaseException:
            self._unregister(plugin)
            raise
        self._actions.update((action.name, (action, name)) for action in actions)
        self._monitors.update((kind.name, (kind, name)) for kind in monitors)
        if own is not None:
            self._settings[name] = own
        return actions, monitors

    def _check_name(self, plugin: object, name: str) -> None:
        other = self._pluggy.get_plugin(name)
        if other is not None:
            where = getattr(other, "__name__", type(other).__name__)
            raise ConfigError(f"there is a plugin of this name already ({where}); uninstall one of the two.")
        if self._pluggy.is_registered(plugin):
            raise ConfigError(f'is there already, under the name "{self._pluggy.get_name(plugin)}".')

    def _check_hooks(self, plugin: object) -> None:
        callers = self._pluggy.get_hookcallers(plugin) or ()
        if not callers:
            raise ConfigError(
                "has no hook: a function with @hookimpl (see plugins/README.md in share/doc/lsyncd-orchestrator)."
            )
        for caller in callers:
            for implementation in caller.get_hookimpls():
                # each is called by itself, so that one that raises takes no other with it: none can be around others
                if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper):
                    raise ConfigError(f"hook {caller.name}: wrappers are not supported")

    def _unregister(self, plugin: object) -> None:
        if self._pluggy.is_registered(plugin):
            self._pluggy.unregister(plugin)

    def _given(self, plugin: object, hook: str, what: str) -> Iterable[Any]:
        """The objects that a plugin's own implementation of a hook gives."""
        for implementation in getattr(self._pluggy.hook, hook).get_hookimpls():
            if implementation.plugin is plugin:
                try:
                    given = implementation.function()
                except (Exception, SystemExit) as error:
                    raise ConfigError(f"{hook}() failed: {fault(error)}") from error
                if not isinstance(given, (list, tuple)):
                    raise ConfigError(f"{hook} gave {given!r}, not a list of {what}")
                yield from given

    def _own_settings(self, plugin: object, name: str) -> OwnSettings | None:
        """The settings that it has for itself. Raises ConfigError where they are none."""
        declared = self._function(plugin, "orchestrator_settings")
        if declared is None:
            return None
        try:
            options = declared()
        except (Exception, SystemExit) as error:
            raise ConfigError(f"orchestrator_settings() failed: {fault(error)}") from error
        _check_options(options, "the options of orchestrator_settings")
        check = self._function(plugin, "orchestrator_check_settings")

        def guarded(values: Mapping[str, Any]) -> None:
            if check is None:
                return
            try:
                check(values)
            except OrchestratorError:
                raise
            except (Exception, SystemExit) as error:
                what = f'orchestrator_check_settings of plugin "{name}" failed'
                raise ConfigError(f"{what}: {fault(error, check.__module__)}") from error

        return OwnSettings(options, guarded)

    def _function(self, plugin: object, hook: str) -> Callable[..., Any] | None:
        """A plugin's own implementation of a hook."""
        for implementation in getattr(self._pluggy.hook, hook).get_hookimpls():
            if implementation.plugin is plugin:
                function: Callable[..., Any] = implementation.function
                return function
        return None

    def _check_actions(self, actions: Sequence[Any]) -> None:
        seen: set[str] = set()
        for action in actions:
            _check_action(action)
            if action.name in seen:
                raise ConfigError(f'it has two actions "{action.name}".')
            if action.name in self._actions:
                raise ConfigError(
                    f'its action "{action.name}" is there already, from plugin "{self._actions[action.name][1]}"; '
                    "uninstall one of the two."
                )
            seen.add(action.name)

    def _check_monitors(self, monitors: Sequence[Any]) -> None:
        for kind in monitors:
            if not isinstance(kind, MonitorKind):
                raise ConfigError(f"orchestrator_monitors gave {kind!r}, which is no orchestrator.api.MonitorKind")
            if kind.name in self._monitors:
                raise ConfigError(
                    f'its monitor "{kind.name}" is there already, from plugin "{self._monitors[kind.name][1]}"; '
                    "uninstall one of the two."
                )

    def _load(self, entry_point: EntryPoint) -> FoundPlugin:
        found = FoundPlugin(entry_point.name, entry_point.version, entry_point.value)
        try:
            actions, monitors = self.register(entry_point.load(), entry_point.name)
        except ConfigError as error:
            return found._replace(problem=str(error), trace=trace(error.__cause__) if error.__cause__ else None)
        # whatever a plugin's import raises concerns that plugin alone
        except (Exception, SystemExit) as error:
            return found._replace(problem=f"cannot be loaded: {fault(error)}", trace=trace(error))
        own = self._settings.get(entry_point.name)
        options = own.options if own is not None else found.options
        return found._replace(actions=actions, monitors=monitors, options=options)


def _check_version(version: object) -> None:
    if not isinstance(version, int):
        raise ConfigError(f"its ORCHESTRATOR_API must be a whole number, not {version!r}")
    if version > API_VERSION:
        raise ConfigError(
            f"is written for version {version} of the plugin interface; this is version {API_VERSION}. "
            "Install a newer lsyncd-orchestrator."
        )


def _check_action(action: Any) -> None:
    """Raise ConfigError where it could not work."""
    if isinstance(action, type) and issubclass(action, Action):
        raise ConfigError(f"orchestrator_actions gave a class, {action.__name__}; it takes {action.__name__}()")
    if not isinstance(action, Action):
        raise ConfigError(f"orchestrator_actions gave {action!r}, which is no orchestrator.api.Action")
    name = getattr(action, "name", "")
    if not name:
        raise ConfigError(f"its action {type(action).__name__} has no name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in TAKEN:
        raise ConfigError(f"its action {type(action).__name__} cannot be called {name!r}")
    if type(action).action is Action.action:
        raise ConfigError(f'its action "{name}" does not define action(inlet)')
    for method, arguments in METHODS.items():
        function = getattr(action, method)
        if not callable(function):
            raise ConfigError(f'its action "{name}": {method} must be a method, not {function!r}')
        signature = inspect.signature(function)
        try:
            signature.bind(*arguments)
        except TypeError:
            called = f"{method}({', '.join(arguments)})"
            raise ConfigError(f'its action "{name}" has {method}{signature}, but it is called as {called}') from None
    _check_options(action.options, f'its action "{name}": options')


def _check_options(options: Any, where: str) -> None:
    if not isinstance(options, Mapping):
        raise ConfigError(f"{where} must be a dict, not {options!r}")
    for key, option in options.items():
        if isinstance(option, Mapping):
            _check_options(option, f"{where}[{key!r}]")
        elif not isinstance(key, str) or not isinstance(option, Option):
            raise ConfigError(f"{where}[{key!r}] must be an orchestrator.api.Option, not {option!r}")
        elif not isinstance(option.types, tuple) or not OPTION_TYPES.issuperset(option.types):
            raise ConfigError(f"{where}[{key!r}]: types must be a tuple of bool, str, int, float, list, dict")


def _line(found: FoundPlugin) -> str:
    return f'plugin "{found.name}" ({found.module}): {found.problem}'


def _is_ours(entry_point: EntryPoint) -> bool:
    return entry_point.distribution.replace("_", "-") == "lsyncd-orchestrator"


def make_manager(extra: Sequence[tuple[str, Any]] = ()) -> Manager:
    """A manager with every installed plugin; `extra`: (name, plugin) of such as are not installed (tests)."""
    # ours first: nobody takes the name of one of ours
    found = sorted(entry_points(GROUP), key=lambda point: (not _is_ours(point), point.name))
    manager = Manager(found)
    for name, plugin in extra:
        manager.register(plugin, name)
    return manager
