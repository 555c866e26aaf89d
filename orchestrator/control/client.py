"""The other end of the control socket: finds running daemons, asks them, and follows their events.

    with client.reach() as daemon:  # the only one that runs
        print(daemon.ask("status", syncs=["web*"]))
        daemon.ask("subscribe", topics=["state"])
        for event in daemon.events():
            print(event)

The lines from a socket may be anybody's: each is one JSON object, and no more is known of it.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import socket
import stat
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator.control.exits import ATTENTION, NO_DAEMON, WRONG_CALL, NotAllowed, Refused
from orchestrator.requests.place import directory_of, remove_leftovers, sockets_in
from orchestrator.requests.protocol import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

PATIENCE: Final = 10.0
"""Seconds to wait for an answer: the daemon may be reading a burst of changes."""

SHORT_PATIENCE: Final = 1.0
"""Seconds for an answer that can be done without."""

LONGEST: Final = 1 << 26
"""Bytes of a line; no daemon's status is longer."""

STATUS_OF_ERROR: Final[Mapping[object, int]] = {"failed": ATTENTION, "denied": NO_DAEMON, "ending": NO_DAEMON}
"""The exit status for an error that a daemon answers with, by its code. Any other is a wrong call."""


class Answered(Refused):
    """The daemon answers with an error. `code`: of the protocol."""

    def __init__(self, message: str, code: object) -> None:
        super().__init__(message, STATUS_OF_ERROR.get(code, WRONG_CALL) if isinstance(code, str) else WRONG_CALL)
        self.code = code


class Found(NamedTuple):
    """A daemon that runs: its process id as its socket's name has it. `is_open`: whether this user may connect."""

    pid: int
    path: str
    is_open: bool


class Connection:
    """To one daemon, as long as it is open. Every method raises Refused where the daemon has gone, or is none."""

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        """Raises Refused where nobody answers within so many seconds. See `connect`."""
        self.path = path
        self._incoming = bytearray()
        self._searched = 0  # bytes of that without a newline
        self._events: deque[dict[str, Any]] = deque()
        self._numbers = itertools.count(1)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._open(patience)
        except BaseException:
            self._socket.close()
            raise

    def _open(self, patience: float) -> None:
        try:
            self._socket.settimeout(patience)
            self._socket.connect(self.path)
        except (OSError, ValueError) as error:
            raise _no_answer(self.path, error) from None
        greeting = self._line(patience)
        if greeting is None:
            raise NotAllowed(f"the daemon at {self.path} hangs up: {_MAY_ASK}")
        if "error" in greeting:
            raise _answered(greeting)
        if not isinstance(greeting.get("protocol"), int):
            raise not_ours(self.path)
        if greeting["protocol"] != PROTOCOL:
            theirs = f"the daemon at {self.path} speaks version {greeting['protocol']} of the protocol"
            raise Refused(f"{theirs}, this command version {PROTOCOL}", NO_DAEMON)
        self.greeting = greeting

    def ask(self, command: str, *, patience: float | None = PATIENCE, **arguments: Any) -> dict[str, Any]:
        """The result of a command. Arguments that are None are left out. `patience`: seconds; None: for ever.

        Raises Answered where the daemon answers with an error. Events that come meanwhile are kept for `events`.
        """
        number = next(self._numbers)
        given = {name: value for name, value in arguments.items() if value is not None}
        self._send({"id": number, "command": command, **given}, patience)
        end = None if patience is None else time.monotonic() + patience
        while True:
            line = self._line(None if end is None else end - time.monotonic())
            if line is None:
                raise Refused(f"the daemon at {self.path} has hung up", NO_DAEMON)
            if "event" in line:
                self._events.append(line)
            elif line.get("id") in (number, None):
                if "error" in line:
                    raise _answered(line)
                result = line.get("result")
                if not isinstance(result, dict):
                    raise not_ours(self.path)
                return result

    def events(self) -> Iterator[dict[str, Any]]:
        """Its events, as they come, until it hangs up. To be asked for before: `ask("subscribe")`."""
        while True:
            while self._events:
                yield self._events.popleft()
            line = self._line(None)
            if line is None:
                return
            if "event" in line:
                self._events.append(line)

    def interrupt(self) -> None:
        """From another thread: whoever waits for the daemon goes on as if it had hung up."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, request: Mapping[str, Any], patience: float | None) -> None:
        try:
            self._socket.settimeout(patience)
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise _no_answer(self.path, error) from None

    def _line(self, patience: float | None) -> dict[str, Any] | None:
        """The next line; None: the daemon has hung up."""
        end = None if patience is None else time.monotonic() + patience
        while (place := self._incoming.find(b"\n", self._searched)) < 0:
            self._searched = len(self._incoming)
            if self._searched > LONGEST:
                raise not_ours(self.path)
            try:
                self._socket.settimeout(None if end is None else max(0.001, end - time.monotonic()))
                data = self._socket.recv(1 << 16)
            except ConnectionError:
                data = b""
            except OSError as error:
                raise _no_answer(self.path, error) from None
            if not data:
                if self._incoming:
                    raise not_ours(self.path)
                return None
            self._incoming += data
        line = bytes(self._incoming[:place])
        del self._incoming[: place + 1]
        self._searched = 0
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise not_ours(self.path)
        return value


def connect(path: str, patience: float = PATIENCE) -> Connection:
    """To the daemon behind a socket. Raises Refused: with WRONG_CALL where there is another file, with NO_DAEMON where
    nobody answers within `patience` seconds, or none that this user may ask."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        raise _no_answer(path, error) from None
    if not is_socket:
        raise Refused(f"{path} is no socket; name the file that the setting controlSocket names.", WRONG_CALL)
    return Connection(path, patience)


