"""`orchestrator status`: the state of a running daemon and its syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.control.client import status

if TYPE_CHECKING:
    import argparse

    from orchestrator.control.output import Output


def run(options: argparse.Namespace, output: Output) -> int:
    """Print it. Returns the exit status."""
    return status(options.socket, output, as_json=options.json)
