"""Clients that follow events (server-sent events): each gets what it has the time to read, and no more is kept."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

MOST: Final = 64
"""Clients at once."""

ROOM: Final = 1 << 20
"""Bytes that wait for one client."""

BEAT: Final = 15.0
"""Seconds of silence, after which a comment is sent: proxies and browsers give up a silent connection."""


class Full(Exception):
    """There are `MOST` clients already."""


def message(event: str, data: Any) -> bytes:
    """A server-sent event. JSON in ASCII has no line ends."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


class Stream:
    """The events that wait for one client. `first()` is sent first, and again after something was left out."""

    def __init__(self, topics: Collection[str], first: Callable[[], bytes]) -> None:
        self._topics = topics
        self._first = first
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._is_over = False
        self._news = asyncio.Event()

    def put(self, event: str, piece: bytes) -> None:
        """Something happened. It is left out where too much waits already."""
        if self._topics and event not in self._topics:
            return
        self._news.set()
        if self._lost or self._size + len(piece) > ROOM:
            self._waiting.clear()
            self._size = 0
            self._lost += 1
            return
        self._waiting.append(piece)
        self._size += len(piece)

    def end(self) -> None:
        """Nothing follows."""
        self._is_over = True
        self._news.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """All that is to be sent, as it comes."""
        yield self._first()
        while not self._is_over:
            if self._lost:
                lost, self._lost = self._lost, 0
                yield message("lost", {"count": lost})
                yield self._first()
            elif self._waiting:
                piece = self._waiting.popleft()
                self._size -= len(piece)
                yield piece
            else:
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), BEAT)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"


class Streams:
    """All clients that follow events."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, topics: Collection[str], first: Callable[[], bytes]) -> Stream:
        """A new client, who gets events of these topics; empty: all. Raises Full."""
        if len(self._open) >= MOST:
            raise Full
        stream = Stream(topics, first)
        self._open.add(stream)
        return stream

    def close(self, stream: Stream) -> None:
        """The client has gone."""
        self._open.discard(stream)

    def publish(self, event: str, data: Any) -> None:
        """Send it to all who want it."""
        if self._open:
            piece = message(event, data)
            for stream in self._open:
                stream.put(event, piece)

    def end(self) -> None:
        """End all of them."""
        for stream in self._open:
            stream.end()
