"""A control socket's server over syncs that do nothing, and its clients, in one thread: a test turns the loop."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from orchestrator.config.model import DictConfig
from orchestrator.logic.filters import Filters
from orchestrator.masterloop import Loop
from orchestrator.requests.desk import Desk
from orchestrator.requests.protocol import Right
from orchestrator.requests.server import Server
from orchestrator.sync.sync import Definition, Options, Sync
from tests.kit.syncs import Calls, Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from orchestrator.runner import Runner


class Served:
    """The server. `names`: of its syncs. `touched`: turns after which something may have changed.

    `right`: of those who connect, from now on.
    """

    def __init__(self, path: Path, names: Iterable[str] = ("one",)) -> None:
        machine = Machine()
        self.clock, self.host, self.log = machine.clock, machine.host, machine.log
        self.feed = self.host.feed
        self.loop = Loop()
        self.touched = self._made = 0
        syncs = [self.sync(name) for name in names]
        self.runner = SimpleNamespace(
            host=self.host,
            syncs=syncs,
            count_watches=lambda: (3, 0),
            overflows=0,
            tunnel_status=list,
            is_changing=False,
        )
        self.desk = Desk(cast("Runner", self.runner), self.loop, self.log, self.clock.now())
        self.path = path
        self.right: Right | None = Right.STEER
        self.server = Server(self.desk, str(path), right_of=lambda connection, group: self.right)
        self._clients: list[Client] = []

    def sync(self, name: str) -> Sync:
        """One that is in sync, and whose action does nothing."""
        self._made += 1
        definition = Definition(self._made, name, b"/src/", DictConfig({}), Filters(), Options())
        sync = Sync(self.host, definition, Calls())
        sync.start()
        return sync

    def change(self, sync: Sync, *paths: bytes, etype: str = "Modify") -> None:
        """Paths have changed; a path begins with a slash."""
        for path in paths:
            now = self.clock.now()
            sync.change(etype, now + sync.options.delay, sync.source + path[1:], None)

    def client(self, *, greeted: bool = True) -> Client:
        """Somebody who has connected, and read the greeting."""
        client = Client(self)
        self._clients = [one for one in self._clients if one.socket.fileno() >= 0]
        self._clients.append(client)
        if greeted:
            assert client.line()["protocol"] == 1
        return client

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.server.work(self.clock.now())
            if self.loop.turn(0.0):
                self.touched += 1

    def is_alone(self) -> bool:
        """Whether nobody is connected any more."""
        return not self.server._clients

    def close(self) -> None:
        for client in self._clients:
            client.socket.close()
        self.server.close()
        self.loop.close()


class Client:
    """Somebody at the other end."""

    TURNS = 100
    """Of the loop, at most, until something comes."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._incoming = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(served.path))
        self.socket.setblocking(False)

    def send(self, *requests: Mapping[str, Any] | bytes) -> None:
        """Lines, as bytes or to be made of values."""
        for request in requests:
            self.socket.sendall(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The answer, whatever it is."""
        self.send({"id": command, "command": command, **arguments})
        answer = self.line()
        assert answer["id"] == command
        return answer

    def line(self) -> dict[str, Any]:
        """The next line that comes."""
        line = self.line_or_end()
        assert line is not None, "it was hung up on"
        return line

    def line_or_end(self) -> dict[str, Any] | None:
        """The next line that comes; None: hung up on."""
        for _ in range(self.TURNS):
            line, newline, rest = self._incoming.partition(b"\n")
            if newline:
                self._incoming = rest
                found: dict[str, Any] = json.loads(line)
                return found
            self._served.turn()
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                assert not self._incoming, "half a line"
                return None
            self._incoming += data
        raise AssertionError("nothing comes")

    def lines(self) -> list[dict[str, Any]]:
        """All that has come."""
        self._served.turn(3)
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            if not data:
                break
            self._incoming += data
            self._served.turn()
        *whole, self._incoming = self._incoming.split(b"\n")
        return [json.loads(line) for line in whole]
