"""One family of errors: everything that ends the daemon in an orderly way.

A fault that the daemon can recover from is no exception: it is a log line and a verdict. Each exception defined here
carries the one line that the user reads and the exit status; only daemon/ catches all exceptions.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

EXIT_FAILURE = 255
"""lsyncd's exit status -1 as a shell sees it (spec 1.1)."""


class OrchestratorError(Exception):
    """Ends the daemon: `str(error)` is the one line to print, `exit_code` the status."""

    exit_code: int = EXIT_FAILURE

    def __init__(self, message: str, exit_code: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(OrchestratorError):
    """The command line is wrong."""


class ConfigError(OrchestratorError):
    """A config file, or a value in one, is wrong. The message names file and line where known."""


class LogfileError(OrchestratorError):
    """The log file cannot be opened, so this error cannot be logged there."""


class MonitorError(OrchestratorError):
    """The kernel refuses to report changes (no watches left, no such monitor)."""


class Died(OrchestratorError):
    """A transfer's verdict was `die`, which has been logged already."""


class Interrupted(OrchestratorError):
    """A function of the config was interrupted, since the daemon is to end."""


class Terminated(OrchestratorError):
    """Lua called `terminate(code)` or `os.exit(code)`: leave at once with that code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"terminated with {exit_code}", exit_code)


LONGEST = 1000
"""Characters of an exception's message that are shown."""


def named(error: BaseException) -> str:
    """The type and the message of an exception. Whatever its class does, this raises nothing."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def fault(error: BaseException, home: str = "") -> str:
    """An exception of a plugin's or a user's code, in one line: type, message and, where known, FILE:LINE.

    `home`: the module that the code belongs to. The line is the innermost one there, not one of a library.
    """
    what = " ".join(named(error).split())
    what = what if len(what) <= LONGEST else f"{what[:LONGEST]}…"
    place = _place(error, home.partition(".")[0])
    return f"{what} ({place})" if place else what


def trace(error: BaseException) -> str:
    """Python's traceback of an exception of a plugin's or a user's code, for `-log Debug`.

    It begins with that code: the frames that called it are left out, unless they are all there are.
    """
    import traceback

    step = error.__traceback__
    while step is not None and _module(step) in _CALLERS:
        step = step.tb_next
    lines = traceback.format_exception(type(error), error, step or error.__traceback__)
    return "".join(lines).rstrip("\n")


_CALLERS = {"orchestrator", "pluggy", "importlib"}
"""Packages that call plugins' code."""


def _module(step: TracebackType) -> str:
    """The name of the package, or of the module that is in none, in which a step of a traceback is."""
    return str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _place(error: BaseException, home: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    at_home = outside = ""
    step = error.__traceback__
    while step is not None:
        module = _module(step)
        place = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        if home and home != "orchestrator" and module == home:
            at_home = place
        elif module != "orchestrator" and module not in sys.stdlib_module_names and not place.startswith("<"):
            outside = place
        step = step.tb_next
    return at_home or outside
