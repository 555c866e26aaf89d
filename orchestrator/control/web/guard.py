"""Access over HTTP: which requests may read, and which may steer. Pure: decides by the headers of a request.

Three kinds of attackers are kept out: others on the network (a token), web sites that the administrator's browser
visits meanwhile (the origin of a request that steers, a cookie that is sent to this site alone), and names that were
made to lead to the loopback address (the header Host).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refusal(NamedTuple):
    """Why a request is not answered, with its HTTP status."""

    status: int
    code: str
    message: str


_NO_TOKEN: Final = Refusal(401, "unauthorized", "the token is missing or wrong")
_NO_STEERING: Final = Refusal(403, "denied", "this server only reads: it was started without --token-file")
_FOREIGN_HOST: Final = Refusal(421, "bad request", "this server has another name; see --host")
_FOREIGN_SITE: Final = Refusal(403, "denied", "another site sent this request")


class Guard:
    """The rules for one server.

    `token`: None lets nobody steer. `is_open`: everybody may read, which only a server on the loopback address grants.
    `hosts`: further names of the server, such as that of a proxy in front of it; each with or without a port.
    """

    def __init__(self, port: int, token: str | None, *, is_open: bool, hosts: frozenset[str] = frozenset()) -> None:
        self._port = port
        self._token = token
        self._is_open = is_open
        self._hosts = frozenset(host.lower() for host in hosts)
        self.cookie = f"orchestrator-{port}"
        """Name of the cookie: browsers share cookies among the ports of a host."""

    def session(self) -> str:
        """The cookie's value. It proves the token, and does not contain it. Another token makes it void."""
        return hmac.new((self._token or "").encode(), b"session of orchestrator serve", hashlib.sha256).hexdigest()

    def is_token(self, text: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(self._token.encode(), text.encode("utf-8", "replace"))

    def refuse_host(self, headers: Mapping[str, str]) -> Refusal | None:
        """Whether the name that the client knows this server by is none of its own.

        Without a token for reading nothing else keeps out a name that somebody's DNS leads to the loopback address.
        """
        if not self._is_open or self._is_own_name(headers.get("host", "")):
            return None
        return _FOREIGN_HOST

    def refuse_reading(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Refusal | None:
        """Whether this client may not read."""
        if self._is_open or self._has_token(headers) or self._has_session(cookies):
            return None
        return _NO_TOKEN

    def refuse_steering(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Refusal | None:
        """Whether this client may not steer, or this request was not made by a page of ours."""
        if self._token is None:
            return _NO_STEERING
        if self._has_token(headers):
            return None  # no other site can make a browser send this header
        if not self._has_session(cookies):
            return _NO_TOKEN
        return self.refuse_origin(headers)

    def refuse_origin(self, headers: Mapping[str, str]) -> Refusal | None:
        """Whether the request does not come from a page of this server."""
        origin, host = headers.get("origin", ""), headers.get("host", "")
        try:
            place = urlsplit(origin).netloc.lower()
        except ValueError:
            return _FOREIGN_SITE
        if not place or (place != host.lower() and place not in self._hosts):
            return _FOREIGN_SITE
        return None

    def may_steer(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Whether this client has shown the token."""
        return self._has_token(headers) or self._has_session(cookies)

    @property
    def has_token(self) -> bool:
        """Whether there is a token that lets one steer."""
        return self._token is not None

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, text = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(text.strip())

    def _has_session(self, cookies: Mapping[str, str]) -> bool:
        shown = cookies.get(self.cookie, "")
        return self._token is not None and hmac.compare_digest(
            self.session().encode(), shown.encode("utf-8", "replace")
        )

    def _is_own_name(self, text: str) -> bool:
        if text.lower() in self._hosts:
            return True
        try:
            parts = urlsplit(f"//{text}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if name in self._hosts:
            return True
        return port in (self._port, None) and (name == "localhost" or _is_loopback(name))


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
