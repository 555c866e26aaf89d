"""The command `orchestrator`: looks at plugins and configs without starting a daemon."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser() -> argparse.ArgumentParser:
    """Every subcommand with its arguments."""
    parser = argparse.ArgumentParser(prog="orchestrator", description=__doc__)
    parser.add_argument("--version", action="version", version=f"lsyncd-orchestrator {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("plugins", help="list the installed plugins, their actions and options")
    check = commands.add_parser("check", help="load a config and tell what it would do, without doing it")
    check.add_argument("config", help="a Lua or TOML config file")
    check.add_argument("--lua", metavar="VERSION", help="Lua version: 5.1, 5.2, 5.3 (default), 5.4, jit")
    status = commands.add_parser("status", help="ask a running daemon how its syncs are doing")
    status.add_argument("socket", help="the file that the setting controlSocket names")
    status.add_argument("--json", action="store_true", help="print all of it as JSON")
    convert = commands.add_parser("convert", help="print a Lua config that has no functions as TOML")
    convert.add_argument("config", help="a Lua config file")
    convert.add_argument("--lua", metavar="VERSION", help="Lua version: 5.1, 5.2, 5.3 (default), 5.4, jit")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit status: 0, or 1 for what is wrong with what was looked at."""
    options = make_parser().parse_args(arguments)
    try:
        if options.command == "plugins":
            from orchestrator.control.plugins import show_plugins

            return show_plugins()
        if options.command == "check":
            from orchestrator.control.check import check

            return check(options.config, options.lua)
        if options.command == "status":
            from orchestrator.control.client import status

            return status(options.socket, options.json)
        from orchestrator.control.convert import convert

        return convert(options.config, options.lua)
    except OrchestratorError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except BrokenPipeError:
        return 1
