"""The control socket: a client that connects gets the status as JSON (spec 6, `controlSocket`).

Only the daemon's own user may connect. One answer for each connection; a client that does not read
it is hung up on: nothing here waits.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.masterloop import LoopLike

LONGEST = 107
"""Bytes of a socket's path (unix(7))."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ControlSocket:
    """Listens until closed. Raises OrchestratorError where the socket cannot be made.

    `later(callback)` calls back after a while.
    """

    def __init__(
        self, loop: LoopLike, path: str, answer: Callable[[], bytes], later: Callable[[Callable[[], None]], None]
    ) -> None:
        self._loop = loop
        self._later = later
        self._path = os.path.abspath(os.fsencode(path))
        self._answer = answer
        self._sending: dict[int, tuple[socket.socket, memoryview]] = {}
        try:
            _remove_stale(self._path)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:  # no descriptors left, for one
            raise _cannot_create(path, error) from None
        # made with the right mode from the first moment on: nobody else can slip in
        mask = os.umask(0o177)
        try:
            self._socket.bind(self._path)
            self._socket.listen()
            self._identity = os.lstat(self._path)
        except OSError as error:
            self._socket.close()
            raise _cannot_create(path, error) from None
        finally:
            os.umask(mask)
        self._listen()

    def close(self) -> None:
        """Stop listening, and take the socket away if it is still ours."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for fd in list(self._sending):
            self._hang_up(fd)
        try:
            if os.path.samestat(os.lstat(self._path), self._identity):
                os.unlink(self._path)
        except OSError:
            pass  # gone already, or not ours to remove any more

    def _listen(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            if error.errno in _SHORTAGES:
                # The client waits, and would wake the loop again at once, for as long as there is nothing to be had.
                self._loop.remove_reader(self._socket.fileno())
                self._later(self._listen)
            return  # else it has hung up meanwhile
        connection.setblocking(False)
        self._sending[connection.fileno()] = connection, memoryview(self._answer())
        self._send(connection.fileno())

    def _send(self, fd: int) -> None:
        connection, rest = self._sending[fd]
        try:
            while rest:
                rest = rest[connection.send(rest) :]
        except BlockingIOError:
            self._sending[fd] = connection, rest
            self._loop.add_writer(fd, lambda: self._send(fd))
            return
        except OSError:
            pass  # the client has gone
        self._hang_up(fd)

    def _hang_up(self, fd: int) -> None:
        self._loop.remove_writer(fd)
        self._sending.pop(fd)[0].close()


def check_place(path: str) -> None:
    """Raise OrchestratorError where it is plain that no control socket can be made. Nothing is touched."""
    place = os.path.abspath(os.fsencode(path))
    try:
        if len(place) > LONGEST:
            raise OSError(errno.ENAMETOOLONG, f"a socket's path has {LONGEST} bytes at most, this one {len(place)}")
        if not os.access(os.path.dirname(place), os.W_OK | os.X_OK):
            os.stat(os.path.dirname(place))
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if os.path.lexists(place) and not stat.S_ISSOCK(os.lstat(place).st_mode):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    except OSError as error:
        raise _cannot_create(path, error) from None


def _cannot_create(path: str, error: OSError) -> OrchestratorError:
    return OrchestratorError(f"Cannot create control socket '{path}': {error.strerror or error}")


def _remove_stale(path: bytes) -> None:
    """Take away the socket of a daemon that is no more. Nothing else is ever removed. Raises OSError."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            # one that listens and never accepts would let us wait for ever
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            pass  # somebody has it, and keeps it: to bind says so
