"""A TCP relay on the loopback address: a network with a long way.

Bytes from either side are held for half of the round trip and then passed on; the bandwidth is not limited. As TCP's
handshake takes a round trip, the first bytes of a client arrive after one and a half, those of a server after two.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

Pieces = asyncio.Queue[tuple[float, bytes]]

PIECE: Final = 1 << 16
PIECES: Final = 4096
"""How much is under way in one direction at most: 256 MiB."""


class Relay:
    """`port` leads to the port `behind` of the loopback address, `round_trip` seconds away. Use it in a `with`."""

    def __init__(self, behind: int, round_trip: float) -> None:
        self.port = 0
        self.connections = 0
        """How many have been made so far."""
        self._behind = behind
        self._half = round_trip / 2
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._open: set[asyncio.Task[None]] = set()
        self._goes_on: asyncio.Event
        self._server: asyncio.Server

    def __enter__(self) -> Relay:
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = listening.getsockname()[1]
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(listening), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def hold(self) -> None:
        """Nothing gets through from now on, as in a network that has failed: nobody is told."""
        self._loop.call_soon_threadsafe(self._goes_on.clear)

    def go_on(self) -> None:
        """What was held gets through."""
        self._loop.call_soon_threadsafe(self._goes_on.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _listen(self, listening: socket.socket) -> None:
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._server = await asyncio.start_server(self._connected, sock=listening)

    async def _shut(self) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        writers = [to_client]
        workers: list[asyncio.Task[None]] = []
        from_client: Pieces = asyncio.Queue(PIECES)
        from_server: Pieces = asyncio.Queue(PIECES)
        try:
            await asyncio.sleep(2 * self._half)
            workers.append(asyncio.create_task(self._collect(client, from_client)))
            await asyncio.sleep(self._half)
            server, to_server = await asyncio.open_connection("127.0.0.1", self._behind)
            writers.append(to_server)
            workers.append(asyncio.create_task(self._deliver(from_client, to_server)))
            workers.append(asyncio.create_task(self._collect(server, from_server)))
            workers.append(asyncio.create_task(self._deliver(from_server, to_client)))
            await asyncio.gather(*workers)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            for worker in workers:
                worker.cancel()
            for writer in writers:
                writer.close()

    async def _collect(self, source: asyncio.StreamReader, pieces: Pieces) -> None:
        piece = b"-"
        while piece:
            piece = await source.read(PIECE)
            await pieces.put((self._loop.time() + self._half, piece))

    async def _deliver(self, pieces: Pieces, sink: asyncio.StreamWriter) -> None:
        piece = b"-"
        while piece:
            due, piece = await pieces.get()
            await asyncio.sleep(due - self._loop.time())
            await self._goes_on.wait()
            if piece:
                sink.write(piece)
                await sink.drain()
        sink.write_eof()