def places() -> list[str]:
    """The directories in which daemons have their sockets: root's, and this user's own."""
    found = [directory_of(0)]
    try:
        found.append(directory_of(os.geteuid()))
    except OSError:
        pass
    return list(dict.fromkeys(found))


def find(directories: Iterable[str] | None = None) -> list[Found]:
    """The daemons that run, by process id. Sockets of those that are gone are removed where they are this user's.

    `directories` None: `places()`. A daemon with a socket elsewhere (setting controlSocket) is not found.
    """
    found: list[Found] = []
    for directory in places() if directories is None else directories:
        try:
            status = os.lstat(directory)
        except OSError:
            continue
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, os.geteuid()):
            continue  # others' sockets would be others' answers
        if status.st_uid == os.geteuid():
            remove_leftovers(directory)
        for pid, path in sockets_in(directory):
            is_open = _is_open(path)
            if is_open is not None:
                found.append(Found(pid, path, is_open))
    return sorted(found)


def reach(path: str | None = None, pid: int | None = None, patience: float = PATIENCE) -> Connection:
    """To the daemon with that socket, or process id; without either: to the only one that runs. `patience`: seconds to
    wait for its first answer.

    Raises Refused: with NO_DAEMON where there is none that this user may ask, with WRONG_CALL where there are several.
    """
    if path is not None:
        return connect(path, patience)
    running = [daemon for daemon in find() if pid in (None, daemon.pid)]
    which = "no daemon runs" if pid is None else f"no daemon has the process id {pid}"
    if not running:
        hint = "that has its socket at the usual place; --socket names another"
        raise Refused(f"{which} {hint}", NO_DAEMON)
    mine = [daemon for daemon in running if daemon.is_open]
    if not mine:
        raise NotAllowed(f"no daemon runs that this user may ask: {_MAY_ASK}")
    if len(mine) > 1:
        there_are = ", ".join(map(_described, mine))
        raise Refused(f"{len(mine)} daemons run; choose one by --pid: {there_are}", WRONG_CALL)
    return connect(mine[0].path, patience)


def _described(daemon: Found) -> str:
    """A daemon for a list to choose from: its process id, its config if it names it soon, its socket."""
    try:
        with connect(daemon.path, SHORT_PATIENCE) as connection:
            config = connection.ask("status", patience=SHORT_PATIENCE, syncs=[])["daemon"]["config"]
    except (Refused, LookupError, TypeError):
        config = None
    return f"{daemon.pid} ({f'{config}, ' if isinstance(config, str) and config else ''}{daemon.path})"


def not_ours(path: str) -> Refused:
    """The refusal of somebody who does not speak the protocol."""
    return Refused(f"what answers at {path} is no daemon of this kind", NO_DAEMON)


_MAY_ASK: Final = "root may ask, the user that it runs as, and its controlGroup"


def _is_open(path: str) -> bool | None:
    """Whether somebody listens there, and to this user; None: nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except PermissionError:
            return False
        except BlockingIOError:  # so many wait already
            return True
        except OSError:
            return None
    return True


def _answered(line: Mapping[str, Any]) -> Answered:
    error = line["error"]
    if not isinstance(error, dict):
        error = {"message": error}
    return Answered(str(error.get("message")), error.get("code"))


def _no_answer(path: str, error: Exception) -> Refused:
    reason = getattr(error, "strerror", None) or error
    if getattr(error, "errno", None) == errno.EACCES:
        return NotAllowed(f"no daemon answers at {path}: {reason}; {_MAY_ASK}")
    return Refused(f"no daemon answers at {path}: {reason}", NO_DAEMON)
