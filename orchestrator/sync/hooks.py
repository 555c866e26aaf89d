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
        """Call a hook; what it gives, or None where nobody implements it or it raised."""
        if not self.has(name):
            return None
        try:
            return getattr(self._relay, name)(**arguments)
        except OrchestratorError:
            raise
        except Exception as error:
            self._log("Error", f"hook {name} of {_culprit(error)} failed: {type(error).__name__}: {error}")
            return None


def _culprit(error: BaseException) -> str:
    """The module in which it was raised, from outside pluggy: the plugin's."""
    module = "a plugin"
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if not name.startswith(("pluggy", "orchestrator.")):
            module = f'plugin "{name}"'
            break
        trace = trace.tb_next
    return module
