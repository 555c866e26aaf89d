"""The command `orchestrator`: looks at plugins and configs without starting a daemon, and asks running ones."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from orchestrator.control.exits import ATTENTION, Refused
from orchestrator.control.output import report
from orchestrator.control.subcommands import SUBCOMMANDS, parsed
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from orchestrator.control.output import Output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit status (see exits)."""
    options = parsed(arguments)
    try:
        with report() as output:
            return _run(options, output)
    except BrokenPipeError:
        return ATTENTION


def _run(options: argparse.Namespace, output: Output) -> int:
    # imported late: no other subcommand has a use for it
    module = importlib.import_module(f"orchestrator.control.{SUBCOMMANDS[options.command].module}")
    try:
        status: int = module.run(options, output)
        return status
    except Refused as refusal:
        output.complain(f"Error: {refusal}")
        return refusal.status
    except OrchestratorError as error:
        output.complain(f"Error: {error}")
        return ATTENTION
