"""The routes of the server: page, metrics, HTTP API. `guard` decides which requests are answered."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orchestrator.control.web import metrics
from orchestrator.control.web.link import Failed
from orchestrator.control.web.streams import Full, Stream, Streams, message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from orchestrator.control.web.daemons import Daemons, Known
    from orchestrator.control.web.guard import Guard, Refusal

LONGEST_BODY: Final = 1 << 16
"""Bytes of a request's body."""

STEERING: Final[Mapping[str, tuple[str, ...]]] = {
    "pause": ("syncs",),
    "resume": ("syncs",),
    "run": ("syncs",),
    "flush": ("syncs", "wait"),
    "retry": ("syncs",),
    "verify": ("syncs", "quick", "repair"),
    "reload": (),
}
"""Commands that can be sent by POST, with the arguments that they take."""

_SLOW: Final = frozenset({"flush", "verify", "reload"})
"""Those take as long as they take."""

STATUSES: Final[Mapping[str, int]] = {
    "bad request": 400,
    "unauthorized": 401,
    "denied": 403,
    "unknown command": 404,
    "unknown sync": 404,
    "unknown daemon": 404,
    "failed": 409,
    "gone": 502,
    "busy": 503,
    "ending": 503,
    "timeout": 504,
}
"""Codes of errors → HTTP status."""

_PAGE: Final = Path(__file__).parent / "page"
_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

_HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
            b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class _SyncName(StringConvertor):
    """Any name: with slashes and line ends as well."""

    regex = r"[\s\S]+"


register_url_convertor("sync", _SyncName())


def make_app(daemons: Daemons, streams: Streams, guard: Guard) -> ASGIApp:
    """The whole of it."""
    api = _Api(daemons, streams, guard)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await daemons.start()
        try:
            yield
        finally:
            await daemons.stop()

    routes = [
        *(Route(path, _file(*file)) for path, file in _FILES.items()),
        Route("/healthz", _healthz),
        Route("/metrics", api.reading(api.metrics)),
        Route("/api/v1/status", api.reading(api.status)),
        Route("/api/v1/history", api.reading(api.history)),
        Route("/api/v1/syncs/{name:sync}", api.reading(api.sync)),
        Route("/api/v1/events", api.reading(api.events)),
        Route("/api/v1/login", api.login, methods=["POST"]),
        Route("/api/v1/logout", api.logout, methods=["POST"]),
        Route("/api/v1/{command}", api.steer, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Failed: _failed, Full: _full},
    )
    return _Outside(app, guard)


