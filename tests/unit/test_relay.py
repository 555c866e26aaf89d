"""The relay with a delay (tests/kit/relay.py)."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUND_TRIP = 0.1


class Echo(socketserver.BaseRequestHandler):
    """Greets, gives everything back and closes when it is told that no more comes."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.sendall(b"hello")
            while piece := self.request.recv(1 << 16):
                self.request.sendall(piece)


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server. All its threads have ended when the test has."""
    with Server(("127.0.0.1", 0), Echo) as server:
        loop = threading.Thread(target=server.serve_forever)
        loop.start()
        yield server.server_address[1]
        server.shutdown()
        loop.join()


def receive(connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (piece := connection.recv(1 << 16)):
        got += piece
    return got


def connect(relay: Relay) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", relay.port))
    connection.settimeout(30)
    return connection


def test_a_connection_takes_a_round_trip_before_anything_is_said(echo: int) -> None:
    with Relay(echo, ROUND_TRIP) as relay:
        begun = time.monotonic()
        with connect(relay) as connection:
            assert receive(connection, 5) == b"hello"
            assert time.monotonic() - begun >= 2 * ROUND_TRIP


def test_an_answer_takes_a_round_trip(echo: int) -> None:
    with Relay(echo, ROUND_TRIP) as relay, connect(relay) as connection:
        receive(connection, 5)
        for number in range(3):
            begun = time.monotonic()
            connection.sendall(b"%d" % number)
            assert receive(connection, 1) == b"%d" % number
            assert time.monotonic() - begun >= ROUND_TRIP


def test_everything_arrives_in_order_and_then_the_end(echo: int) -> None:
    data = os.urandom(5_000_000)
    with Relay(echo, ROUND_TRIP) as relay, connect(relay) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert receive(connection, len(data) + 100) == b"hello" + data
        sender.join()


def test_a_connection_does_not_wait_for_another_one(echo: int) -> None:
    with Relay(echo, ROUND_TRIP) as relay, connect(relay) as silent, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(relay)) for _number in range(20)]
        for connection in connections:
            assert receive(connection, 5) == b"hello"
        assert receive(silent, 5) == b"hello"
        assert relay.connections == 21


def test_a_network_that_fails_tells_nobody(echo: int) -> None:
    with Relay(echo, 0) as relay, connect(relay) as connection:
        receive(connection, 5)
        relay.hold()
        connection.sendall(b"!")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(30)
        relay.go_on()
        assert receive(connection, 1) == b"!"


def test_whoever_is_left_by_the_other_side_gets_to_know() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else will
        with Relay(bound.getsockname()[1], 0) as relay, connect(relay) as connection:
            assert receive(connection, 1) == b""
