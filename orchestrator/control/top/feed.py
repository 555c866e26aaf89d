"""Threads that talk to the daemon for the live view: one that follows it, and one for each request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator.control.asking import CHANGES_STATUS
from orchestrator.control.exits import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.control.client import Connection

PAUSE: Final = 1.0
"""Seconds between two tries to find a daemon that has gone."""


class Came(NamedTuple):
    """A daemon answers: it is followed from now on."""

    greeting: dict[str, Any]
    status: dict[str, Any]


class Gone(NamedTuple):
    """It does not answer any more, or not yet again."""

    reason: str


class Said(NamedTuple):
    """An event."""

    event: dict[str, Any]


class Answer(NamedTuple):
    """A request is answered: by a result, or by an error, whose message it has."""

    command: str
    syncs: tuple[str, ...]
    result: dict[str, Any] | None
    error: str = ""


Heard = Came | Gone | Said | Answer


class Feed:
    """`reach()` connects to the daemon, or raises Refused; `hear` is called for whatever comes, on the feed's threads.

    No more than one request of each kind and sync is under way.
    """

    def __init__(self, reach: Callable[[], Connection], syncs: Sequence[str], hear: Callable[[Heard], object]) -> None:
        self._reach = reach
        self._syncs = list(syncs) or None
        self._hear = hear
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._open: set[Connection] = set()
        self._threads: dict[tuple[str, ...], threading.Thread] = {}
        self._path = ""

    def start(self) -> None:
        """Follow the daemon from now on."""
        self._run(("",), self._follow)

    def ask(self, command: str, about: Sequence[str], /, **arguments: Any) -> bool:
        """Put a request; its Answer comes to `hear`. `about`: the syncs that it is about, for the Answer.

        False: the last one of this kind is not answered yet.
        """
        return self._run((command, *about), self._request, command, tuple(about), arguments)

    def close(self) -> None:
        """End all connections and threads; nothing is heard any more when this returns."""
        self._is_closed.set()
        with self._lock:
            threads = [*self._threads.values()]
            for connection in self._open:
                connection.interrupt()
        for thread in threads:
            thread.join()

    def _run(self, name: tuple[str, ...], target: Callable[..., None], *arguments: Any) -> bool:
        with self._lock:
            if name in self._threads or self._is_closed.is_set():
                return False
            thread = threading.Thread(target=self._ending, args=(name, target, *arguments), daemon=True)
            self._threads[name] = thread
        thread.start()
        return True

    def _ending(self, name: tuple[str, ...], target: Callable[..., None], *arguments: Any) -> None:
        try:
            target(*arguments)
        finally:
            with self._lock:
                self._threads.pop(name, None)

    def _say(self, heard: Heard) -> None:
        if not self._is_closed.is_set():
            self._hear(heard)

    def _connect(self, reach: Callable[[], Connection]) -> Connection:
        connection = reach()
        with self._lock:
            self._open.add(connection)
            if self._is_closed.is_set():
                connection.interrupt()
        return connection

    def _leave(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _follow(self) -> None:
        while not self._is_closed.is_set():
            try:
                connection = self._connect(self._reach)
                try:
                    self._listen(connection)
                finally:
                    self._leave(connection)
                reason = "it has hung up"
            except (Refused, OSError) as error:
                reason = str(error)
            self._say(Gone(reason))
            self._is_closed.wait(PAUSE)

    def _listen(self, connection: Connection) -> None:
        connection.ask("subscribe", topics=CHANGES_STATUS, syncs=self._syncs)
        self._path = connection.path
        self._say(Came(connection.greeting, connection.ask("status", syncs=self._syncs)))
        for event in connection.events():
            self._say(Said(event))

    def _request(self, command: str, syncs: tuple[str, ...], arguments: dict[str, Any]) -> None:
        from orchestrator.control.client import connect

        try:
            connection = self._connect(lambda: connect(self._path))
            try:
                # a run may take hours, and whoever leaves interrupts it
                result = connection.ask(command, patience=None, **arguments)
            finally:
                self._leave(connection)
        except Refused as refusal:
            self._say(Answer(command, syncs, None, str(refusal)))
        else:
            self._say(Answer(command, syncs, result))
