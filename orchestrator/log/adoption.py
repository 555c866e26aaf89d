"""What plugins say through loguru, said by our log.

loguru is loaded with the first of them, and not otherwise, since it takes as long to load (asyncio, ssl and
multiprocessing come with it) and as much memory as all the rest of the daemon.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = ((40, "Error"), (30, "Warn"), (20, "Normal"), (0, "Debug"))
"""Categories of what comes by loguru, by its numbers, the highest first."""


def adopt_loguru(log: Callable[..., None]) -> None:
    """What is said there comes to `log` from now on, if any plugin has loaded it.

    Its levels become categories (`_LEVELS`); a traceback that comes along is one line, the exception's.
    """
    loguru = sys.modules.get("loguru")
    if loguru is None:
        return

    def say(message: Any) -> None:
        record = message.record
        category = next(category for number, category in _LEVELS if record["level"].no >= number)
        error = record["exception"]
        told = f": {error.type.__name__}: {error.value}" if error is not None and error.type is not None else ""
        log(category, record["message"], told)

    loguru.logger.remove()
    loguru.logger.add(say, level=0, format="{message}", backtrace=False, diagnose=False)
