"""Somebody behind a control socket who speaks the protocol, and says what a test wants."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

NOW = 1_800_000_000.0


def sync(name: str = "web1", **changed: Any) -> dict[str, Any]:
    """A sync in a status."""
    return {"name": name, "state": "in sync", "source": "/s/", "target": "/t/", "waiting": 0} | changed


class ScriptedDaemon:
    """`syncs`: of its status, from now on. `asked`: all requests so far, in the order in which they came."""

    def __init__(self, path: Path, *syncs: dict[str, Any]) -> None:
        self.path = str(path)
        self.syncs = list(syncs)
        self.asked: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._connections: list[socket.socket] = []
        self._subscribers: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def __enter__(self) -> ScriptedDaemon:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()
        self.hang_up()

    def tell(self, event: str, **fields: Any) -> None:
        """Once there is a subscriber: an event for all of them."""
        with self._news:
            assert self._news.wait_for(lambda: self._subscribers, 30)
            for connection in self._subscribers:
                _send(connection, {"event": event, "time": NOW, **fields})

    def hang_up(self) -> None:
        """On everybody."""
        with self._news:
            for connection in self._connections:
                connection.shutdown(socket.SHUT_RDWR)
            self._connections.clear()
            self._subscribers.clear()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._news:
                self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                _send(connection, {"protocol": 1, "version": "1", "pid": 7, "may": "steer"})
                for line in lines:
                    request = json.loads(line)
                    with self._news:
                        self.asked.append(request)
                        _send(connection, {"id": request["id"], "result": self._result(request["command"])})
                        if request["command"] == "subscribe":
                            self._subscribers.append(connection)
                        self._news.notify_all()
            except (OSError, ValueError):
                pass
            finally:
                with self._news:
                    for known in (self._connections, self._subscribers):
                        if connection in known:
                            known.remove(connection)

    def _result(self, command: str) -> dict[str, Any]:
        return {"daemon": {"pid": 7, "time": NOW}, "syncs": self.syncs} if command == "status" else {}


def _send(connection: socket.socket, value: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(value).encode() + b"\n")
