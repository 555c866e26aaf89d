"""The control socket's server: accepts clients, keeps them within their limits, and meets their requests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from orchestrator import __version__
from orchestrator.errors import OrchestratorError, trace
from orchestrator.requests import protocol
from orchestrator.requests.call import Call
from orchestrator.requests.client import Client
from orchestrator.requests.commands import find, names_of, prepare
from orchestrator.requests.listener import Listener
from orchestrator.requests.logtail import LogTail
from orchestrator.requests.peer import right_of
from orchestrator.requests.protocol import LONGEST_LINE, Code, NoRequest, RequestError, Right
from orchestrator.requests.subscriptions import Subscriptions
from orchestrator.requests.watch import Watch

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from orchestrator.requests.desk import Desk

MOST: Final = 64
"""Clients at once."""

MOST_READERS: Final = 48
"""Clients at once that may only read: whoever may steer always finds a place."""

MOST_CALLS: Final = 16
"""Requests of one client that wait for their answers."""

SHARE: Final = 3.0
"""Seconds for which requests wait after each second that they took: the loop has other things to do."""

BURST: Final = 0.01
"""Seconds that requests may owe it before they wait."""

A_BUG: Final = "a bug in the daemon; its log has more"

RETRY_AFTER: Final = 1.0
"""Seconds until clients are taken in again, after descriptors or memory were short."""


class Server:
    """Serves until it is closed. Raises OSError where the socket cannot be made.

    `path`: of the socket, absolute. `group`: the id of the group whose members may read. `right_of(connection, group)`:
    the right of who has connected, None where it has none; raises OSError where that cannot be found out.
    """

    def __init__(
        self, desk: Desk, path: str, group: int | None = None,
        right_of: Callable[[socket.socket, int | None], Right | None] = right_of,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._group = group
        self._right_of = right_of
        self._clients: dict[Client, None] = {}
        self._watch = Watch(desk)
        self._subscriptions = Subscriptions(desk.runner.host.feed, lambda: desk.time, self._follow)
        self._log_tail = LogTail(desk)
        self._listens_again: float | None = None
        self._owed_until = float("-inf")  # the time that requests owe the loop is over
        self._is_resting = False
        self.path = path
        self._listener = Listener(desk.loop, os.fsencode(path), group, self._take, self._pause)

    def timeout(self) -> float | None:
        """When it has something to do by itself, by the daemon's clock; None: nothing."""
        times = [client.deadline() for client in self._clients]
        times += [self._listens_again, self._watch.timeout()]
        if self._is_resting:
            times.append(self._owed_until)
        if self._log_tail.is_waiting():
            return self._desk.now
        return min((time for time in times if time is not None), default=None)

    def work(self, now: float) -> None:
        """A turn of the loop is over, or something is due."""
        for client in list(self._clients):
            deadline = client.deadline()
            if deadline is not None and deadline <= now:
                client.hang_up()
        if self._listens_again is not None and self._listens_again <= now:
            self._listens_again = None
            self._listener.listen()
        if self._is_resting and self._owed_until <= now:
            self._rest(is_resting=False)
        self._watch.work(now)
        if self._log_tail.is_waiting():
            self._log_tail.send(self._subscriptions)

    def reloaded(self) -> None:
        """Another configuration is in its place."""
        syncs = self._desk.runner.syncs
        self._subscriptions.rename(names_of(syncs))
        feed = self._desk.runner.host.feed
        if "reloaded" in feed.topics:
            feed.tell("reloaded", None, syncs=[sync.status() for sync in syncs])

    def ending(self, reason: str) -> None:
        """The daemon is about to end."""
        self._rest(is_resting=False)
        feed = self._desk.runner.host.feed
        if "ending" in feed.topics:
            feed.tell("ending", None, reason=reason)

    def close(self) -> None:
        """Stop serving. What clients have no room for is lost."""
        self._listener.close()
        for client in list(self._clients):
            client.flush()
            client.hang_up()

    def _take(self, connection: socket.socket) -> None:
        try:
            right = self._right_of(connection, self._group)
        except OSError:
            right = None
        if right is None:
            connection.close()
            return
        client = Client(self._desk.loop, connection, right, lambda: self._desk.now, self._handle, self._forget)
        self._clients[client] = None
        client.rest(is_resting=self._is_resting)
        readers = sum(other.right is Right.READ for other in self._clients)
        if len(self._clients) > MOST or (right is Right.READ and readers > MOST_READERS):
            client.end(protocol.failure(None, RequestError(Code.DENIED, "as many clients as may be are connected")))
            client.hang_up()  # it has been sent, unless the client's end has no room for it
            return
        may = right.name.lower()
        greeting = {"protocol": protocol.PROTOCOL, "version": __version__, "pid": os.getpid(), "may": may}
        client.answer(protocol.line_of(greeting))

    def _follow(self) -> None:
        """Clients follow other topics than before."""
        self._watch.follow()
        self._log_tail.follow(is_wanted="log" in self._desk.runner.host.feed.topics)

    def _pause(self) -> None:
        self._listens_again = self._desk.now + RETRY_AFTER

    def _forget(self, client: Client) -> None:
        self._clients.pop(client, None)
        self._subscriptions.remove(client)

    def _handle(self, client: Client, line: bytes) -> bool:
        """Meet a request, if the loop has time for it. Gives whether it may have changed anything."""
        begun = self._desk.now
        has_changed = self._meet(client, line)
        now = self._desk.now
        self._owed_until = max(self._owed_until, begun) + (now - begun) * (1 + SHARE)
        if self._owed_until > now + BURST and not self._desk.is_ending:
            self._rest(is_resting=True)
        return has_changed

    def _rest(self, *, is_resting: bool) -> None:
        """Whether requests wait for now: many clients that ask all the time leave most of the loop's time to others."""
        if is_resting is not self._is_resting:
            self._is_resting = is_resting
            for client in list(self._clients):
                client.rest(is_resting=is_resting)

    def _meet(self, client: Client, line: bytes) -> bool:
        number = None
        try:
            if len(line) >= LONGEST_LINE and not line.endswith(b"\n"):
                raise NoRequest(f"a request has {LONGEST_LINE} bytes at most")
            request = protocol.parse(line)
            number = request.id
            command = find(request.command, client.right, is_ending=self._desk.is_ending)
            if client.calls >= MOST_CALLS:
                raise RequestError(Code.FAILED, f"{MOST_CALLS} requests of this client wait for their answers already")
            arguments, syncs = prepare(command, request.arguments, self._desk.runner.syncs)
        except NoRequest as error:
            client.end(protocol.failure(number, error))
            return False
        except RequestError as error:
            client.answer(protocol.failure(number, error))
            return False
        except Exception as error:
            self._say(error, "a request")
            client.end(protocol.failure(number, RequestError(Code.FAILED, A_BUG)))
            return False
        call = Call(self._desk, self._subscriptions, client, number, arguments, syncs)
        try:
            result = command.meet(call)
            if result is not None:
                call.answer(result)
        except RequestError as error:
            call.fail(error)
        except OrchestratorError:
            raise
        except Exception as error:
            self._say(error, f"the request {request.command}")
            call.fail(RequestError(Code.FAILED, A_BUG))
        return command.right is Right.STEER

    def _say(self, error: Exception, what: str) -> None:
        """A bug of ours: no client ends the daemon with it."""
        self._desk.log("Error", f"{what} failed: {error!r}")
        self._desk.log("Debug", trace(error))
