"""From a config to ssh's argument lists (spec 4.3): who logs in, how, and where. Pure."""

from __future__ import annotations

import os
import shlex
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from orchestrator.api import Config
from orchestrator_rsync.api import computed, own_remote_shell, strings

if TYPE_CHECKING:
    from collections.abc import Mapping


def settings(ssh: Config | None) -> list[str]:
    """`-i F`, `-o K=V`, `-p N`: the options of ssh in both its roles."""
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


def remote_shell(config: Config) -> str | None:
    """What rsync's --rsh is to be beside what the user says there himself: the same, with the settings for ssh.

    None: there are no such settings. rsync splits it at spaces outside quotes.
    """
    table = _ssh_table(config)
    arguments = [*settings(table), *extras(table)]
    if not arguments:
        return None
    return " ".join([_own_remote_shell(config) or "ssh", *map(_for_rsync, arguments)])


def command(config: Config, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The ssh that moves: the one that rsync would take, so that both log in the same way."""
    table = _ssh_table(config)
    arguments = [*settings(table), *extras(table)]
    binary = str(table.get("binary") or "ssh") if table is not None else "ssh"
    words = _split(_own_remote_shell(config) or "")
    if not words and not arguments:
        words = _split(environment.get("RSYNC_RSH", ""))
    if not words or (binary != "ssh" and os.path.basename(words[0]) != "ssh"):
        return [binary, *arguments]
    return [words[0] if binary == "ssh" else binary, *words[1:], *arguments]


def host_for_rsync(host: str) -> str:
    """The host as it stands in rsync's target: an IPv6 address in brackets."""
    user, at, name = host.rpartition("@")
    try:
        IPv6Address(name)
    except ValueError:
        return host
    return f"{user}{at}[{name}]"


def _ssh_table(config: Config) -> Config | None:
    table = config.get("ssh")
    return table if isinstance(table, Config) else None


def _own_remote_shell(config: Config) -> str | None:
    """What the user has rsync log in by: `rsync.rsh`, or an option in `rsync._extra`. The last one counts."""
    table = config.get("rsync")
    if not isinstance(table, Config):
        return None
    return own_remote_shell(computed(table))


def _for_rsync(argument: str) -> str:
    if not any(character in argument for character in " \t'\""):
        return argument
    return "'" + argument.replace("'", "''") + "'"


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
