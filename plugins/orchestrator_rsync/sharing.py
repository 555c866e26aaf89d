"""Runs of rsync over an ssh connection that others share (`sshShare`, spec 4.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator_rsync.arguments import rsync_options
from orchestrator_rsync.shell import through

if TYPE_CHECKING:
    from orchestrator.api import Inlet, SshConnection

    Argument = str | bytes


def shared(inlet: Inlet, argv: list[Argument]) -> tuple[list[Argument], SshConnection | None]:
    """A run's arguments for the shared connection to the sync's host, with that; as they are, and None: there is none
    now."""
    login = rsync_options(inlet.config).login
    connection = None if login is None else inlet.shared_ssh(login.command, login.host)
    return (argv, None) if login is None or connection is None else (through(connection, login, argv), connection)
