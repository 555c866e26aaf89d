"""Takes lines of the log to the clients that follow them."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.requests.desk import Desk
    from orchestrator.requests.subscriptions import Subscriptions

MOST: Final = 1024
"""Lines that are kept within one turn of the loop."""


class LogTail:
    """Listens to the log while anybody follows it.

    Messages may come from any thread, and in the middle of anything: they are kept, and sent after the turn.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._thread = threading.get_ident()
        self._lines: deque[tuple[str, str]] = deque()
        self._lost = 0
        self._listening = ExitStack()
        self._is_listening = False

    def follow(self, *, is_wanted: bool) -> None:
        """Whether anybody follows the log from now on."""
        if is_wanted and not self._is_listening:
            self._listening.enter_context(self._desk.log.heard(self._hear))
        elif not is_wanted:
            self._listening.close()
            self._lines.clear()
            self._lost = 0
        self._is_listening = is_wanted

    def is_waiting(self) -> bool:
        """Whether there are lines to be sent."""
        return bool(self._lines)

    def send(self, subscriptions: Subscriptions) -> None:
        """Send what has come."""
        for _ in range(len(self._lines)):  # no more than there are now
            category, text = self._lines.popleft()
            subscriptions.deliver("log", None, {"category": category, "text": text})
        lost, self._lost = self._lost, 0
        if lost:
            subscriptions.lose("log", lost)

    def _hear(self, category: str, text: str) -> None:
        if len(self._lines) >= MOST:
            self._lost += 1
            return
        self._lines.append((category, text))
        if threading.get_ident() != self._thread:
            self._desk.loop.soon_threadsafe(_wake)


def _wake() -> None: ...
