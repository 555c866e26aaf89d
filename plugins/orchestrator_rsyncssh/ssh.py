"""From a config to ssh's argument lists, and moves as the remote shell reads them (spec 4.3). Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.api import Config
from orchestrator_rsync.arguments import strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Argument = str | bytes

REMOVE_AND_FAIL = "'rm -rf -- \"$1\"; exit 1'"


class Move(NamedTuple):
    """Origin and destination on the target, absolute or relative to the home directory there."""

    origin: bytes
    destination: bytes


def settings(ssh: Config | None) -> list[str]:
    """`-i F`, `-o K=V`, `-p N`: what ssh is told in both its roles."""
    if ssh is None:
        return []
    arguments: list[str] = []
    identity = ssh.get("identityFile")
    if identity is not None:
        arguments += ["-i", str(identity)]
    options = ssh.get("options")
    if isinstance(options, Config):
        for key, value in sorted(options.items()):
            arguments += ["-o", f"{key}={value}"]
    port = ssh.get("port")
    if port is not None:
        arguments += ["-p", str(port)]
    return arguments


def extras(ssh: Config | None) -> list[str]:
    """What the user adds: `_extra`, or `-sshopts` of the command line."""
    extra = ssh.get("_extra") if ssh is not None else None
    return strings(extra) if isinstance(extra, Config) else []


def remote_shell(arguments: Sequence[str]) -> str:
    """What rsync's --rsh takes for `ssh` with these arguments: it splits at spaces outside quotes."""
    return " ".join(["ssh", *map(_for_rsync, arguments)])


def command(config: Config) -> list[str]:
    """The ssh that moves. Without settings for it, the user's `rsync.rsh` knows key, port and user."""
    ssh = config.get("ssh")
    table = ssh if isinstance(ssh, Config) else None
    binary = str(table.get("binary") or "ssh") if table is not None else "ssh"
    arguments = [*settings(table), *extras(table)]
    rsync = config.get("rsync")
    rsh = rsync.get("rsh") if isinstance(rsync, Config) else None
    if isinstance(rsh, str) and rsh.strip() and not arguments and binary == "ssh":
        return _split(rsh)
    return [binary, *arguments]


def move_one(config: Config, host: str, move: Move, removes: bool) -> list[Argument]:
    """One move as one command. `removes`: where it cannot be done, its origin goes.

    The exit code tells whether it was done. `-T`: a directory replaces an empty one, never lands inside it.
    """
    origin = quoted(move.origin)
    argv: list[Argument] = [*command(config), host, "mv", "-T", "--", origin, quoted(move.destination)]
    if removes:
        argv += ["||", "sh", "-c", REMOVE_AND_FAIL, "sh", origin]
    return argv


def move_many(config: Config, host: str, moves: Iterable[Move], removes: bool) -> tuple[list[Argument], bytes]:
    """Many moves in one call: arguments, and the script that the shell there reads.

    A script has no limit to its length. One move that fails does not keep the others from being tried.
    """
    lines = [b"failed=0"]
    for move in moves:
        origin = quoted(move.origin)
        remove = b"rm -rf -- " + origin + b"; " if removes else b""
        lines.append(b"mv -T -- " + origin + b" " + quoted(move.destination) + b" || { " + remove + b"failed=1; }")
    lines.append(b"exit $failed\n")
    return [*command(config), host, "sh"], b"\n".join(lines)


def quoted(path: bytes) -> bytes:
    """The path as one word of the remote shell, whatever bytes it holds."""
    return b"'" + path.replace(b"'", b"'\"'\"'") + b"'"


def _for_rsync(argument: str) -> str:
    if not any(character in argument for character in " \t'\""):
        return argument
    return "'" + argument.replace("'", "''") + "'"


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
