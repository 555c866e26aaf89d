"""The command `lsyncd`: from its arguments to the exit status."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from orchestrator import LSYNCD_VERSION
from orchestrator.commandline import USAGE, parse
from orchestrator.errors import EXIT_FAILURE, UsageError
from orchestrator.init import become_second

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.daemon.system import System

VERSION = f"Version: {LSYNCD_VERSION}"


def main(arguments: Sequence[str] | None = None, make_system: Callable[[], System] | None = None) -> int:
    """The command `lsyncd`. Returns the exit status. `make_system`: another machine than this one (see Daemon)."""
    if arguments is None:
        # Until the daemon handles signals: HUP and USR2 ask for the loading that is about to begin, Ctrl-C needs no
        # traceback.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    program = "lsyncd" if arguments is not None or sys.argv[0].endswith(".py") else _decode(sys.argv[0])
    try:
        line = parse([_decode(argument) for argument in (sys.argv[1:] if arguments is None else arguments)], program)
        if line.asks_version:
            print(VERSION)
            return 0
        nothing_to_do = line.config is None and not line.syncs and not line.scripts
        if line.asks_help or (nothing_to_do and not line.asks_monitors):
            print(f"{VERSION}\n{USAGE}", end="")
            return EXIT_FAILURE
        if line.config is not None and not os.path.isfile(line.config) and not os.path.exists(line.config):
            raise UsageError(f"Cannot find config file at '{line.config}'.")
    except UsageError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    become_second()
    # nothing that is loaded now is garbage; the daemon enables the collector when it is at work
    gc.disable()
    # imported late: `-version` and a wrong command line are answered at once
    from orchestrator.daemon import Daemon

    return Daemon(line, make_system() if make_system is not None else None).run()


def _decode(argument: str) -> str:
    """Decode an argument as UTF-8: Python has decoded it by the locale."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    sys.exit(main())
