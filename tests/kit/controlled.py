"""A daemon that is nothing but its control socket: it answers as contrib/CONTROL.md says, with what a test puts there.

For the other side of the protocol: states that a real daemon would take minutes to get into, answers that none gives.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.logic.syncnames import UnknownSync, chosen
from tests.kit.daemon import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = 1_700_000_000.0
NOW = START + 100
CONFIG = "/etc/lsyncd/lsyncd.conf.lua"


def sync(name: str = "web", **values: Any) -> dict[str, Any]:
    """A sync in sync, but for these values."""
    return {
        "name": name,
        "number": 1,
        "action": "rsync",
        "source": "/srv/www/",
        "target": "host::www",
        "state": "in sync",
        "stuck": None,
        "waiting": 0,
        "settling": 0,
        "retrying": 0,
        "oldest": None,
        "held_by": "",
        "unreachable": None,
        "startup": None,
        "transfers": [],
        "last_success": START + 60,
        "last_error": None,
        "counts": {
            "changes": 12,
            "transfers": {"ok": 5, "partial": 1, "again": 2, "die": 0},
            "files": 10,
            "bytes": 4096,
            "seconds": 1.5,
            "retries": 2,
            "full_runs": 1,
        },
        "verified": None,
        "conflicts": None,
        **values,
    }


class Controlled:
    """`daemon` and `syncs` are its status; `requests` all so far, in the order in which they came; `asked` those that
    do not read."""

    def __init__(self, path: Path, *, may: str = "steer", greeting: bytes | None = None, config: str = CONFIG) -> None:
        self.path = path
        self.daemon: dict[str, Any] = {
            "pid": 4711,
            "version": "1.2.0",
            "time": NOW,
            "started": START,
            "config": config,
            "processes": 1,
            "max_processes": None,
            "watches": 7,
            "polled": 0,
            "overflows": 0,
            "state": "running",
            "reloads": 3,
            "ssh": [],
            "tunnels": [],
            "log": [],
        }
        self.syncs = [sync()]
        self.requests: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.refusal: dict[str, str] | None = None
        """The error that every request that steers is answered by."""
        self._greeting = greeting or json.dumps({"protocol": 1, "version": "1.2.0", "pid": 4711, "may": may}).encode()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._followers = threading.Semaphore(0)  # one more with each that subscribes
        self._start(self._accept)

    def event(self, event: str, **values: Any) -> None:
        """Say it to everybody who is connected."""
        line = json.dumps({"event": event, "time": self.daemon["time"], **values}).encode() + b"\n"
        for connection in [*self._connections]:
            try:
                connection.sendall(line)
            except OSError:
                self._connections.remove(connection)
                connection.close()

    def wait_for_follower(self) -> None:
        """Wait until one more has subscribed to events."""
        assert self._followers.acquire(timeout=DEADLINE)

    def hang_up(self) -> None:
        """On everybody."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self) -> None:
        """As a daemon that ends: no connection, no socket."""
        self.path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        try:
            connection.sendall(self._greeting + b"\n")
            with connection.makefile("r") as lines:
                for line in lines:
                    request = json.loads(line)
                    self.requests.append(request)
                    answer = {"id": request["id"], **self._answer(request)}
                    connection.sendall(json.dumps(answer).encode() + b"\n")
                    if request["command"] == "subscribe":
                        self._followers.release()
        except OSError:
            pass

    def _chosen(self, words: list[str] | None) -> list[dict[str, Any]]:
        if words is None:
            return self.syncs
        try:
            return [self.syncs[place] for place in chosen(words, [one["name"] for one in self.syncs])]
        except UnknownSync:
            return []

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        command, syncs = request["command"], self._chosen(request.get("syncs"))
        if command == "status":
            return {"result": {"daemon": self.daemon, "syncs": syncs}}
        if command == "detail":
            found = [one for one in self.syncs if one["name"] == request["sync"]]
            if not found:
                return {"error": {"code": "unknown sync", "message": "there is none of this name"}}
            return {"result": {"sync": found[0], "paths": [], "recent": []}}
        if command == "subscribe":
            return {"result": {}}
        self.asked.append({key: value for key, value in request.items() if key != "id"})
        if self.refusal is not None:
            return {"error": self.refusal}
        return {"result": {"syncs": [one["name"] for one in syncs]}}


@contextmanager
def controlled(path: Path, **arguments: Any) -> Iterator[Controlled]:
    """One that runs inside of the block."""
    daemon = Controlled(path, **arguments)
    try:
        yield daemon
    finally:
        daemon.stop()
