"""`orchestrator status`: what it says, with which status, whoever answers."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.control import client, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYNC: dict[str, Any] = {
    "name": "Sync1", "state": "in sync", "source": "/s/", "target": "/t/", "waiting": 0, "oldest": None, "stuck": None,
    "retrying": 0, "held_by": "", "unreachable": None, "last_success": None, "last_error": None,
}  # fmt: skip


def report(**changed: Any) -> dict[str, Any]:
    return {"daemon": {"pid": 7, "time": 1e9, "processes": 0, "watches": 1, "polled": 0}, "syncs": [SYNC | changed]}


def spoken(answer: Any) -> bytes:
    """What a daemon says to the first request, which has the id 1."""
    greeting = {"protocol": 1, "version": "1", "pid": 7, "may": "steer"}
    return f"{json.dumps(greeting)}\n{json.dumps({'id': 1, 'result': answer})}\n".encode()


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[str]:
    """Somebody at a socket who says that to the first who connects, and hears nothing."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1000):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield str(path)
        thread.join()


def ask(tmp_path: Path, answer: Any, *options: str) -> int:
    data = answer if isinstance(answer, bytes) else spoken(answer)
    with answering(tmp_path / "socket", data) as path:
        return main(["status", *options, "--socket", path])


def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path, report()) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split() == ["Sync1", "in", "sync", "/t/", "0", "-", "-"]
    assert captured.err == ""


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("state", ["retrying", "suspended", "left alone", "stopped"])
def test_a_sync_that_needs_attention(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str, options: list[str]
) -> None:
    assert ask(tmp_path, report(state=state), *options) == 1
    assert capsys.readouterr().err == f"Attention: Sync1 is {state}.\n"


def test_a_stuck_sync_needs_attention(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path, report(state="syncing", stuck="pid 12 moves nothing")) == 1
    assert capsys.readouterr().err == "Attention: Sync1 is stuck.\n"


def test_json_is_the_answer_as_it_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = report() | {"of another version": [1, {"x": None}]}
    assert ask(tmp_path, answer, "--json") == 0
    assert json.loads(capsys.readouterr().out) == answer


def test_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["status", "--socket", "a", "--pid", "1"])
    assert ended.value.code == 2
    (tmp_path / "file").write_text("")
    assert main(["status", "--socket", str(tmp_path / "file")]) == 2
    assert "is no socket; name the file that the setting controlSocket names." in capsys.readouterr().err


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--socket", str(tmp_path / "none")]) == 3
    assert main(["status", "--socket", "nul\0"]) == 3
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    assert main(["status", "--socket", str(tmp_path / "dead")]) == 3
    err = capsys.readouterr().err
    assert err.count("Error: no daemon answers at ") == 3
    assert len(err.splitlines()) == 3


JUNK = {
    "no JSON": b"hello",
    "no table": b"[1, 2]",
    "no UTF-8": b"\xff",
    "deep": b"[" * 100_000,
    "large number": b"1" * 10_000,
    "nothing in it": {},
    "no syncs": {**report(), "syncs": 3},
    "a text for a sync": {**report(), "syncs": ["x"]},
    "no name": {**report(), "syncs": [{"state": "in sync"}]},
    "a list for a state": report(state=["x"]),
    "a text for a time": report(last_success="x"),
    "no time": report(last_success=1e300),
    "infinite": report(last_success=float("inf")),
    "a text for an age": report(waiting=1, oldest="x"),
    "no time of an error": report(last_error={"cause": ""}),
}


@pytest.mark.parametrize("case", JUNK)
def test_what_no_daemon_says_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    assert ask(tmp_path, JUNK[case]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"Error: what answers at {tmp_path}/socket is no daemon of this kind\n"


def test_who_is_hung_up_on_hears_who_may_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path, b"") == 3
    assert "hangs up: root may ask, the user that it runs as, and its controlGroup" in capsys.readouterr().err


def test_a_newer_protocol_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path, b'{"protocol": 2}\n') == 3
    assert "speaks version 2 of the protocol, this command version 1" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "status"), [("failed", 1), ("bad request", 2), ("denied", 3), ("ending", 3)])
def test_an_error_that_it_answers_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, status: int
) -> None:
    error = json.dumps({"id": 1, "error": {"code": code, "message": "as it \x1b is"}})
    assert ask(tmp_path, b'{"protocol": 1}\n' + error.encode() + b"\n") == status
    assert capsys.readouterr().err == "Error: as it \\x1b is\n"


def test_one_who_never_stops_is_not_listened_to_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LONGEST", 1 << 16)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b" " * 65536)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        assert main(["status", "--socket", str(tmp_path / "socket")]) == 3
        thread.join()
    assert "no daemon of this kind" in capsys.readouterr().err


def test_names_steer_no_terminal_and_forge_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2J\u202e\x9b\nSync2: in sync"
    error = {"time": 0, "cause": "no\nspace \x1b"}
    assert ask(tmp_path, report(name=name, source=name, state="retrying", last_error=error)) == 1
    captured = capsys.readouterr()
    for text in captured:
        assert not set(text) & set("\x1b\u202e\x9b")
        assert "\nSync2" not in text
    assert "a\\x1b[2J\\u202e\\x9b\\nSync2: in sync" in captured.out
    assert len(captured.out.splitlines()) == 5


def test_passwords_are_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(tmp_path, report(name="rsync://u:pa55@h/m", state="stopped"))
    assert "pa55" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("cannot reach web1", {"unreachable": {"host": "web1", "next_try": None}}),
        ("tries 2 paths again", {"retrying": 2}),
        (
            "had 1 difference when it was last verified",
            {"verified": {"time": 1e9, "is_equal": False, "differences": 1, "compared": 9, "error": ""}},
        ),
        ("has 1 conflict", {"conflicts": ["/a"]}),
        ("is suspended", {"state": "suspended", "retrying": 2}),
    ],
)
def test_the_reason_for_attention_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, values: dict[str, Any]
) -> None:
    assert ask(tmp_path, report(**values)) == 1
    assert capsys.readouterr().err == f"Attention: Sync1 {words}.\n"
