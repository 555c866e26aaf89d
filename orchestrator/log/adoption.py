"""What plugins say through loguru, said by our log.

loguru is loaded with the first of them, and not otherwise, since it takes as long to load (asyncio, ssl and
multiprocessing come with it) and as much memory as all the rest of the daemon.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_LEVELS = ((40, "Error"), (30, "Warn"), (20, "Normal"), (0, "Debug"))
"""Categories of what comes by loguru, by its numbers, the highest first."""


class _WhenLoaded:
    """Waits for a module to be imported, whenever that is, and calls back once it has been.

    A finder of sys.meta_path; importlib.abc, which has the class for those, takes 8 ms to load.
    """

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        specs = (finder.find_spec(name, None, None) for finder in list(sys.meta_path))
        spec = next((spec for spec in specs if spec is not None), None)
        loader = spec.loader if spec is not None else None
        if loader is not None:
            execute, then = loader.exec_module, self._then

            def exec_module(module: ModuleType) -> None:
                execute(module)
                then()

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def adopt_loguru(log: Callable[..., None]) -> None:
    """What is said there comes to `log` from now on, once any plugin has loaded it.

    Its levels become categories (`_LEVELS`); a traceback that comes along is one line, the exception's.
    """
    if "loguru" in sys.modules:
        _adopt(log)
    else:
        sys.meta_path.insert(0, _WhenLoaded("loguru", lambda: _adopt(log)))


def _adopt(log: Callable[..., None]) -> None:
    loguru = sys.modules["loguru"]

    def say(message: Any) -> None:
        record = message.record
        category = next(category for number, category in _LEVELS if record["level"].no >= number)
        error = record["exception"]
        told = f": {error.type.__name__}: {error.value}" if error is not None and error.type is not None else ""
        log(category, record["message"], told)

    loguru.logger.remove()
    loguru.logger.add(say, level=0, format="{message}", backtrace=False, diagnose=False)
