"""The command `orchestrator`: looks at plugins and configs without starting a daemon, and asks running ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.control.output import report
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.control.output import Output


def make_parser() -> argparse.ArgumentParser:
    """Every subcommand with its arguments."""
    parser = argparse.ArgumentParser(prog="orchestrator", description=__doc__)
    parser.add_argument("--version", action="version", version=f"lsyncd-orchestrator {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("plugins", help="list the installed plugins, their actions and options")
    check = commands.add_parser("check", help="load a config and show what it would do, without doing it")
    check.add_argument("config", help="a Lua or TOML config file")
    check.add_argument(
        "--for-real", action="store_true", help="do what the config does while it is loaded, call handlers"
    )
    check.add_argument(
        "--load", action="store_true", help="only load it, as the daemon does: what it does meanwhile is done"
    )
    status = commands.add_parser("status", help="ask a running daemon how its syncs are doing")
    status.add_argument("socket", help="the file that the setting controlSocket names")
    status.add_argument("--json", action="store_true", help="print all of it as JSON")
    reload = commands.add_parser("reload", help="have a running daemon read its config again; what is the same goes on")
    which = reload.add_mutually_exclusive_group()
    which.add_argument("config", nargs="?", help="its config, for its pidfile; without it: the only daemon that runs")
    which.add_argument("--pid", type=int, metavar="N", help="its process id")
    convert = commands.add_parser("convert", help="print a Lua config that has no functions as TOML")
    convert.add_argument("config", help="a Lua config file")
    convert.add_argument("--for-real", action="store_true", help="do what the config does while it is loaded")
    for command in (check, convert):
        command.add_argument("--lua", metavar="VERSION", help="Lua version: 5.1, 5.2, 5.3 (default), 5.4, jit")
        command.add_argument(
            "--elsewhere", action="store_true", help="the config is for another machine, whose sources are not here"
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit status: 0, or 1 for what is wrong with what was looked at."""
    options = make_parser().parse_args(arguments)
    try:
        with report() as output:
            return _run(options, output)
    except BrokenPipeError:
        return 1


def _run(options: argparse.Namespace, output: Output) -> int:
    # each imports late what the others have no use for
    try:
        if options.command == "plugins":
            from orchestrator.control.plugins import show_plugins

            return show_plugins(output)
        if options.command == "check":
            from orchestrator.control.check import check

            return check(
                options.config,
                output,
                options.lua,
                for_real=options.for_real,
                elsewhere=options.elsewhere,
                only_load=options.load,
            )
        if options.command == "status":
            from orchestrator.control.client import status

            return status(options.socket, output, as_json=options.json)
        if options.command == "reload":
            from orchestrator.control.reload import reload

            return reload(options.config, options.pid, output)
        from orchestrator.control.convert import convert

        return convert(options.config, output, options.lua, for_real=options.for_real, elsewhere=options.elsewhere)
    except OrchestratorError as error:
        output.complain(f"Error: {error}")
        return 1
