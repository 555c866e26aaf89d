"""The server process: uvicorn with our app, until a signal ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import uvicorn

from orchestrator.control.web.app import make_app
from orchestrator.control.web.daemons import Daemons
from orchestrator.control.web.guard import Guard
from orchestrator.control.web.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from orchestrator.control.web.listening import Listening

CONNECTIONS: Final = 256
"""At once, those that follow events included; more are answered by 503."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # they would go on for ever, and the server would wait for them
        self._streams.end()


def serve(listening: Listening, sockets: Sequence[str], token: str | None, hosts: frozenset[str]) -> None:
    """Serve until a signal comes, which then ends the process.

    `sockets`: the daemons' control sockets; none: found by themselves. `hosts`: further names of this server.
    """
    streams = Streams()
    guard = Guard(listening.port, token, is_open=listening.is_loopback, hosts=hosts)
    config = uvicorn.Config(
        make_app(Daemons(sockets, streams), streams, guard),
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    _Server(config, streams).run(sockets=[listening.socket])
