"""Calls of the observer hooks of plugins (hookspecs.py): one that raises is named, and nothing else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import OrchestratorError
from orchestrator.sync.faults import Waits, say

if TYPE_CHECKING:
    from collections.abc import Callable


OF_TRANSFERS: Final = (
    "orchestrator_transfer_started",
    "orchestrator_transfer_ended",
    "orchestrator_full_run_ended",
    "orchestrator_retry_ended",
)
"""The hooks that something must be kept for while a sync works; see Observers."""


class Hooks:
    """The observers of a daemon. `relay` is pluggy's; None where there are no plugins."""

    def __init__(self, relay: Any, log: Callable[..., None], now: Callable[[], float] = lambda: 0.0) -> None:
        """`now`: seconds, to find out who lets the loop wait."""
        self._relay = relay
        self._waits = Waits(log, now)
        self._logged: set[tuple[str, str, str]] = set()
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
        further. One that raises is named, the others are called all the same.
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
            who = f'hook {name} of plugin "{implementation.plugin_name}"'
            try:
                with self._waits.watch(who):
                    given = implementation.function(*(arguments[argument] for argument in implementation.argnames))
            except OrchestratorError:
                raise
            except (Exception, SystemExit) as error:
                say(self._log, f"{who} failed", error, implementation.function.__module__)
                continue
            if decides and given is not None and not isinstance(given, bool):
                self._refuse(who, given)
                given = False
            if answer is None:
                answer, answered_by = given, implementation.plugin_name
            if decides and answer is not None:
                break
        return answer, answered_by

    def _refuse(self, who: str, given: Any) -> None:
        """An answer that is none: taken for a no, which loses nothing. Said once."""
        if (who, type(given).__name__, repr(given)[:100]) not in self._logged:
            self._logged.add((who, type(given).__name__, repr(given)[:100]))
            self._log("Error", f"{who} gave {given!r}; it takes True, False or None. Taken as False.")
