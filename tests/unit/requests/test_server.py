"""The control socket's server: requests and answers, rights, limits, and clients that behave badly."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.requests import client as client_module
from orchestrator.requests import logtail, watch
from orchestrator.requests.commands import COMMANDS, Command
from orchestrator.requests.protocol import LONGEST_LINE, TEXT, TOPICS, Code, RequestError, Right
from orchestrator.requests.server import MOST, MOST_CALLS, MOST_READERS
from tests.kit.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.requests.call import Call


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "socket", ["mail", "web1", "web2"])
    yield served
    served.close()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls of a command `wait`, which may steer and answers later; `sync` is one."""
    calls: list[Call] = []
    monkeypatch.setitem(COMMANDS, "wait", Command(calls.append, Right.STEER, {"sync": TEXT}))
    return calls


def names(answer: dict[str, Any]) -> list[str]:
    return [sync["name"] for sync in answer["result"]["syncs"]]


def error(answer: dict[str, Any] | None) -> tuple[str, str]:
    assert answer is not None
    return answer["error"]["code"], answer["error"]["message"]


def test_the_greeting_comes_first(served: Served) -> None:
    greeting = served.client(greeted=False).line()
    assert (greeting["protocol"], greeting["pid"], greeting["may"]) == (1, os.getpid(), "steer")


def test_status_of_all_and_of_those_that_are_meant(served: Served) -> None:
    client = served.client()
    assert names(client.ask("status")) == ["mail", "web1", "web2"]
    assert names(client.ask("status", syncs=["web*"])) == ["web1", "web2"]
    assert names(client.ask("status", syncs=["Sync3", "mail", "mail"])) == ["mail", "web2"]
    assert names(client.ask("status", syncs=[])) == []
    assert names(client.ask("status", syncs=None)) == ["mail", "web1", "web2"]
    daemon = client.ask("status", syncs=[])["result"]["daemon"]
    assert (daemon["pid"], daemon["watches"], daemon["state"], daemon["reloads"]) == (os.getpid(), 3, "running", 0)
    assert served.touched == 0, "asking changes nothing"


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no command": ({}, "bad request", 'a text as "command"'),
    "a command that there is not": ({"command": "x"}, "unknown command", "status"),
    "a list": ({"command": ["status"]}, "bad request", "text"),
    "another sync": ({"command": "status", "syncs": ["webb"]}, "unknown sync", '"webb"; there are: mail, web1, web2'),
    "a pattern of none": ({"command": "status", "syncs": ["mail", "x*"]}, "unknown sync", '"x*"'),
    "a number too high": ({"command": "status", "syncs": ["Sync4"]}, "unknown sync", "Sync4"),
    "too many patterns": ({"command": "status", "syncs": ["*"] * 65}, "bad request", "64 at most may be patterns"),
    "a pattern that nobody would write": ({"command": "status", "syncs": ["*" * 1025]}, "unknown sync", "****"),
    "no list": ({"command": "status", "syncs": "mail"}, "bad request", '"syncs" is a list of texts'),
    "a slip": ({"command": "status", "sync": "mail"}, "bad request", 'no argument "sync"; it has syncs'),
    "a time beyond all": ({"command": "flush", "wait": 10**400}, "bad request", '"wait" is a number'),
    "no topic": ({"command": "subscribe", "topics": ["x"]}, "bad request", 'no topic "x"'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_answered_and_the_next_one_met(served: Served, case: str) -> None:
    request, code, words = WRONG[case]
    client = served.client()
    client.send({"id": 7, **request})
    answer = client.line()
    assert answer["id"] == 7
    assert error(answer)[0] == code
    assert words in error(answer)[1]
    assert names(client.ask("status", syncs=["mail"])) == ["mail"]


@pytest.mark.parametrize(
    "line", [b"hello\n", b"[1]\n", b"\xff\n", b"\n", b"3\n", b"[" * 60_000 + b"\n", b'{"id": NaN}\n', b'{"id": []}\n',
             b'{"id": 1e999}\n', b'{"id": true}\n', b'{"id": 1' + b"0" * 400 + b"}\n", b'{"a": "' + b"x" * LONGEST_LINE]
)  # fmt: skip
def test_a_line_that_is_no_request_ends_the_connection(served: Served, line: bytes) -> None:
    client, other = served.client(), served.client()
    client.send(line)
    answer = client.line()
    assert (answer["id"], error(answer)[0]) == (None, "bad request")
    assert client.line_or_end() is None
    assert names(other.ask("status", syncs=["mail"])) == ["mail"]


def test_requests_in_pieces_and_several_at_once(served: Served) -> None:
    client = served.client()
    for piece in (b'{"id": 1, "comm', b'and": "status"', b', "syncs": []}\n{"id": 2, "command": "x"}\n{"id"'):
        client.send(piece)
        served.turn()
    assert [client.line()["id"] for _ in range(2)] == [1, 2]
    client.send(b': 3, "command": "x"}\n')
    assert client.line()["id"] == 3


def test_who_sends_and_ends_gets_the_answers(served: Served) -> None:
    client = served.client()
    client.send(b'{"id": 1, "command": "x"}\n{"id": 2, "command": "x"}')
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.line()["id"] for _ in range(2)] == [1, 2]
    assert client.line_or_end() is None


