"""Where `orchestrator serve` listens, and the token that steering needs: read and checked before anything starts."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from typing import Final, NamedTuple

from orchestrator.control.exits import WRONG_CALL, Refused

SHORTEST_TOKEN: Final = 16
"""Characters; fewer can be guessed."""

_LONGEST_TOKEN: Final = 4096
_ADDRESS: Final = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:]+)):(?P<port>\d{1,5})")
_TOKEN: Final = re.compile(r"[!-~]+")


class Listening(NamedTuple):
    """A socket that listens, with the names under which it is reached."""

    socket: socket.socket
    host: str
    port: int
    is_loopback: bool


class Address(NamedTuple):
    """An address that `socket` takes."""

    family: int
    sockaddr: tuple[object, ...]
    host: str
    is_loopback: bool


def find_address(text: str) -> Address:
    """`HOST:PORT` or `[IPV6]:PORT` as an address. Raises Refused."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise _wrong(f'--listen takes HOST:PORT or [IPV6]:PORT, not "{text}"')
    host = match["bracketed"] or match["plain"]
    try:
        found = socket.getaddrinfo(host, int(match["port"]), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _wrong(f"cannot listen on {host}: {getattr(error, 'strerror', None) or error}") from None
    family, _, _, _, sockaddr = found[0]
    return Address(family, sockaddr, host, ipaddress.ip_address(str(sockaddr[0])).is_loopback)


def listen(address: Address) -> Listening:
    """Begin to listen. Raises Refused where the address is taken, or none of this machine."""
    listener = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # connections inherit it: a client that reads nothing any more is given up by the kernel after 30 seconds
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.bind(address.sockaddr)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _wrong(f"cannot listen on {address.host}: {error.strerror or error}") from None
    return Listening(listener, address.host, int(listener.getsockname()[1]), address.is_loopback)


def read_token(path: str) -> str:
    """The token in a file that nobody but its owner may read. Raises Refused."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise _wrong(f"the token file {path} is no regular file")
            if status.st_mode & 0o077:
                raise _wrong(f"others than its owner may use the token file {path}: chmod 600 it")
            if status.st_uid not in (0, os.geteuid()):
                raise _wrong(f"the token file {path} belongs to another user")
            content = os.read(fd, _LONGEST_TOKEN)
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _wrong(f"the token file {path} cannot be read: {reason}") from None
    token = content.decode("latin-1").rstrip("\r\n")
    if not _TOKEN.fullmatch(token) or len(token) < SHORTEST_TOKEN:
        raise _wrong(
            f"the token file {path} must hold one line of {SHORTEST_TOKEN} or more printable ASCII characters,"
            " without blanks"
        )
    return token


def _wrong(message: str) -> Refused:
    return Refused(message, WRONG_CALL)
