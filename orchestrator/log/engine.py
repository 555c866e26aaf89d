"""loguru, loaded without asyncio, which takes as long as all the rest of it, and 6 MB.

loguru needs of asyncio one function, for sinks that are coroutines. Ours are none; a plugin's sink has the real one.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_ASYNCIO = "asyncio"


def _get_running_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    return asyncio.get_running_loop()


def _load() -> ModuleType:
    """Import loguru's module of classes. Whoever imports asyncio afterwards gets the real one."""
    is_stand_in_needed = _ASYNCIO not in sys.modules
    if is_stand_in_needed:
        stand_in = ModuleType(_ASYNCIO)
        vars(stand_in)["get_running_loop"] = _get_running_loop
        sys.modules[_ASYNCIO] = stand_in
    try:
        from loguru import _logger
    finally:
        if is_stand_in_needed:
            del sys.modules[_ASYNCIO]
    return _logger


classes = _load()
"""The module with `Core` and `Logger`, which loguru does not export."""
