"""Makes the control socket, and accepts connections (contrib/CONTROL.md). Another file at its place stays there, but
for the socket of a daemon that is no more."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Final

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.masterloop import LoopLike

LONGEST = 107
"""Bytes of a socket's path (unix(7))."""

SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """A socket that listens until it is closed. Raises OSError where it cannot be made.

    `path`: absolute. `group`: the id of the group that may connect, too. `take(connection)` is called with each.
    `pause()` is called when descriptors or memory are short; those who wait do so until `listen` is called.
    """

    def __init__(
        self, loop: LoopLike, path: bytes, group: int | None, take: Callable[[socket.socket], None],
        pause: Callable[[], None],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._path = path
        self._take = take
        self._pause = pause
        remove_stale(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # bind(2) makes the file with the mode of the socket: nobody else can slip in before it has the right one
            os.fchmod(self._socket.fileno(), 0o600)
            self._socket.bind(path)
            self._identity = os.lstat(path)
            try:
                if group is not None:
                    _give_to(path, group)
                self._socket.listen()
            except OSError:
                os.unlink(path)
                raise
        except OSError:
            self._socket.close()
            raise
        self.listen()

    def listen(self) -> None:
        """Accept connections, from now on."""
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening, and take the socket away if it is still ours."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        try:
            if os.path.samestat(os.lstat(self._path), self._identity):
                os.unlink(self._path)
        except OSError:
            pass  # gone already, or not ours to remove any more

    def _accept(self) -> bool:
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            if error.errno in SHORTAGES:
                # The client waits, and would wake the loop again at once, for as long as there is nothing to be had.
                self._loop.remove_reader(self._socket.fileno())
                self._pause()
            return False  # else it has hung up meanwhile
        connection.setblocking(False)
        self._take(connection)
        return False


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
        raise cannot_create(path, error) from None


def cannot_create(path: str, error: OSError) -> OrchestratorError:
    return OrchestratorError(f"Cannot create control socket '{path}': {error.strerror or error}")


def remove_stale(path: bytes) -> None:
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


def _give_to(path: bytes, group: int) -> None:
    """Let the group connect to the socket that was just made. In a directory of somebody else's there may be another
    file by now, or a link: only a socket of our own is changed."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        by_descriptor = f"/proc/self/fd/{descriptor}"
        os.chown(by_descriptor, -1, group)
        os.chmod(by_descriptor, 0o660)
    finally:
        os.close(descriptor)
