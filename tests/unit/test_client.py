"""Which daemon is asked, where several run, or none that may be."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.control.client import connect, reach
from orchestrator.control.exits import NO_DAEMON, WRONG_CALL, Refused
from orchestrator.requests import place
from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of sockets."""
    monkeypatch.setattr(place, "RUN", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "lsyncd").mkdir(mode=0o755)
    return tmp_path / "lsyncd"


@contextmanager
def daemon(path: Path, *lines: bytes) -> Iterator[None]:
    """Greets whoever connects, says these lines to the one who sends something, and hangs up."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(30)

        def serve() -> None:
            while not is_over.is_set():
                connection, _ = server.accept()
                with connection:
                    try:
                        connection.sendall(b'{"protocol": 1, "pid": %d, "may": "steer"}\n' % int(path.stem))
                        if connection.recv(1000):
                            connection.sendall(b"".join(line + b"\n" for line in lines))
                    except ConnectionError:
                        pass

        is_over = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
            thread.join()


def refusal(path: str | None = None, pid: int | None = None) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        reach(path, pid)
    return refused.value.status, str(refused.value)


def test_the_only_one_that_runs(run: Path) -> None:
    assert refusal() == (NO_DAEMON, "no daemon runs that has its socket at the usual place; --socket names another")
    with daemon(run / "31.sock"), reach() as found:
        assert found.greeting["pid"] == 31


def test_one_of_several_by_its_process_id(run: Path) -> None:
    with ExitStack() as daemons:
        for pid in (31, 4, 100):
            daemons.enter_context(daemon(run / f"{pid}.sock"))
        there_are = ", ".join(f"{pid} ({run}/{pid}.sock)" for pid in (4, 31, 100))
        assert refusal() == (WRONG_CALL, f"3 daemons run; choose one by --pid: {there_are}")
        with reach(pid=100) as found:
            assert found.greeting["pid"] == 100
        with reach(path=str(run / "4.sock")) as found:
            assert found.greeting["pid"] == 4
        code, words = refusal(pid=5)
        assert code == NO_DAEMON
        assert words.startswith("no daemon has the process id 5")


def test_those_that_may_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        missing("only root may be somebody else")
    with tempfile.TemporaryDirectory(dir="/tmp") as run:  # pytest's own directories are closed to others
        os.chmod(run, 0o755)
        os.mkdir(f"{run}/lsyncd", 0o755)
        monkeypatch.setattr(place, "RUN", run)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{run}/lsyncd/31.sock")
            os.chmod(f"{run}/lsyncd/31.sock", 0o600)
            server.listen()
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    os.setgroups([])
                    os.setgid(4713)
                    os.setuid(4713)
                    code = 0 if refusal()[1].startswith("no daemon runs that this user may ask: root may ask") else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_events_that_come_before_the_answer_are_kept(run: Path) -> None:
    lines = (b'{"event": "state", "n": 1}', b'{"id": 99, "result": {}}', b'{"id": 1, "result": {"n": 2}}',
             b'{"event": "state", "n": 3}', b'{"id": 7, "result": {}}', b'{"event": "ending"}')  # fmt: skip
    with daemon(run / "31.sock", *lines), reach() as found:
        assert found.ask("subscribe", topics=None) == {"n": 2}
        assert [event.get("n") for event in found.events()] == [1, 3, None]


@pytest.mark.parametrize(
    "line", [b"{}", b'{"id": 1}', b'{"id": 1, "result": 3}', b"[]", b"x", b'{"id": 1, "error": {}, "result'[:20]]
)
def test_an_answer_that_is_none(run: Path, line: bytes) -> None:
    with daemon(run / "31.sock", line), connect(str(run / "31.sock")) as found, pytest.raises(Refused) as refused:
        found.ask("status")
    assert refused.value.status == NO_DAEMON


def test_a_daemon_that_hangs_up_is_one_line(run: Path) -> None:
    with daemon(run / "31.sock"), reach() as found, pytest.raises(Refused, match="has hung up"):
        found.ask("status")
