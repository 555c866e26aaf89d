"""One connection: lines come in, lines go out, and a client that does not read, or never ends, costs little.

One request at a time, one in a turn of the loop, none while what it has not read yet is longer than ROOM. So a client
has at most a line, ROOM and its answers in our memory, and the loop goes on with everything else between any two.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from orchestrator.requests.protocol import LONGEST_LINE, line_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from orchestrator.masterloop import LoopLike
    from orchestrator.requests.protocol import Right

ROOM: Final = 1 << 18
"""Bytes unread by a client from which on events are left out, and its requests wait."""

UNREAD_FOR: Final = 30.0
"""Seconds for which an answer may be left unread."""


class Client:
    """A connection, from its greeting to its end.

    `handle(client, line)` is called with each line, without its newline, and says whether it may have changed anything
    in the daemon; `forget(client)` once, when the connection is over.
    """

    def __init__(
        self, loop: LoopLike, connection: socket.socket, right: Right, now: Callable[[], float],
        handle: Callable[[Client, bytes], bool], forget: Callable[[Client], None],
    ) -> None:  # fmt: skip
        self.right = right
        self.calls = 0
        """Requests that wait for their answers."""
        self.is_gone = False
        self.when_gone: list[Callable[[], None]] = []
        self._loop = loop
        self._connection = connection
        self._fd = connection.fileno()
        self._now = now
        self._handle = handle
        self._forget = forget
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._sent = 0  # bytes, since the beginning
        self._answers: deque[tuple[int, float]] = deque()  # unread ones: how many bytes must be sent; until when
        self._lost = 0
        self._is_resting = False
        self._is_at_end = False  # it sends nothing more, or we do not listen any more
        self._reads = self._writes = False
        self._arrange()

    def deadline(self) -> float | None:
        """When it is hung up on, unless it reads the answer that it has had since long ago."""
        return self._answers[0][1] if self._answers else None

    def answer(self, line: bytes) -> None:
        """Send an answer, or the greeting."""
        if self.is_gone:
            return
        self._outgoing += line
        self._answers.append((self._sent + len(self._outgoing), self._now() + UNREAD_FOR))
        self._send()

    def tell(self, line: bytes, time: float) -> None:
        """Send an event with the next turn, or leave it out where too much is unread. `time`: of the clock on the wall.

        Not at once: thousands may come in a turn, to each client, and each would be a call of the kernel's.
        """
        if self.is_gone or self._is_at_end:
            return
        if self._is_full():
            self.lose(1)
            return
        if self._lost:
            self._outgoing += line_of({"event": "lost", "time": time, "count": self._lost})
            self._lost = 0
        self._outgoing += line
        if not self._writes:
            self._arrange()

    def lose(self, count: int) -> None:
        """So many events were left out; the next one says so."""
        self._lost += count

    def end(self, line: bytes) -> None:
        """Send a last line, and hang up."""
        self.answer(line)
        self._stop_listening()
        self._settle()

    def rest(self, *, is_resting: bool) -> None:
        """Whether its requests wait for now."""
        self._is_resting = is_resting
        self._arrange()

    def flush(self) -> None:
        """Send as much as it takes."""
        if not self.is_gone:
            self._send()

    def hang_up(self) -> None:
        """End the connection; what is unread is lost."""
        if self.is_gone:
            return
        self.is_gone = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._connection.close()
        self._incoming.clear()
        self._outgoing.clear()
        self._answers.clear()
        self._forget(self)
        for callback in self.when_gone:
            callback()
        self.when_gone.clear()

    def settle(self) -> None:
        """A request of its has been answered."""
        self.calls -= 1
        if not self.calls:
            self.when_gone.clear()
        self._settle()

    def _work(self) -> bool:
        """It can be read or written, or there is a line to be handled. Whether anything may have changed."""
        self._send()
        if not self.is_gone and not self._is_full() and not self._is_at_end and not self._has_line():
            self._receive()
        if self.is_gone or self._is_full() or self._is_resting:
            self._settle()  # it may have gone meanwhile
            return False
        has_changed = False
        line = self._take_line()
        if line is not None:
            has_changed = self._handle(self, line)
        self._settle()
        return has_changed

    def _settle(self) -> None:
        """After each step: wait for what there is to wait for, or hang up."""
        if self.is_gone:
            return
        if self._is_at_end and not self._outgoing and not self._has_line():
            self.hang_up()
        else:
            self._arrange()

    def _is_full(self) -> bool:
        return len(self._outgoing) >= ROOM

    def _has_line(self) -> bool:
        return bool(self._incoming) and (
            self._is_at_end or len(self._incoming) >= LONGEST_LINE or b"\n" in self._incoming
        )

    def _take_line(self) -> bytes | None:
        if not self._has_line():
            return None
        line, newline, rest = self._incoming.partition(b"\n")
        self._incoming = rest
        return bytes(line + newline)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(LONGEST_LINE - len(self._incoming))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.hang_up()
            return
        if data:
            self._incoming += data
        else:
            self._is_at_end = True

    def _send(self) -> None:
        try:
            while self._outgoing:
                count = self._connection.send(memoryview(self._outgoing)[: 1 << 20])
                self._sent += count
                del self._outgoing[:count]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.hang_up()
            return
        while self._answers and self._answers[0][0] <= self._sent:
            self._answers.popleft()
        self._arrange()

    def _stop_listening(self) -> None:
        self._is_at_end = True
        self._incoming.clear()

    def _arrange(self) -> None:
        """Have the loop call us for what we wait for. A line that is there makes us writable: that is the next turn."""
        if self.is_gone:
            return
        reads = not self._is_at_end and not self._is_full() and not self._has_line()
        writes = bool(self._outgoing) or (self._has_line() and not self._is_resting)
        if reads != self._reads:
            self._reads = reads
            if reads:
                self._loop.add_reader(self._fd, self._work)
            else:
                self._loop.remove_reader(self._fd)
        if writes != self._writes:
            self._writes = writes
            if writes:
                self._loop.add_writer(self._fd, self._work)
            else:
                self._loop.remove_writer(self._fd)
