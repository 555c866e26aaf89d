"""The subcommands of `orchestrator`, and their arguments.

A new one: a row in SUBCOMMANDS, and a module in `orchestrator/control` with `run(options, output)`, which returns the
exit status (`orchestrator.control.exits`). The module is imported only when its subcommand is called.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from orchestrator.control.eventlines import TOPICS
from orchestrator.control.exits import WRONG_CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Subcommand(NamedTuple):
    """`arguments` adds what it takes to its parser; `module` below `orchestrator.control` runs it."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    module: str
    wrong_call: int = WRONG_CALL
    """The exit status for arguments that it does not take."""


class _Parser(argparse.ArgumentParser):
    wrong_call = WRONG_CALL

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments, and exit."""
        self.print_usage(sys.stderr)
        self.exit(self.wrong_call, f"{self.prog}: error: {message}\n")


_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


_LONGEST = 1e9
"""Seconds; what waits for longer waits for ever, and would not fit into the kernel's times."""


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: seconds, or 10m, 2h, 1d")
    return min(float(match[1]) * _UNITS[match[2]], _LONGEST)


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _topics(text: str) -> list[str]:
    topics = text.split(",")
    unknown = [topic for topic in topics if topic not in TOPICS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no topic {unknown[0]!r}; there are: {', '.join(TOPICS)}")
    return topics


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
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--load", action="store_true", help="only load it, as the daemon does: what it does meanwhile is done"
    )
    only.add_argument(
        "--connect", action="store_true", help="try to log in to the targets on other machines; nothing is written"
    )
    _config(parser)


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a Lua config file")
    parser.add_argument("--for-real", action="store_true", help="do what the config does while it is loaded")
    _config(parser)


def _reload(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("config", nargs="?", help="its config, for its pidfile; without it: the only daemon that runs")
    which.add_argument("--socket", metavar="FILE", help="the control socket of the daemon")
    which.add_argument("--pid", type=int, metavar="N", help="its process id")
    add_json(parser, "print the daemon's answer as JSON")


def _steer(parser: argparse.ArgumentParser) -> None:
    add_syncs(parser)
    add_daemon(parser)
    add_json(parser, "print the daemon's answer as JSON")


def _flush(parser: argparse.ArgumentParser) -> None:
    _steer(parser)
    parser.add_argument(
        "--wait",
        nargs="?",
        type=_seconds,
        const=float("inf"),
        metavar="SECONDS",
        help="until all that waits now has been transferred, or so many seconds are over (then the exit status is 1)",
    )


def _seconds(text: str) -> float:
    from orchestrator.control.steer import seconds  # late: json, sockets

    try:
        return seconds(text)
    except ValueError:
        message = f'"{text}" is no number of seconds; syncs stand before --wait'
        raise argparse.ArgumentTypeError(message) from None


def _log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("categories", nargs="*", metavar="CATEGORY", help="as of lsyncd -log, also all and scarce")
    parser.add_argument("--off", nargs="+", metavar="CATEGORY", help="these are no longer shown")
    add_daemon(parser)
    add_json(parser, "print the daemon's answer as JSON")


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


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for this shell")


def _status(parser: argparse.ArgumentParser) -> None:
    add_syncs(parser)
    add_daemon(parser)
    add_json(parser)
    parser.add_argument("--watch", action="store_true", help="draw the table again as things change, until Ctrl-C")


def _events(parser: argparse.ArgumentParser) -> None:
    add_syncs(parser)
    add_daemon(parser)
    add_json(parser, "print each event as a line of JSON")
    parser.add_argument(
        "--topics", type=_topics, metavar="LIST",
        help=f"of these, separated by commas: {', '.join(TOPICS)}; without it: all but queue and log",
    )  # fmt: skip
    parser.add_argument("--reconnect", action="store_true", help="when the daemon ends, wait for the next one")


def _health(parser: argparse.ArgumentParser) -> None:
    add_syncs(parser)
    add_daemon(parser)
    add_json(parser)
    for name, kind, metavar, meaning in (
        ("--warning-age", _duration, "AGE", "a warning when a sync's oldest change is older: seconds, or 10m, 2h, 1d"),
        ("--max-age", _duration, "AGE", "critical when it is older"),
        ("--warning-delays", _number, "N", "a warning when more changes wait in a sync"),
        ("--max-delays", _number, "N", "critical when more wait"),
    ):
        parser.add_argument(name, type=kind, metavar=metavar, help=meaning)
    parser.add_argument(
        "--timeout", type=_duration, metavar="SECONDS", default=10.0, help="critical without an answer for so long: 10"
    )


def _top(parser: argparse.ArgumentParser) -> None:
    add_syncs(parser)
    add_daemon(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    add_syncs(parser)
    parser.add_argument("--quick", action="store_true", help="by size and time of files, not by their contents")
    parser.add_argument("--repair", action="store_true", help="queue the paths that differ, as if they had changed")
    add_daemon(parser)
    add_json(parser)


SUBCOMMANDS: Final[Mapping[str, Subcommand]] = {
    "check": Subcommand("load a config and show what it would do, without doing it", _check, "check"),
    "completion": Subcommand("print a script that completes this command's line in a shell", _completion, "completion"),
    "convert": Subcommand("print a Lua config that has no functions as TOML", _convert, "convert"),
    "events": Subcommand("follow what a running daemon does: changes, transfers, states", _events, "events"),
    "health": Subcommand("say in one line how a running daemon is doing, for monitoring", _health, "health", 3),
    "flush": Subcommand("have what waits transferred now, without delay", _flush, "steer"),
    "log": Subcommand("turn categories of the log on and off; without any: show those that are on", _log, "steer"),
    "pause": Subcommand("start nothing for these syncs any more, until they are resumed", _steer, "steer"),
    "plugins": Subcommand("list the installed plugins, their actions and options", _none, "plugins"),
    "reload": Subcommand("have a running daemon read its config again; what is the same goes on", _reload, "reload"),
    "resume": Subcommand("let paused syncs go on", _steer, "steer"),
    "retry": Subcommand("try what has failed now, not when its pause is over", _steer, "steer"),
    "run": Subcommand("compare everything of these syncs with their targets now", _steer, "steer"),
    "serve": Subcommand("serve running daemons as a web page, as metrics and as an HTTP API", _serve, "serve"),
    "status": Subcommand("ask a running daemon how its syncs are doing", _status, "status"),
    "top": Subcommand("a live view of a running daemon and its syncs, on the terminal", _top, "top"),
    "verify": Subcommand("compare sources and targets of a running daemon's syncs; changes nothing", _verify, "verify"),
}


def make_parser() -> argparse.ArgumentParser:
    """Every subcommand with its arguments."""
    from orchestrator import __version__

    parser = _Parser(
        prog="orchestrator",
        description="Looks at plugins and configs without starting a daemon, and asks and steers running ones.",
    )
    parser.add_argument("--version", action="version", version=f"lsyncd-orchestrator {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, subcommand in SUBCOMMANDS.items():
        sentence = f"{subcommand.help[0].upper()}{subcommand.help[1:]}."
        parser_of_it = commands.add_parser(name, help=subcommand.help, description=sentence)
        parser_of_it.wrong_call = subcommand.wrong_call
        # an argument that it does not know is refused by itself, too
        parser_of_it.set_defaults(parser=parser_of_it)
        subcommand.arguments(parser_of_it)
    return parser


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments (None: of the command line). Ends the process where they are wrong."""
    options, unknown = make_parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options