def test_an_answer_may_come_later_and_once(served: Served, waiting: list[Call]) -> None:
    client = served.client()
    client.send({"id": "a", "command": "wait", "sync": "web1"}, {"id": "b", "command": "wait", "sync": "Sync1"})
    served.turn(4)
    first, second = waiting
    assert [sync.name for sync in first.syncs + second.syncs] == ["web1", "mail"]
    assert served.touched > 0, "steering may change anything"
    second.tell("difference", id=second.id)
    second.answer({"n": 2})
    first.fail(RequestError(Code.FAILED, "no"))
    first.answer({"n": 1})
    assert [client.line() for _ in range(3)] == [
        {"event": "difference", "time": served.clock.wall(), "id": "b"},
        {"id": "b", "result": {"n": 2}},
        {"id": "a", "error": {"code": "failed", "message": "no"}},
    ]
    assert client.lines() == []
    assert first.is_over


def test_a_bug_in_a_command_is_an_error_and_a_line_of_the_log(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "wait", Command(lambda call: {"n": 1 // 0}, Right.STEER, {}))
    client = served.client()
    assert error(client.ask("wait")) == ("failed", "a bug in the daemon; its log has more")
    assert served.log.lines[0][0] == "Error"
    assert "wait failed: ZeroDivisionError" in served.log.lines[0][1]
    assert names(client.ask("status", syncs=["mail"])) == ["mail"]


def test_one_sync_means_one(served: Served, waiting: list[Call]) -> None:
    client = served.client()
    assert error(client.ask("wait"))[1] == 'the argument "sync" is missing'
    assert error(client.ask("wait", sync="web*"))[1] == '"web*" means 2 syncs, not one'
    assert waiting == []


def test_so_many_requests_of_a_client_wait_at_most(served: Served, waiting: list[Call]) -> None:
    client = served.client()
    client.send(*({"id": number, "command": "wait", "sync": "mail"} for number in range(MOST_CALLS + 1)))
    answer = client.line()
    assert (answer["id"], error(answer)[0], len(waiting)) == (MOST_CALLS, "failed", MOST_CALLS)
    waiting[3].answer({})
    assert client.line()["id"] == 3
    client.send({"id": "again", "command": "wait", "sync": "mail"})
    served.turn(3)
    assert waiting[-1].id == "again"


def test_who_hangs_up_waits_for_nothing(served: Served, waiting: list[Call]) -> None:
    client = served.client()
    client.send({"id": 1, "command": "wait", "sync": "mail"})
    served.turn(3)
    client.socket.close()
    served.turn(2)
    assert waiting[0].is_over
    waiting[0].answer({})


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "meanwhile"])
def test_who_hangs_up_while_requests_wait_is_forgotten(served: Served, waiting: list[Call], is_late: bool) -> None:
    client = served.client()
    client.send({"id": 1, "command": "wait", "sync": "mail"})
    served.turn(3)
    if not is_late:
        client.socket.close()
    served.server._owed_until = served.clock.now() + 60
    served.server._rest(is_resting=True)
    client.socket.close()
    served.turn(2)
    assert waiting[0].is_over
    assert not served.server._clients


def test_a_daemon_that_is_about_to_end_is_not_steered(served: Served, waiting: list[Call]) -> None:
    served.desk.is_ending = True
    client = served.client()
    assert error(client.ask("wait", sync="mail"))[0] == "ending"
    assert client.ask("status")["result"]["daemon"]["state"] == "ending"


# ---- rights -------------------------------------------------------------------------------------


def test_who_may_read_does_not_steer(served: Served, waiting: list[Call]) -> None:
    served.right = Right.READ
    client = served.client(greeted=False)
    assert client.line()["may"] == "read"
    assert error(client.ask("wait", sync="mail")) == (
        "denied",
        "only root and the user that the daemon runs as may wait",
    )
    assert names(client.ask("status", syncs=["mail"])) == ["mail"]
    assert waiting == []


def test_others_are_hung_up_on_without_a_word(served: Served) -> None:
    served.right = None
    assert served.client(greeted=False).line_or_end() is None


def test_so_many_clients_and_some_places_for_those_who_steer(served: Served) -> None:
    served.right = Right.READ
    readers = [served.client() for _ in range(MOST_READERS)]
    refused = served.client(greeted=False)
    assert error(refused.line()) == ("denied", "as many clients as may be are connected")
    assert refused.line_or_end() is None
    served.right = Right.STEER
    for _ in range(MOST - MOST_READERS):
        served.client()
    assert error(served.client(greeted=False).line())[0] == "denied"
    readers[0].socket.close()
    served.turn(2)
    assert names(served.client().ask("status", syncs=["mail"])) == ["mail"]


# ---- those who do not read ----------------------------------------------------------------------


def test_who_does_not_read_makes_nobody_wait_and_keeps_a_bounded_memory(served: Served) -> None:
    served.runner.syncs = [served.sync("x" * 50_000)]
    greedy, other = served.client(), served.client()
    line = b'{"id": 1, "command": "status"}\n'
    greedy.send(line * 1000)
    for _ in range(200):
        served.turn()
        (kept,) = [one for one in served.server._clients if one._outgoing] or [None]
        assert kept is None or len(kept._outgoing) < client_module.ROOM + 60_000
    assert len(other.ask("status")["result"]["syncs"]) == 1
    assert len([answer for _ in range(1000) if (answer := greedy.line())]) == 1000, "nothing is lost of what it asked"


def test_an_answer_left_unread_ends_the_connection(served: Served) -> None:
    served.runner.syncs = [served.sync("x" * 3_000_000)]
    client = served.client()
    client.send(b'{"id": 1, "command": "status"}\n')
    served.turn(3)
    timeout = served.server.timeout()
    assert timeout == served.clock.now() + client_module.UNREAD_FOR
    served.clock.advance(client_module.UNREAD_FOR - 1)
    served.turn()
    assert len(served.server._clients) == 1
    served.clock.advance(1)
    served.turn()
    assert not served.server._clients
    assert served.server.timeout() is None


def test_an_answer_that_was_read_has_no_deadline(served: Served) -> None:
    client = served.client()
    client.ask("status")
    served.turn()
    assert served.server.timeout() is None


def test_requests_that_take_long_leave_the_loop_most_of_its_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(call: Call) -> dict[str, Any]:
        served.clock.advance(0.1)
        return {}

    monkeypatch.setitem(COMMANDS, "slow", Command(slow, Right.READ, {}))
    clients = [served.client() for _ in range(3)]
    for client in clients:
        client.send(*[{"id": number, "command": "slow"} for number in range(4)])
    begun = served.clock.now()
    answered = 0
    while answered < 12:
        served.turn()
        served.clock.advance(max(0.0, (served.server.timeout() or 0.0) - served.clock.now()))
        answered += sum(len(client.lines()) for client in clients)
    assert 11 * 0.4 <= served.clock.now() - begun <= 12 * 0.4, "a quarter of the time"
    late = served.client()
    late.send({"id": "late", "command": "slow"})
    served.turn(5)
    assert late.lines() == [], "who comes meanwhile waits, too"
    served.server.ending("for a test")
    served.turn(20)
    assert len(late.lines()) == 1, "the end does not wait"


# ---- events -------------------------------------------------------------------------------------


def test_events_come_to_those_who_follow_them(served: Served) -> None:
    everything, one, nothing = served.client(), served.client(), served.client()
    assert served.feed.topics == frozenset()
    assert everything.ask("subscribe") == {"id": "subscribe", "result": {}}
    one.ask("subscribe", topics=["change", "state"], syncs=["web*"])
    assert served.feed.topics == TOPICS - {"log"}
    served.feed.tell("state", "mail", state="syncing")
    served.feed.tell("state", "web2", state="syncing")
    served.feed.tell("change", "web1", path="/f")
    served.feed.tell("ended", "web1", id=3)
    assert [(event["event"], event["sync"]) for event in everything.lines()] == [
        ("state", "mail"), ("state", "web2"), ("ended", "web1"),
    ]  # fmt: skip
    assert one.lines() == [
        {"event": "state", "time": served.clock.wall(), "sync": "web2", "state": "syncing"},
        {"event": "change", "time": served.clock.wall(), "sync": "web1", "path": "/f"},
    ]
    assert nothing.lines() == []
    one.ask("unsubscribe")
    everything.socket.close()
    served.turn(2)
    assert served.feed.topics == frozenset()


def test_events_of_a_sync_that_comes_with_a_reload(served: Served) -> None:
    client = served.client()
    client.ask("subscribe", syncs=["web*"], topics=["reloaded", "ended"])
    served.runner.syncs = [served.sync("web3"), served.sync("mail")]
    served.server.reloaded()
    served.feed.tell("ended", "web3")
    served.feed.tell("ended", "mail")
    reloaded, ended = client.lines()
    assert (reloaded["event"], names({"result": reloaded})) == ("reloaded", ["web3", "mail"])
    assert ended["sync"] == "web3"


def test_a_bug_before_a_command_is_met_ends_one_connection(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def err(value: Any) -> bool:
        raise OverflowError("too large")

    monkeypatch.setitem(COMMANDS, "odd", Command(lambda call: {}, Right.READ, {"odd": TEXT._replace(accepts=err)}))
    client, other = served.client(), served.client()
    assert error(client.ask("odd", odd="x")) == ("failed", "a bug in the daemon; its log has more")
    assert client.line_or_end() is None
    assert names(other.ask("status", syncs=["mail"])) == ["mail"]
    assert [text for category, text in served.log.lines if category == "Error"] == [
        "a request failed: OverflowError('too large')"
    ]


def test_a_result_that_is_no_json_is_an_error(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "odd", Command(lambda call: {"odd": b""}, Right.READ, {}))
    assert error(served.client().ask("odd"))[0] == "failed"


def test_an_event_longer_than_all_that_may_wait_comes_to_who_has_read_all(served: Served) -> None:
    client = served.client()
    client.ask("subscribe")
    served.feed.tell("ended", "mail", paths="x" * (client_module.ROOM + 1))
    (event,) = client.lines()
    assert len(event["paths"]) == client_module.ROOM + 1


def test_who_reads_too_slowly_hears_how_much_was_lost(served: Served) -> None:
    slow, quick = served.client(), served.client()
    slow.ask("subscribe")
    quick.ask("subscribe")
    heard = 0
    for _ in range(100):
        served.feed.tell("ended", "mail", paths="x" * 20_000)
        heard += len(quick.lines())
    assert heard == 100
    come = len(slow.lines())
    assert 10 < come < 100
    served.feed.tell("ended", "mail", paths="")
    lost, last = slow.lines()
    assert lost == {"event": "lost", "time": served.clock.wall(), "count": 100 - come}
    assert last["event"] == "ended"


# ---- states, queues, changes and the log --------------------------------------------------------


def test_a_queue_is_reported_at_most_twice_a_second(served: Served) -> None:
    client, mail = served.client(), served.runner.syncs[0]
    client.ask("subscribe", topics=["queue"])
    served.turn()
    served.clock.advance(watch.INTERVAL)
    begun = served.clock.wall()
    served.change(mail, b"/a")
    served.turn()
    for name in (b"/b", b"/c", b"/d"):
        served.change(mail, name)
        served.turn()
    first = {"event": "queue", "sync": "mail", "time": begun, "waiting": 1, "retrying": 0, "transfers": 0, "bytes": 0}
    (event,) = client.lines()
    assert event == first | {"oldest": event["oldest"]}
    assert event["oldest"] == pytest.approx(begun)
    due = served.server.timeout()
    assert due is not None
    assert due - served.clock.now() == watch.INTERVAL
    served.clock.advance(watch.INTERVAL)
    (event,) = client.lines()
    assert (event["waiting"], event["time"]) == (4, served.clock.wall())
    assert client.lines() == []


def test_a_state_is_reported_when_it_changes(served: Served) -> None:
    client, mail, web1 = served.client(), *served.runner.syncs[:2]
    client.ask("subscribe", topics=["state"])
    served.change(mail, b"/a")
    assert [(event["sync"], event["state"], event["stuck"]) for event in client.lines()] == [("mail", "syncing", None)]
    served.change(web1, b"/a")
    assert [(event["sync"], event["state"]) for event in client.lines()] == [("web1", "syncing")], "at once"
    served.change(web1, b"/b")
    served.clock.advance(1)
    assert client.lines() == []
    client.ask("unsubscribe")
    assert served.server.timeout() is None
    mail.life.stop("for a test")
    client.ask("subscribe", topics=["state"])
    served.clock.advance(1)
    assert client.lines() == [], "who asks later knows it from the status"


def test_a_sync_that_becomes_stuck_is_reported_though_nothing_happens(served: Served) -> None:
    client, mail = served.client(), served.runner.syncs[0]
    served.host.run.begin(replace(served.host.run.options, stale_after=600.0))
    served.change(mail, b"/a")
    client.ask("subscribe", topics=["state"])
    begun, turns = served.clock.now(), 0
    served.turn()
    while (due := served.server.timeout()) is not None and turns < 10:
        served.clock.advance(max(0.0, due - served.clock.now()))
        served.turn()
        turns += 1
    assert turns < 10, "it looks when there may be something to see"
    (event,) = client.lines()
    assert event["stuck"]
    assert served.clock.now() - begun == pytest.approx(600 + mail.options.delay, abs=1)
    for _ in range(3):  # it has been so for longer, which is no news
        served.clock.advance(100)
        served.turn()
    assert client.lines() == []


def test_changes_are_followed_by_those_who_ask_for_them(served: Served) -> None:
    client, mail = served.client(), served.runner.syncs[0]
    client.ask("subscribe")
    served.change(mail, b"/unseen")
    assert not [event for event in client.lines() if event["event"] == "change"]
    client.ask("subscribe", topics=["change"])
    served.change(mail, b"/\xff<b>", b"/d/", etype="Create")
    served.change(mail, b"/d/", etype="Delete")
    mail.change("Move", 0.0, b"/src/a", b"/src/b")
    mail.change("Move", 0.0, b"/src/b", b"/elsewhere")
    mail.change("Move", 0.0, b"/elsewhere", b"/src/c")
    heard = client.lines()
    assert [(event["etype"], event["path"], event["path2"]) for event in heard] == [
        ("Create", "/\\xff<b>", None), ("Create", "/d/", None), ("Delete", "/d/", None), ("Move", "/a", "/b"),
        ("Delete", "/b", None), ("Create", "/c", None),
    ]  # fmt: skip


def test_the_log_is_followed_by_those_who_ask_for_it(served: Served) -> None:
    client = served.client()
    served.log("Normal", "before")
    client.ask("subscribe", topics=["log"])
    served.log("Normal", "one")
    thread = threading.Thread(target=served.log, args=("Warn", "two"))
    thread.start()
    thread.join()
    assert [(event["category"], event["text"]) for event in client.lines()] == [("Normal", "one"), ("Warn", "two")]
    for number in range(logtail.MOST + 7):
        served.log("Normal", f"{number}")
    assert [event["text"] for event in client.lines()] == [f"{number}" for number in range(logtail.MOST)]
    served.log("Normal", "last")
    assert [event.get("count", event.get("text")) for event in client.lines()] == [7, "last"]
    client.ask("unsubscribe")
    served.log("Normal", "after")
    assert client.lines() == []


def test_detail_of_what_waits(served: Served) -> None:
    client, mail = served.client(), served.runner.syncs[0]
    served.change(mail, b"/a")
    served.clock.advance(3)
    served.change(mail, b"/b\x80")
    detail = client.ask("detail", sync="mail")["result"]
    assert detail["sync"] == client.ask("status")["result"]["syncs"][0]
    assert detail["paths"] == [
        {"etype": "Modify", "path": "/a", "path2": None, "age": 3.0, "status": "wait"},
        {"etype": "Modify", "path": "/b\\x80", "path2": None, "age": 0.0, "status": "wait"},
    ]
    assert detail["recent"] == []
    assert len(client.ask("detail", sync="mail", limit=1)["result"]["paths"]) == 1
    assert client.ask("detail", sync="mail", limit=0)["result"]["paths"] == []
    assert (
        error(client.ask("detail", sync="mail", limit=-1))[1] == 'the argument "limit" is a whole number of at least 0'
    )


def test_the_last_events_come_before_the_end(served: Served) -> None:
    client = served.client()
    client.ask("subscribe", topics=["ending"])
    served.server.ending("for a test")
    served.server.close()
    assert [event["reason"] for event in client.lines()] == ["for a test"]


def test_passwords_are_masked_in_names(tmp_path: Path) -> None:
    served = Served(tmp_path / "socket", ["rsync://u:pa55@h/m"])
    client = served.client()
    client.ask("subscribe", syncs=["rsync://u:*@h/m"])
    served.feed.tell("ended", "rsync://u:pa55@h/m")
    assert client.lines()[0]["sync"] == "rsync://u:***@h/m"
    assert "pa55" not in error(client.ask("status", syncs=["x"]))[1]
    served.close()