class _Outside:
    """Around the whole app: no foreign name leads here, and each answer carries the headers that protect it."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(part: Message) -> None:
            if part["type"] == "http.response.start":
                part["headers"] = [*part.get("headers", ()), *_HEADERS]
            await send(part)

        refusal = self._guard.refuse_host(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        )
        app = self._app if refusal is None else _refuse(refusal)
        await app(scope, receive, protected)


class _Api:
    def __init__(self, daemons: Daemons, streams: Streams, guard: Guard) -> None:
        self._daemons = daemons
        self._streams = streams
        self._guard = guard

    def reading(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint, for those who may read."""

        async def guarded(request: Request) -> Response:
            refusal = self._guard.refuse_reading(request.headers, request.cookies)
            return await endpoint(request) if refusal is None else _refuse(refusal)

        return guarded

    async def metrics(self, request: Request) -> Response:
        daemons = [
            (known.name, has_answered, known.status or {}, [*known.syncs.values()])
            for known, has_answered in await self._daemons.refresh()
        ]
        return Response(metrics.render(daemons), media_type=metrics.CONTENT_TYPE)

    async def status(self, request: Request) -> Response:
        await self._daemons.refresh()
        return _Json(self._shown(request))

    async def history(self, request: Request) -> Response:
        return _Json(self._daemons.histories.shown(time.monotonic()))

    async def sync(self, request: Request) -> Response:
        name = request.path_params["name"]
        known = self._daemon(request.query_params.get("daemon"), name)
        limit = request.query_params.get("limit", "50")
        if not limit.isascii() or not limit.isdigit() or len(limit) > 6:
            raise Failed("bad request", "limit is a number")
        result = await known.link.ask("detail", {"sync": name, "limit": int(limit)})
        history = self._daemons.histories.shown(time.monotonic(), (known.name, name))
        status = known.status or {}
        return _Json({**result, "daemon": known.name, "time": status.get("time"), "history": history})

    async def events(self, request: Request) -> Response:
        topics = frozenset(filter(None, request.query_params.get("topics", "").split(",")))
        await self._daemons.refresh()
        stream = self._streams.open(topics, lambda: message("snapshot", self._shown(request)))
        return _Following(stream, self._streams)

    async def login(self, request: Request) -> Response:
        """The token becomes a cookie that no script can read and no other site can have sent."""
        refusal = self._guard.refuse_origin(request.headers)
        if refusal is not None:
            return _refuse(refusal)
        token = (await _body(request)).get("token")
        if not isinstance(token, str) or not self._guard.is_token(token):
            raise Failed("unauthorized", "this is not the token")
        response = _Json({"result": {}})
        response.set_cookie(
            self._guard.cookie, self._guard.session(), max_age=30 * 86400, httponly=True, samesite="strict"
        )
        return response

    async def logout(self, request: Request) -> Response:
        refusal = self._guard.refuse_origin(request.headers)
        if refusal is not None:
            return _refuse(refusal)
        response = _Json({"result": {}})
        response.delete_cookie(self._guard.cookie, httponly=True, samesite="strict")
        return response

    async def steer(self, request: Request) -> Response:
        refusal = self._guard.refuse_steering(request.headers, request.cookies)
        if refusal is not None:
            return _refuse(refusal)
        command = request.path_params["command"]
        if command not in STEERING:
            raise Failed("unknown command", f"there is no command {command}; there are: {', '.join(STEERING)}")
        asked = await _body(request)
        unknown = [key for key in asked if key not in (*STEERING[command], "daemon")]
        if unknown:
            raise Failed("bad request", f"{command} takes no {unknown[0]}")
        known = self._daemon(asked.pop("daemon", None), None)
        work = known.link.ask(command, asked, None) if command in _SLOW else known.link.ask(command, asked)
        return _Json({"daemon": known.name, "result": await _until_gone(request, work)})

    def _shown(self, request: Request) -> dict[str, Any]:
        return {
            "daemons": self._daemons.shown(),
            "has_token": self._guard.has_token,
            "may_steer": self._guard.may_steer(request.headers, request.cookies),
        }

    def _daemon(self, name: object, sync: str | None) -> Known:
        """The daemon of this name; None: the only one, or the only one that has the sync. Raises Failed."""
        those = [known for known in self._daemons.all() if name in (None, known.name)]
        if name is not None and not those:
            raise Failed("unknown daemon", f"there is no daemon {name}")
        if name is None:
            those = [known for known in those if known.is_up and (sync is None or sync in known.syncs)]
            if not those:
                raise (
                    Failed("unknown sync", f"there is no sync {sync}") if sync else Failed("gone", "no daemon answers")
                )
            if len(those) > 1:
                names = ", ".join(known.name for known in those)
                raise Failed("bad request", f"there are several daemons, name one: {names}")
        return those[0]


class _Json(JSONResponse):
    """In ASCII: half a surrogate pair, which a daemon may send as an escape, is in no UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


class _Following(Response):
    """Events as they come, until the client goes."""

    def __init__(self, stream: Stream, streams: Streams) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._stream = stream
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = {asyncio.create_task(self._send(send)), asyncio.create_task(_gone(receive))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.close(self._stream)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for piece in self._stream.pieces():
            # waits while the client reads too slowly
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_gone(request: Request, work: Awaitable[Any]) -> Any:
    """The result of the work, which nobody waits for any more when the client has gone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_gone(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Failed("gone", "the client has gone")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises Failed."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Failed("bad request", "the body must be of type application/json")
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LONGEST_BODY:
            raise Failed("bad request", f"the body has more than {LONGEST_BODY} bytes")
    try:
        values = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise Failed("bad request", "the body must be a JSON object")
    return values


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = (_PAGE / name).read_bytes()

    async def serve(request: Request) -> Response:
        return Response(content, media_type=kind)

    return serve


async def _healthz(request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")


def _refuse(refusal: Refusal) -> Response:
    return _error(refusal.status, refusal.code, refusal.message)


def _error(status: int, code: str, text: str) -> Response:
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return _Json({"error": {"code": code, "message": text}}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _error(
        status,
        "unknown command" if status == 404 else "bad request",
        f"{request.method} is not answered here" if status == 405 else "there is nothing here",
    )


async def _failed(request: Request, error: Exception) -> Response:
    code = error.code if isinstance(error, Failed) else "failed"
    return _error(STATUSES.get(code, 502), code, str(error))


async def _full(request: Request, error: Exception) -> Response:
    return _error(503, "busy", "too many clients follow events already")
