"""`orchestrator plugins`: what is installed, where from, and why something could not be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.model import Option
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from orchestrator.control.output import Output


def run(_: argparse.Namespace, output: Output) -> int:
    """Print the list. Returns the exit status: 1 where a plugin could not be loaded."""
    manager = make_manager()
    for found in manager.found:
        output.line(f"{found.name} {found.version} ({found.module})")
        if found.problem:
            output.line(f"  not loaded: {found.problem}")
        for action in found.actions:
            output.line(
                f"  default.{action.name}: {', '.join(_option_names(action.options)) or 'no options of its own'}"
            )
        for kind in found.monitors:
            output.line(f'  monitor = "{kind.name}"')
        if found.options:
            output.line(f"  settings.plugins.{found.name}: {', '.join(_option_names(found.options))}")
    return 1 if manager.problems() else 0


def _option_names(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, option in sorted(options.items()):
        if isinstance(option, Option):
            yield prefix + key
        else:
            yield from _option_names(option, f"{prefix}{key}.")
