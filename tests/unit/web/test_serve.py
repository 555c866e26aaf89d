"""`orchestrator serve` over HTTP, with a daemon that the test plays."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.kit.controlled import START, Controlled, controlled, sync
from tests.kit.daemon import DEADLINE, wait_until
from tests.kit.web import COMMAND, TOKEN, Server, environment, serving, token_file

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = 'a/../b?c#d%20"<img src=x onerror=alert(1)>\n*[\ud800'


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def world(box: Path) -> Iterator[tuple[Controlled, Server]]:
    """A daemon, and a server with a token on a loopback address."""
    with controlled(box / "a.sock") as daemon:
        daemon.syncs = [sync(), sync(HOSTILE, number=2)]
        with serving(
            box, "--socket", box / "a.sock", "--token-file", token_file(box), "--host", "Sync.example"
        ) as server:
            server.wait_for_daemons()
            yield daemon, server


@pytest.fixture
def daemon(world: tuple[Controlled, Server]) -> Controlled:
    daemon = world[0]
    daemon.asked.clear()
    daemon.refusal = None
    return daemon


@pytest.fixture
def server(world: tuple[Controlled, Server]) -> Server:
    return world[1]


class Following:
    """Server-sent events, one by one."""

    def __init__(self, server: Server, query: str = "") -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=DEADLINE)
        self._connection.request("GET", f"/api/v1/events{query}")
        self._answer = self._connection.getresponse()
        self.status = self._answer.status

    def next(self) -> tuple[str, Any]:
        event, data = "", ""
        while (line := self._answer.readline().decode().rstrip("\n")) or not data:
            name, _, value = line.partition(": ")
            event, data = (value, data) if name == "event" else (event, value if name == "data" else data)
        return event, json.loads(data)

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._connection.close()


def test_status_is_what_the_daemon_says(daemon: Controlled, server: Server) -> None:
    answer = server.ask("/api/v1/status")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    (shown,) = answer.json["daemons"]
    assert (shown["daemon"], shown["is_up"], shown["may"]) == (daemon.daemon["config"], True, "steer")
    assert (shown["status"], shown["syncs"]) == (daemon.daemon, daemon.syncs)
    assert (answer.json["has_token"], answer.json["may_steer"]) == (True, False)
    assert server.ask("/api/v1/status", Authorization=f"Bearer {TOKEN}").json["may_steer"] is True


def test_status_is_of_now(daemon: Controlled, server: Server) -> None:
    daemon.syncs[0]["waiting"] = 5
    assert server.daemons()[0]["syncs"][0]["waiting"] == 5
    assert "lsyncd_sync_waiting_changes{" in server.ask("/metrics").body.decode()
    assert re.search(r'waiting_changes\{.*sync="web"\} 5\.0', server.ask("/metrics").body.decode())
    daemon.syncs[0]["waiting"] = 0


@pytest.mark.parametrize("name", ["web", HOSTILE.encode("utf-8", "replace").decode()])
def test_a_sync_by_name(daemon: Controlled, server: Server, name: str) -> None:
    daemon.syncs[1]["name"] = HOSTILE.encode("utf-8", "replace").decode()
    server.daemons()
    answer = server.ask(f"/api/v1/syncs/{quote(name, safe='')}?limit=7")
    assert answer.status == 200
    assert answer.json["sync"]["name"] == name
    assert answer.json["daemon"] == daemon.daemon["config"]
    assert len(answer.json["history"]["waiting"]) == 120
    daemon.syncs[1]["name"] = HOSTILE


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/syncs/none", 404, "unknown sync"),
        ("/api/v1/syncs/web?daemon=none", 404, "unknown daemon"),
        ("/api/v1/syncs/web?limit=x", 400, "bad request"),
        ("/api/v1/syncs/web?limit=9999999", 400, "bad request"),
        ("/api/v1/none", 405, "bad request"),
        ("/none", 404, "unknown command"),
        ("/page.html", 404, "unknown command"),
        ("/../app.py", 404, "unknown command"),
    ],
)
def test_errors_are_json(server: Server, path: str, status: int, code: str) -> None:
    answer = server.ask(path)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_commands_reach_the_daemon(daemon: Controlled, server: Server) -> None:
    for command in ("pause", "resume", "run", "flush", "retry", "verify"):
        answer = server.steer(command, {"syncs": ["w*"], "daemon": daemon.daemon["config"]})
        assert (answer.status, answer.json["daemon"]) == (200, daemon.daemon["config"])
    assert server.steer("verify", {"quick": True}).status == 200
    assert server.steer("reload").status == 200
    commands = ("pause", "resume", "run", "flush", "retry", "verify")
    assert daemon.asked == [
        *({"command": command, "syncs": ["w*"]} for command in commands),
        {"command": "verify", "quick": True},
        {"command": "reload"},
    ]


@pytest.mark.parametrize(
    ("code", "status"), [("denied", 403), ("unknown sync", 404), ("failed", 409), ("ending", 503), ("new", 502)]
)
def test_the_daemons_refusal_is_passed_on(daemon: Controlled, server: Server, code: str, status: int) -> None:
    daemon.refusal = {"code": code, "message": "so it is"}
    answer = server.steer("pause")
    assert (answer.status, answer.json) == (status, {"error": daemon.refusal})


@pytest.mark.parametrize(
    ("command", "body", "headers", "status"),
    [
        ("status", {}, {}, 404),
        ("log", {}, {}, 404),
        ("pause", {"id": 1}, {}, 400),
        ("pause", {"command": "reload"}, {}, 400),
        ("pause", {"daemon": "none"}, {}, 404),
        ("pause", [], {}, 400),
        ("pause", b"{", {}, 400),
        ("pause", b"[" * 60000, {}, 400),
        ("pause", b" " * 70000, {}, 400),
        ("pause", b"{}", {"Content_Type": "text/plain"}, 400),
        ("pause", {}, {"Authorization": "Bearer wrong"}, 401),
        ("pause", {}, {"Authorization": ""}, 401),
        ("pause", {}, {"Host": "rebound.example"}, 421),
    ],
)
def test_other_requests_do_not(
    daemon: Controlled, server: Server, command: str, body: Any, headers: dict[str, str], status: int
) -> None:
    answer = server.steer(command, body, **headers)
    assert answer.status == status
    assert answer.json["error"]["message"]
    assert daemon.asked == []


def test_the_cookie_of_a_login_steers_for_our_page_only(daemon: Controlled, server: Server) -> None:
    origin = f"http://{server.host}:{server.port}"
    foreign = server.ask("/api/v1/login", "POST", {"token": TOKEN}, Origin="http://evil.example")
    assert (foreign.status, "set-cookie" in foreign.headers) == (403, False)
    wrong = server.ask("/api/v1/login", "POST", {"token": TOKEN[:-1]}, Origin=origin)
    assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
    cookie = server.ask("/api/v1/login", "POST", {"token": TOKEN}, Origin=origin).headers["set-cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert TOKEN not in cookie
    session = cookie.partition(";")[0]

    def pause(**headers: str) -> int:
        return server.ask("/api/v1/pause", "POST", {}, Cookie=session, **headers).status

    assert pause() == 403
    assert pause(Origin="http://evil.example") == 403
    assert pause(Origin=f"http://{server.host}:1") == 403
    assert daemon.asked == []
    assert pause(Origin=origin) == 200
    assert pause(Origin="https://sync.example") == 200
    assert server.ask("/api/v1/status", Cookie=session).json["may_steer"] is True
    gone = server.ask("/api/v1/logout", "POST", {}, Cookie=session, Origin=origin).headers["set-cookie"]
    assert "max-age=0" in gone.lower()


def test_a_foreign_name_leads_nowhere(server: Server) -> None:
    for path in ("/", "/metrics", "/api/v1/status", "/healthz", "/none"):
        assert server.ask(path, Host="rebound.example").status == 421
        assert server.ask(path, Host="sync.example").status != 421


def test_every_answer_is_protected(server: Server) -> None:
    for path in ("/", "/page.js", "/page.css", "/icon.svg", "/metrics", "/api/v1/status", "/none"):
        headers = server.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    assert server.ask("/healthz").body == b"ok\n"


def test_the_page_has_no_script_or_style_of_its_own_and_nothing_from_elsewhere(server: Server) -> None:
    page, script = (server.ask(path).body.decode() for path in ("/", "/page.js"))
    assert re.findall(r"<script[^>]*>([^<]*)", page) == [""]
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    assert re.findall(r"https?://[^\"']+", page + script) == ["http://www.w3.org/2000/svg"]


def test_events_come_as_they_happen(daemon: Controlled, server: Server) -> None:
    with Following(server, "?topics=state,status") as some, Following(server) as everything:
        kind, snapshot = everything.next()
        assert (kind, snapshot["daemons"][0]["syncs"]) == ("snapshot", daemon.syncs)
        # the snapshot is for everybody, as is what is lost later
        assert some.next()[0] == "snapshot"
        daemon.syncs[0]["state"] = "paused"
        daemon.event("queue", sync="web", waiting=3, retrying=0, oldest=None, transfers=0, bytes=4096)
        daemon.event("state", sync="web", state="paused", stuck=None)
        name = daemon.daemon["config"]
        assert everything.next()[0] == "queue"
        assert everything.next() == (
            "state",
            {"event": "state", "time": START + 100, "sync": "web", "state": "paused", "stuck": None, "daemon": name},
        )
        assert some.next()[0] == "state"
        for one in (some, everything):
            kind, status = one.next()
            assert (kind, [part["state"] for part in status["syncs"]]) == ("status", ["paused"])
    daemon.syncs[0]["state"] = "in sync"


def test_a_name_with_the_characters_of_patterns_is_one_name(daemon: Controlled, server: Server) -> None:
    with Following(server, "?topics=status") as following:
        following.next()
        daemon.syncs += [sync("[ab]*", number=3, waiting=7), sync("ab", number=4)]
        try:
            daemon.event("queue", sync="[ab]*", waiting=7, retrying=0, oldest=None, transfers=0, bytes=0)
            part = following.next()[1]
            assert [one["name"] for one in part["syncs"]] == ["[ab]*"]
            assert part["syncs"][0]["waiting"] == 7
        finally:
            del daemon.syncs[2:]


def test_the_last_hour(daemon: Controlled, server: Server) -> None:
    server.daemons()
    daemon.event("queue", sync="web", waiting=41, retrying=0, oldest=None, transfers=0, bytes=4096 + 1000)
    wait_until(lambda: 41 in server.ask("/api/v1/syncs/web").json["history"]["waiting"], "the queue in the history")
    total = server.ask("/api/v1/history").json
    assert max(total["waiting"]) == 41
    assert sum(total["bytes"]) >= 1000


def test_so_many_follow_and_no_more(server: Server) -> None:
    with ExitStack() as clients:
        assert {clients.enter_context(Following(server)).status for _ in range(64)} == {200}
        with Following(server) as surplus:
            assert surplus.status == 503
        # everybody else is still served
        assert server.ask("/metrics").status == 200

    def has_room() -> bool:
        with Following(server) as another:
            return another.status == 200

    wait_until(has_room, "room for another one")


def test_a_client_that_does_not_read_costs_bounded_memory(daemon: Controlled, server: Server) -> None:
    def size(pid: int) -> int:
        match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        assert match
        return int(match[1])

    pid = next(int(one) for one in os.listdir("/proc") if one.isdigit() and serves(one, server.port))
    with Following(server, "?topics=ended,lost") as slow, Following(server, "?topics=ended,lost,mark") as quick:
        assert slow.next()[0] == quick.next()[0] == "snapshot"
        before = size(pid)
        cause = "x" * 60_000
        for number in range(400):
            daemon.event("ended", sync="web", id=number, cause=cause)
            assert quick.next()[0] in ("ended", "lost", "snapshot")
        # 24 MB for each of the two, had it been kept
        assert size(pid) - before < 16_000
        kinds = []
        while "lost" not in kinds:
            kinds.append(slow.next()[0])
        assert slow.next()[0] == "snapshot"


def serves(pid: str, port: int) -> bool:
    """Whether this process listens there."""
    try:
        with open("/proc/net/tcp") as table:
            inodes = {
                row.split()[9] for row in table if row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A"
            }
        links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return False
    return any(f"socket:[{inode}]" in links for inode in inodes)


def test_daemons_are_found_as_they_come_and_go(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    one, other = f"{tmp_path}/one.lua", f"{tmp_path}/other.lua"

    def shown(server: Server) -> dict[str, bool]:
        """Those of ours: whatever else runs on this machine is found, too."""
        return {known["daemon"]: known["is_up"] for known in server.daemons() if known["socket"].startswith(str(run))}

    with serving(tmp_path, run=run) as server, Following(server, "?topics=daemon") as following:
        assert following.next()[0] == "snapshot"
        (run / "lsyncd").mkdir()
        with controlled(run / "lsyncd" / "1.sock", config=one) as first:
            while (come := following.next()[1])["daemon"] != one:
                pass
            assert (come["socket"], come["is_up"]) == (str(first.path), True)
            with controlled(run / "lsyncd" / "2.sock", config=other):
                while following.next()[1]["daemon"] != other:
                    pass
                several = server.ask("/api/v1/syncs/web")
                assert several.status == 400
                assert other in several.json["error"]["message"]
                assert server.ask(f"/api/v1/syncs/web?daemon={quote(other)}").status == 200
            while (gone := following.next()[1])["daemon"] != other:
                pass
            assert gone["is_up"] is False
            assert shown(server) == {one: True, other: False}
            metrics = server.ask("/metrics").body.decode()
            assert f'lsyncd_up{{daemon="{other}"}} 0.0' in metrics
            assert f'lsyncd_sync_state{{daemon="{other}"' not in metrics
        # started again: the same daemon, by its config, under another pid
        with controlled(run / "lsyncd" / "3.sock", config=other):
            wait_until(lambda: shown(server) == {one: False, other: True}, "it to be back")


NO_GREETINGS = [b'{"protocol": 2, "pid": 1}', b"[]", b"{", b'{"protocol": NaN}', b"[" * 100_000, b"\xff"]


def test_what_is_no_daemon_of_this_kind_is_down(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for number, greeting in enumerate(NO_GREETINGS):
            stack.enter_context(controlled(tmp_path / f"{number}.sock", greeting=greeting))
        sockets = [tmp_path / f"{number}.sock" for number in range(len(NO_GREETINGS))]
        named = [word for path in sockets for word in ("--socket", path)]
        server = stack.enter_context(serving(tmp_path, *named))
        wait_until(lambda: all(one["trouble"] for one in server.daemons()), "the reasons to be known")
        metrics = server.ask("/metrics").body.decode()
        assert [f'lsyncd_up{{daemon="{path}"}} 0.0' in metrics for path in sockets] == [True] * len(sockets)
        assert server.ask("/api/v1/syncs/web").status == 404


def test_a_daemon_that_answers_what_nobody_asked_is_down_until_the_next_try(tmp_path: Path) -> None:
    greeting = b'{"protocol": 1, "version": "1", "pid": 1, "may": "read"}\n{"id": [1], "result": {}}'
    path = tmp_path / "a.sock"
    with controlled(path, greeting=greeting) as daemon, serving(tmp_path, "--socket", path) as server:
        wait_until(lambda: sum(one["command"] == "subscribe" for one in daemon.requests) > 1, "another try")
        wait_until(lambda: not server.daemons()[0]["is_up"], "it to be known as down")


def test_without_a_token_it_only_reads(tmp_path: Path) -> None:
    with controlled(tmp_path / "a.sock") as daemon, serving(tmp_path, "--socket", tmp_path / "a.sock") as server:
        server.wait_for_daemons()
        assert server.steer("pause").status == 403
        assert server.ask("/api/v1/login", "POST", {"token": ""}, Origin=server.url[:-1]).status == 401
        assert server.ask("/api/v1/status").json["has_token"] is False
        assert daemon.asked == []


def test_elsewhere_reading_needs_the_token_too(tmp_path: Path) -> None:
    arguments = ("--socket", tmp_path / "a.sock", "--token-file", token_file(tmp_path))
    with controlled(tmp_path / "a.sock"), serving(tmp_path, *arguments, listen="0.0.0.0:0") as server:
        for path in ("/metrics", "/api/v1/status", "/api/v1/history", "/api/v1/syncs/web", "/api/v1/events"):
            assert server.ask(path).status == 401
            assert server.ask(path, Authorization="Bearer wrong").status == 401
        assert server.ask("/metrics", Authorization=f"Bearer {TOKEN}").status == 200
        # nothing of a daemon is in these
        assert [server.ask(path).status for path in ("/", "/page.js", "/healthz")] == [200] * 3


def refused(*arguments: str, **variables: str) -> str:
    """The one line of a call that is refused as wrong."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=environment(**variables),
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


def test_wrong_calls_are_one_line(tmp_path: Path) -> None:
    assert "needs --token-file" in refused("--listen", "0.0.0.0:0")
    assert "HOST:PORT" in refused("--listen", "9324")
    token = token_file(tmp_path)
    token.chmod(0o644)
    assert "chmod 600" in refused("--listen", "127.0.0.1:0", "--token-file", str(token))


def test_an_extra_that_is_not_installed_is_named(tmp_path: Path) -> None:
    # found before the one that is installed, and is none
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['uvicorn'] = None\n")
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    assert "lsyncd-orchestrator[web]" in refused("--listen", "127.0.0.1:0", PYTHONPATH=path)
