"""The subcommands of `orchestrator`, and their arguments.

A new one: a row in SUBCOMMANDS, and a module in `orchestrator/control` with `run(options, output)`, which returns the
exit status (`orchestrator.control.exits`). The module is imported only when its subcommand is called.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Subcommand(NamedTuple):
    """`arguments` adds what it takes to its parser; `module` below `orchestrator.control` runs it."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    module: str


def add_daemon(parser: argparse.ArgumentParser) -> None:
    """The daemon that is asked: `options.socket` and `options.pid`, at most one of them set."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--socket", metavar="FILE", help="the control socket of the daemon")
    which.add_argument("--pid", type=int, metavar="N", help="its process id; without either: the only one that runs")


def add_syncs(parser: argparse.ArgumentParser) -> None:
    """The syncs: `options.syncs`, a list of names, SyncN and patterns; empty: all."""
    parser.add_argument(
        "syncs",
        nargs="*",
        metavar="SYNC",
        help="a name, SyncN (the N-th of the config), or a pattern of *, ? and […]; without any: all",
    )


def add_json(parser: argparse.ArgumentParser, what: str = "print all of it as JSON") -> None:
    """`options.json`."""
    parser.add_argument("--json", action="store_true", help=what)


def _none(parser: argparse.ArgumentParser) -> None:
    pass


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lua", metavar="VERSION", help="Lua version: 5.1, 5.2, 5.3 (default), 5.4, jit")
    parser.add_argument(
        "--elsewhere", action="store_true", help="the config is for another machine, whose sources are not here"
    )


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a Lua or TOML config file")
    parser.add_argument(
        "--for-real", action="store_true", help="do what the config does while it is loaded, call handlers"
    )
    parser.add_argument(
        "--load", action="store_true", help="only load it, as the daemon does: what it does meanwhile is done"
    )
    _config(parser)


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a Lua config file")
    parser.add_argument("--for-real", action="store_true", help="do what the config does while it is loaded")
    _config(parser)


def _reload(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("config", nargs="?", help="its config, for its pidfile; without it: the only daemon that runs")
    which.add_argument("--pid", type=int, metavar="N", help="its process id")


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:9324",
        help="the address, [IPV6]:PORT too (default %(default)s); others can reach any but a loopback address, so it"
        " needs --token-file",
    )
    parser.add_argument(
        "--socket",
        metavar="FILE",
        action="append",
        default=[],
        help="the control socket of a daemon; may be given several times; without it: every daemon that is found",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="who shows the token in it may steer, and must show it to read where others can reach the address",
    )
    parser.add_argument(
        "--host",
        metavar="NAME",
        action="append",
        default=[],
        help="another name of this server, such as that of a proxy before it; may be given several times",
    )


def _status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("socket", help="the file that the setting controlSocket names")
    add_json(parser)


SUBCOMMANDS: Final[Mapping[str, Subcommand]] = {
    "check": Subcommand("load a config and show what it would do, without doing it", _check, "check"),
    "convert": Subcommand("print a Lua config that has no functions as TOML", _convert, "convert"),
    "plugins": Subcommand("list the installed plugins, their actions and options", _none, "plugins"),
    "reload": Subcommand("have a running daemon read its config again; what is the same goes on", _reload, "reload"),
    "serve": Subcommand("serve running daemons as a web page, as metrics and as an HTTP API", _serve, "serve"),
    "status": Subcommand("ask a running daemon how its syncs are doing", _status, "status"),
}


def make_parser() -> argparse.ArgumentParser:
    """Every subcommand with its arguments."""
    from orchestrator import __version__

    parser = argparse.ArgumentParser(
        prog="orchestrator",
        description="Looks at plugins and configs without starting a daemon, and asks and steers running ones.",
    )
    parser.add_argument("--version", action="version", version=f"lsyncd-orchestrator {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, subcommand in SUBCOMMANDS.items():
        sentence = f"{subcommand.help[0].upper()}{subcommand.help[1:]}."
        subcommand.arguments(commands.add_parser(name, help=subcommand.help, description=sentence))
    return parser
