"""Telling the observer hooks of plugins (hookspecs.py): one that raises is named, and nothing else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable


class Hooks:
    """The observers of a daemon. `relay` is pluggy's; None where there are no plugins."""

    def __init__(self, relay: Any, log: Callable[..., None]) -> None:
        self._relay = relay
        self._log = log
        self._has_observers: dict[str, bool] = {}

    def has(self, name: str) -> bool:
        """Whether anybody implements the hook: else nothing need be gathered for it."""
        known = self._has_observers.get(name)
        if known is None:
            caller = getattr(self._relay, name, None)
            known = self._has_observers[name] = bool(caller is not None and caller.get_hookimpls())
        return known

    def tell(self, name: str, **arguments: Any) -> Any:
        """Call every implementation, the plugin that registered last first.

        Gives what the first of them gave that was not None; a hook whose first answer decides asks no
        further. One that raises is named, the others are told all the same.
        """
        return self.ask(name, **arguments)[0]

    def ask(self, name: str, **arguments: Any) -> tuple[Any, str]:
        """As tell; gives the name of the plugin, too, whose answer it is."""
        if not self.has(name):
            return None, ""
        caller = getattr(self._relay, name)
        decides = bool(caller.spec and caller.spec.opts.get("firstresult"))
        answer, answered_by = None, ""
        for implementation in reversed(caller.get_hookimpls()):
            try:
                given = implementation.function(*(arguments[argument] for argument in implementation.argnames))
            except OrchestratorError:
                raise
            except (Exception, SystemExit) as error:
                plugin = implementation.plugin_name
                self._log("Error", f'hook {name} of plugin "{plugin}" failed: {type(error).__name__}: {error}')
                continue
            if answer is None:
                answer, answered_by = given, implementation.plugin_name
            if decides and answer is not None:
                break
        return answer, answered_by
