"""`orchestrator top`: the live view of a daemon, on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from orchestrator.control.client import reach
from orchestrator.control.exits import OK, WRONG_CALL, Refused

if TYPE_CHECKING:
    import argparse

    from orchestrator.control.output import Output

INSTALL = "top needs textual, which is not installed: pip install 'lsyncd-orchestrator[tui]'"


def run(options: argparse.Namespace, output: Output) -> int:
    """Show it until the user leaves. Returns the exit status. Raises Refused."""
    try:
        from orchestrator.control.top.app import Top  # late: an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        raise Refused(INSTALL, WRONG_CALL) from None
    with reach(options.socket, options.pid) as daemon:  # says what is wrong before the screen is another one
        daemon.ask("status", syncs=options.syncs or None)
    if not (os.isatty(0) and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise Refused("top needs a terminal; `orchestrator status` and `events` do without", WRONG_CALL)
    Top(lambda: reach(options.socket, options.pid), options.syncs).run()
    return OK
