"""`orchestrator status`: the state of a running daemon and its syncs, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.control import client
from orchestrator.control.asking import ask, attention
from orchestrator.control.table import table

if TYPE_CHECKING:
    import argparse

    from orchestrator.control.output import Output


def run(options: argparse.Namespace, output: Output) -> int:
    """Print it. Returns the exit status: ATTENTION where a sync needs some."""
    if options.watch:
        from orchestrator.control.watch import watch

        return watch(options, output)
    with client.reach(options.socket, options.pid) as daemon:
        raw, answer = ask(daemon, options.syncs)
    if options.json:
        output.raw(json.dumps(raw, indent=1))
    else:
        size = output.terminal()
        for line in table(answer, None if size is None else size.columns, is_coloured=output.has_colour()):
            output.raw(line)
    return attention(answer, output)
