"""A loop that a test turns: no descriptor is polled, no signal comes by itself, and waiting lets a fake clock go on."""

from __future__ import annotations

import signal
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.masterloop import Callback
    from orchestrator.testing.clock import FakeClock


class FakeLoop:
    """Satisfies orchestrator.masterloop.LoopLike, in the order of the real loop (see Loop).

    `ready`: descriptors that can be read. `idle(timeout)`: called in each turn that has nothing to do, with the seconds
    that the real loop would sleep (None: without end); as it is, it lets `clock` go on by them.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.readers: dict[int, Callback] = {}
        self.writers: dict[int, Callback] = {}
        self.ready: set[int] = set()
        self.idle: Callable[[float | None], object] = lambda timeout: clock.advance(max(0.0, timeout or 0.0))
        self.is_closed = False
        self._soon: deque[Callback] = deque()
        self._on_signal: dict[int, Callback] = {}
        self._caught: dict[int, None] = {}

    def add_reader(self, fd: int, callback: Callback) -> None:
        self.readers[fd] = callback

    def add_writer(self, fd: int, callback: Callback) -> None:
        self.writers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        self.readers.pop(fd, None)

    def remove_writer(self, fd: int) -> None:
        self.writers.pop(fd, None)

    def on_signal(self, signum: int, callback: Callback) -> None:
        self._on_signal[signum] = callback

    def has_caught(self, signum: int) -> bool:
        return signum in self._caught

    def soon(self, callback: Callback) -> None:
        self._soon.append(callback)

    soon_threadsafe = soon

    def yield_turn(self) -> None:
        """Nothing waits for this loop."""

    def send(self, signum: int) -> None:
        """A signal comes; its callback is called in the next turn. Raises KeyError where it would end the process."""
        self._on_signal[signum]
        self._caught[signum] = None

    def turn(self, timeout: float | None = 0.0) -> bool:
        """One turn. Gives whether something may have changed, as the real loop does."""
        if not (self._soon or self._caught or self.ready & self.readers.keys()):
            self.idle(timeout)
        has_changed = False
        for fd in [fd for fd in self.readers if fd in self.ready]:
            self.ready.discard(fd)
            if fd in self.readers and self.readers[fd]() is not False:
                has_changed = True
        has_changed = has_changed or bool(self._caught)
        if signal.SIGCHLD in self._caught:
            self._call_signal(signal.SIGCHLD)
        while self._caught:
            for signum in list(self._caught):
                self._call_signal(signum)
        count = len(self._soon)
        for _ in range(count):
            self._soon.popleft()()
        return has_changed or count > 0

    def close(self) -> None:
        self.is_closed = True

    def _call_signal(self, signum: int) -> None:
        del self._caught[signum]
        self._on_signal[signum]()
