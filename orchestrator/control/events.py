"""`orchestrator events`: follows what a daemon does, as lines or as JSON."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Final

from orchestrator.control import client
from orchestrator.control.eventlines import USUAL, line_of
from orchestrator.control.exits import NO_DAEMON, OK, Refused

if TYPE_CHECKING:
    import argparse

    from orchestrator.control.output import Output

AGAIN: Final = 0.3
"""Seconds between two looks whether there is a daemon again."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Follow until Ctrl-C, which is OK. Raises Refused when the daemon has gone; with `--reconnect` the next one is
    waited for."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            try:
                _follow(options, output)
            except Refused as refusal:
                if not options.reconnect or refusal.status != NO_DAEMON:
                    raise
            time.sleep(AGAIN)
    except KeyboardInterrupt:
        return OK


def _follow(options: argparse.Namespace, output: Output) -> None:
    with client.reach(options.socket, options.pid) as daemon:
        daemon.ask("subscribe", syncs=options.syncs or None, topics=options.topics or [*USUAL])
        for event in daemon.events():
            if options.json:
                output.raw(json.dumps(event))
            else:
                output.line(line_of(event))
            output.flush()
    raise Refused("the daemon has ended", NO_DAEMON)
