"""The connection to one daemon, made again whenever it is lost: requests, answers, and what the daemon says unasked."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control.client import LONGEST, PATIENCE
from orchestrator.requests.protocol import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE: Final = 64
"""Requests that wait for their answers."""

BREATH: Final = 0.2
"""Seconds between two tries at least, however often something changes beside the socket."""

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0


class Failed(Exception):
    """A request without a result: the code of the error, and its text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Link:
    """A daemon, by the path of its control socket.

    `on_greeting()` is called when it has greeted, `on_event(event)` for each event, `on_loss()` when it is gone.
    """

    def __init__(
        self,
        path: str,
        on_greeting: Callable[[Link], None],
        on_event: Callable[[Link, dict[str, Any]], None],
        on_loss: Callable[[Link], None],
    ) -> None:
        self.path = path
        self._on_greeting = on_greeting
        self._on_event = on_event
        self._on_loss = on_loss
        self.greeting: dict[str, Any] | None = None
        """None: not connected."""
        self.trouble = ""
        """Why it is not connected."""
        self.is_absent = False
        """Whether no daemon was there at the last try: no socket, or one that nobody listens at."""
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Try to connect now, if it is not connected."""
        self._woken.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            self._woken.clear()
            try:
                await self._connect()
            except Exception as error:  # whoever is at the socket may say anything
                self._note(error)
            else:
                pause = _FIRST_PAUSE
            if self.greeting is not None:
                self.greeting = None
                pause = _FIRST_PAUSE
                self._on_loss(self)
            try:
                await asyncio.wait_for(self._woken.wait(), pause)
                await asyncio.sleep(BREATH)
                pause = _FIRST_PAUSE
            except asyncio.TimeoutError:
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def ask(self, command: str, arguments: dict[str, Any], patience: float | None = PATIENCE) -> Any:
        """The result of a request. `patience`: seconds; None: as long as it takes. Raises Failed."""
        writer = self._writer
        if writer is None or self.greeting is None:
            raise Failed("gone", "the daemon does not answer")
        if len(self._asked) >= AT_ONCE:
            raise Failed("busy", "too many requests wait for the daemon")
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            writer.write(json.dumps({**arguments, "id": number, "command": command}).encode() + b"\n")
            await asyncio.wait_for(writer.drain(), PATIENCE)
            return await asyncio.wait_for(answer, patience)
        except asyncio.TimeoutError:
            raise Failed("timeout", "the daemon has not answered in time") from None
        except OSError:
            raise Failed("gone", "the daemon does not answer") from None
        finally:
            del self._asked[number]

    async def _connect(self) -> None:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(self.path, limit=LONGEST), PATIENCE)
        try:
            greeting = await asyncio.wait_for(_read(reader), PATIENCE)
            if isinstance(greeting.get("error"), dict):
                raise ValueError(str(greeting["error"].get("message")))
            if greeting.get("protocol") != PROTOCOL:
                raise ValueError(f"it speaks protocol {greeting.get('protocol')!r}, not {PROTOCOL}")
            self._writer = writer
            # before anything else is asked: whatever happens after the first status is an event
            writer.write(json.dumps({"id": 0, "command": "subscribe"}).encode() + b"\n")
            self.greeting, self.trouble, self.is_absent = greeting, "", False
            self._on_greeting(self)
            while True:
                self._take(await _read(reader))
        finally:
            self._writer = None
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(Failed("gone", "the daemon has gone"))
            writer.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(self, message)
            return
        answer = self._asked.get(message.get("id", 0))
        if answer is None or answer.done():
            return
        if "error" in message:
            error = message["error"] if isinstance(message["error"], dict) else {}
            answer.set_exception(Failed(str(error.get("code", "failed")), str(error.get("message", "it failed"))))
        else:
            answer.set_result(message.get("result"))

    def _note(self, error: Exception) -> None:
        self.is_absent = getattr(error, "errno", None) in (errno.ENOENT, errno.ECONNREFUSED)
        if isinstance(error, EOFError):
            # hung up on before the greeting: somebody who may not even read
            self.trouble = "the daemon has gone" if self.greeting else "it hangs up: this user may not read"
        else:
            self.trouble = getattr(error, "strerror", None) or str(error) or "no answer"


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    """A line. Raises EOFError at the end, ValueError for what is no line of the protocol."""
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    message = json.loads(line, parse_constant=_refuse_constant)
    if not isinstance(message, dict):
        raise ValueError("it is no daemon of this kind")
    return message


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
