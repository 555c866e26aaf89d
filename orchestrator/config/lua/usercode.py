"""Calls functions of the user's while the daemon runs, through those of ours that find them (default.lua)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.lua.endings import Endings
from orchestrator.config.lua.runtime import Lua, LuaFailure, to_text
from orchestrator.config.lua.watchdog import Watchdog
from orchestrator.errors import Died

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from orchestrator.clock import Clock
    from orchestrator.log import Log

GARBAGE = 10_000
"""Changes done with, after which Lua is made to look for what it holds of them: some 2 MB."""


class UserCode:
    """The user's part of one Lua state. `waiting_end`: see Watchdog."""

    def __init__(self, lua: Lua, clock: Clock, log: Log, waiting_end: Callable[[], signal.Signals | None]) -> None:
        self.lua = lua
        self.watchdog = Watchdog(clock, log, waiting_end)
        self.lua.watch(self.watchdog.look)
        self.log = log
        self.endings = Endings()
        self._functions: dict[str, Any] = {}
        self._done = 0

    def know(self, functions: Any) -> None:
        """The Lua table of the functions that `call` knows by name."""
        self._functions = {to_text(name): function for name, function in functions.items()}

    def call(self, name: str, *args: Any) -> Any:
        """Call one of our functions that call the user's. An error in there is logged as by lsyncd; it raises Died
        (spec 2.9)."""
        self.watchdog.begins()
        try:
            return self.lua.call(self._functions[name], *args)
        except LuaFailure as failure:
            self.log("Error", "in Lua: ", failure.message)
            for number, frame in enumerate(failure.backtrace, 1):
                self.log("Error", f"Backtrace {number} :{frame.source}:{frame.line}")
            raise Died(failure.message) from None
        finally:
            self.watchdog.ends()

    def done_with(self, changes: int) -> None:
        """So many changes have been transferred that Lua has seen. To Lua a list of 20,000 is one small thing: left to
        itself it keeps hundreds of them before it looks for garbage."""
        self._done += changes
        if self._done >= GARBAGE:
            self._done = 0
            self.lua.collect_garbage()
