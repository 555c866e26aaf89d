"""One family of errors: everything that ends the daemon in an orderly way.

Recoverable trouble is not an exception: it is a log line and a verdict. What is raised from
here carries the one line that the user reads and the exit status; only daemon/ catches all.
"""

from __future__ import annotations

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
    """The log file cannot be opened: there is no place to log that."""


class MonitorError(OrchestratorError):
    """The kernel refuses to report changes (no watches left, no such monitor)."""


class Died(OrchestratorError):
    """A transfer's verdict was `die`; what there was to say has been logged already."""


class Interrupted(OrchestratorError):
    """A function of the config was cut short, since the daemon is to end."""


class Terminated(OrchestratorError):
    """Lua called `terminate(code)` or `os.exit(code)`: leave at once with that code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"terminated with {exit_code}", exit_code)
