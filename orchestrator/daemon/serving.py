"""The control socket in the life of the daemon: made when it is at work, made anew where its settings have changed,
gone at its end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError
from orchestrator.requests.listener import cannot_create, check_place
from orchestrator.requests.place import make_place
from orchestrator.requests.server import Server

if TYPE_CHECKING:
    from orchestrator.config.settings import Settings
    from orchestrator.log import Log
    from orchestrator.requests.desk import Desk


class Serving:
    """At most one server at a time."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._server: Server | None = None
        self._desk: Desk | None = None

    def open(self, desk: Desk, settings: Settings) -> None:
        """Serve, where the settings want it. Raises OrchestratorError where they name a place or group that cannot be;
        where they name none, and there is no place for a socket, there is none."""
        self._desk = desk
        path = settings.control_socket
        if path is False:
            return
        group = group_of(settings)
        try:
            self._server = Server(desk, make_place() if path is None else os.path.abspath(path), group)
        except OSError as error:
            if path is not None:
                raise cannot_create(path, error) from None
            self._log("Debug", f"no control socket: {error.strerror or error}")

    def change(self, before: Settings, settings: Settings) -> None:
        """Another configuration is in its place."""
        if self._desk is None:
            return
        self._desk.reloads += 1
        is_same = (settings.control_socket, settings.control_group) == (before.control_socket, before.control_group)
        if self._server is None or not is_same:
            self._close()
            try:
                self.open(self._desk, settings)
            except OrchestratorError as error:  # what could be checked was
                self._log("Error", str(error))
        else:
            self._server.reloaded()

    def timeout(self, now: float, timeout: float | None) -> float | None:
        """Seconds that the loop may sleep, given those that it may without the server."""
        due = self._server.timeout() if self._server is not None else None
        if due is None:
            return timeout
        return max(0.0, due - now) if timeout is None else max(0.0, min(timeout, due - now))

    def work(self, now: float) -> None:
        """Do what is due."""
        if self._server is not None:
            self._server.work(now)

    def ending(self, reason: str) -> None:
        """The daemon is about to end: whoever follows it hears of that, and nobody steers it any more."""
        if self._desk is not None:
            self._desk.is_ending = True
        if self._server is not None:
            self._server.ending(reason)

    def close(self) -> None:
        """No server any more. Its followers hear of the end now where no signal asked for it."""
        if self._desk is not None and not self._desk.is_ending:
            self.ending("its work is over")
        self._close()
        self._desk = None

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()


def check(settings: Settings) -> None:
    """Raise OrchestratorError where it is plain that the server could not be what the settings want."""
    if settings.control_socket:
        check_place(settings.control_socket)
    group_of(settings)


def group_of(settings: Settings) -> int | None:
    """The id of the group that may read; None: there is none. Raises OrchestratorError where it does not exist."""
    name = settings.control_group
    if name is None:
        return None
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        raise OrchestratorError(f'controlGroup: there is no group "{name}".') from None
