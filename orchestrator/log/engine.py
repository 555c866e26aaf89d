"""loguru, loaded without asyncio, which takes as long as all the rest of it, and 6 MB.

While it is loaded it needs of asyncio one function, for sinks that are coroutines. Ours are none; a plugin's sink has
the real one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "asyncio"


class _StandIn(ModuleType):
    """Loads asyncio when something of it is called, or asked for but this function."""

    def get_running_loop(self) -> Any:
        return self.__getattr__("get_running_loop")()

    def __getattr__(self, name: str) -> Any:
        self.leave()
        return getattr(import_module(_NAME), name)

    def leave(self) -> None:
        """Whoever imports asyncio from now on gets the real one."""
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]


def _load() -> ModuleType:
    """Import loguru's module of classes."""
    stand_in = _StandIn(_NAME)
    sys.modules.setdefault(_NAME, stand_in)
    try:
        from loguru import _logger
    finally:
        stand_in.leave()
    return _logger


classes = _load()
"""The module with `Core` and `Logger`, which loguru does not export."""
