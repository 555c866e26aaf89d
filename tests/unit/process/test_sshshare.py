"""Shared ssh connections (orchestrator/process/sshshare.py): the sockets are real, the programs are not."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.alarms import Alarms
from orchestrator.process import sshshare
from orchestrator.process.dry import DryProcesses, Started
from orchestrator.process.privatedir import make_private_directory
from orchestrator.process.sshshare import FIRST_PAUSE, GRACE, MOST, PATIENCE, SshConnection, SshConnections
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.log import FakeLog
from orchestrator.testing.loop import FakeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

SSH = ("ssh", "-p", "2222")
IDLE = 60.0
BROKEN = 255


class World:
    """`now(seconds)` lets time pass, and does what is due."""

    def __init__(self) -> None:
        self.clock, self.log = FakeClock(), FakeLog(shown=None)
        self.processes = DryProcesses(FakeLoop(self.clock), self.log, self.clock)
        self.alarms, self.deadlines = Alarms(), Alarms()
        self.all = SshConnections(self.processes, self.clock, self.alarms, self.deadlines, self.log)
        self.listening: list[socket.socket] = []

    def share(self, host: str = "h", command: tuple[str, ...] = SSH) -> SshConnection:
        connection = self.all.share(command, host, IDLE)
        assert connection is not None
        return connection

    def masters(self) -> list[Started]:
        return self.processes.running()

    def listen(self, connection: SshConnection) -> socket.socket:
        """The connection is open."""
        server = socket.socket(socket.AF_UNIX)
        server.bind(connection.path)
        server.listen()
        self.listening.append(server)
        return server

    def answer(self, server: socket.socket) -> None:
        """As ssh does to whoever connects."""
        asking = server.accept()[0]
        self.listening.append(asking)
        asking.send(b"\0\0\0\x08\0\0\0\x01\0\0\0\x04")

    def advance(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while (soonest := min(self.alarms.soonest, self.deadlines.soonest)) <= end:
            self.clock.advance(max(0.0, soonest - self.clock.now()))
            for alarms in (self.alarms, self.deadlines):
                while (callback := alarms.pop_due(self.clock.now())) is not None:
                    callback()
        self.clock.advance(end - self.clock.now())

    def warnings(self) -> list[str]:
        return [text for category, text in self.log.lines if category == "Warn"]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.all.close()
    for server in world.listening:
        server.close()


def test_one_connection_serves_all_who_log_in_in_the_same_way(world: World) -> None:
    first = world.share()
    assert world.share() is first
    assert len(world.masters()) == 1
    argv = list(map(os.fsdecode, world.masters()[0].child.argv))
    assert argv[:4] == [*SSH, "-N"]
    assert argv[-1] == "h"
    assert "ControlMaster=yes" in argv
    assert f"ControlPath={first.path}" in argv
    assert first.options == ("-o", "ControlMaster=no", "-o", f"ControlPath={first.path}")
    others = [world.share("u@h"), world.share(command=("ssh", "-p", "23")), world.share(command=("ssh",))]
    assert len({first.path, *(other.path for other in others)}) == 4


def test_its_socket_lies_where_nobody_else_comes(world: World) -> None:
    directory = os.path.dirname(world.share().path)
    status = os.stat(directory)
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, os.geteuid())
    world.all.close()
    assert not os.path.exists(directory)


def test_the_path_fits_with_what_ssh_adds_to_it(world: World) -> None:
    world.listen(world.share()).close()
    assert len(world.share().path) + len(".1234567890123456") <= 107


def test_it_ends_when_it_was_not_used_for_long_enough(world: World) -> None:
    connection = world.share()
    world.listen(connection)
    use = connection.begin()
    world.answer(world.listening[0])
    world.advance(10 * IDLE)
    assert not world.processes.signals, "it is in use"
    use.end(0)
    world.advance(IDLE - 1)
    second = world.share().begin()
    world.advance(2)
    second.end(0)
    world.advance(IDLE - 1)
    assert not world.processes.signals
    child = world.masters()[0].child
    world.advance(1)
    assert world.processes.signals == [(child, signal.SIGTERM)]
    assert not os.path.exists(connection.path)
    world.processes.end(world.masters()[0], BROKEN)
    assert world.warnings() == [], "it was told to"
    world.share()
    assert len(world.masters()) == 1, "opened anew"


def test_one_that_nobody_ever_used_ends_too(world: World) -> None:
    world.share()
    world.advance(IDLE)
    assert world.processes.signals


def test_one_that_does_not_answer_is_killed(world: World) -> None:
    connection = world.share()
    world.listen(connection)
    child = world.masters()[0].child
    use = connection.begin()
    world.advance(PATIENCE - 0.1)
    assert not world.processes.signals
    world.advance(0.1)
    assert world.processes.signals == [(child, signal.SIGKILL)]
    assert use.end(BROKEN), "to be started again"
    assert len(world.warnings()) == 1
    assert "does not answer" in world.warnings()[0]


def test_one_that_answers_each_time_is_left_alone(world: World) -> None:
    connection = world.share()
    server = world.listen(connection)
    uses = []
    for _number in range(3):
        uses.append(connection.begin())
        world.answer(server)
        world.advance(PATIENCE - 1)
    world.advance(10 * PATIENCE)
    assert not world.processes.signals
    connection.begin()
    world.advance(PATIENCE)
    assert world.processes.signals, "the fourth had no answer"


def test_whoever_has_ended_waits_for_no_answer(world: World) -> None:
    connection = world.share()
    world.listen(connection)
    connection.begin().end(0)
    world.advance(2 * PATIENCE)
    assert not world.processes.signals


@pytest.mark.parametrize("is_known", [True, False])
def test_a_transfer_that_ended_with_its_connection_is_tried_again_without_it(world: World, is_known: bool) -> None:
    """`is_known`: that the connection has ended is known first."""
    connection = world.share()
    server = world.listen(connection)
    use = connection.begin()
    server.close()
    if is_known:
        world.processes.end(world.masters()[0], BROKEN, b"Timeout, server h not responding.\n")
    assert use.end(12)
    assert len(world.warnings()) == 1
    assert ("not responding" in world.warnings()[0]) == is_known
    assert world.all.share(SSH, "h", IDLE) is None
    world.advance(FIRST_PAUSE)
    assert world.share() is connection
    assert not connection.begin().end(BROKEN), "by itself: nobody listens yet"


@pytest.mark.parametrize("exit_code", [0, 11, 23, 137])
def test_another_end_is_none_of_the_connection(world: World, exit_code: int) -> None:
    connection = world.share()
    server = world.listen(connection)
    use = connection.begin()
    server.close()
    assert not use.end(exit_code)


def test_what_the_other_side_has_broken_off_is_none_of_the_connection(world: World) -> None:
    connection = world.share()
    world.listen(connection)
    assert not connection.begin().end(12)
    assert not world.processes.signals


def test_one_that_fails_again_and_again_says_so_once(world: World) -> None:
    pauses = []
    for _try in range(4):
        world.share()
        world.processes.end(world.masters()[0], BROKEN, b"Connection refused\n")
        began = world.clock.now()
        while world.all.share(SSH, "h", IDLE) is None:
            world.advance(1)
        pauses.append(world.clock.now() - began)
        world.processes.end(world.masters()[0], BROKEN)
        world.advance(1000)
    assert pauses == sorted(pauses)
    assert pauses[0] == FIRST_PAUSE
    assert pauses[1] > FIRST_PAUSE
    assert len(world.warnings()) == 1


def test_one_that_hangs_each_time_is_tried_less_and_less(world: World) -> None:
    for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE):
        connection = world.share()
        server = world.listen(connection)
        use = connection.begin()
        world.advance(PATIENCE)
        use.end(BROKEN)
        server.close()
        assert world.all.share(SSH, "h", IDLE) is None
        world.advance(pause - 0.1)
        assert world.all.share(SSH, "h", IDLE) is None
        world.advance(0.1)
    assert len(world.warnings()) == 1


def test_after_a_success_the_next_failure_is_news(world: World) -> None:
    for _time in range(2):
        connection = world.share()
        server = world.listen(connection)
        assert not connection.begin().end(0)
        server.close()
        world.processes.end(world.masters()[0], BROKEN)
        world.advance(FIRST_PAUSE)
    assert len(world.warnings()) == 2


def test_no_more_use_it_than_a_server_lets(world: World) -> None:
    uses = [world.share().begin() for _number in range(MOST)]
    assert world.all.share(SSH, "h", IDLE) is None
    uses[0].end(0)
    assert world.all.share(SSH, "h", IDLE) is not None


def test_a_reload_closes_what_is_not_asked_for_any_more(world: World) -> None:
    kept, gone, busy = world.share("kept"), world.share("gone"), world.share("busy")
    use = busy.begin()
    children = [master.child for master in world.masters()]
    world.all.renew()
    world.advance(GRACE / 2)
    assert not world.processes.signals
    assert world.share("kept") is kept
    world.advance(GRACE / 2)
    assert world.processes.signals == [(children[1], signal.SIGTERM)]
    assert gone.child is None
    use.end(0)
    world.advance(GRACE)
    assert world.processes.signals[1:] == [(children[2], signal.SIGTERM)]
    world.advance(IDLE)
    assert len(world.processes.signals) == 3, "the one that is kept ends when it is not used"


def test_the_end_of_all(world: World) -> None:
    child = (world.share(), world.masters()[0].child)[1]
    world.all.close()
    assert world.processes.signals == [(child, signal.SIGTERM)]
    assert world.all.share(SSH, "h", IDLE) is None


def test_the_status_tells_of_them(world: World) -> None:
    use = world.share().begin()
    assert [(report.host, report.transfers) for report in world.all.report()] == [("h", 1)]
    use.end(0)
    world.all.close()
    assert world.all.report() == [sshshare.SshReport("h", None, 0)]


# ---- the directory ------------------------------------------------------------------------------


def made_in(*places: Path, longest: int = 1000) -> Path | None:
    made = make_private_directory(longest, list(map(str, places)))
    return None if made is None else Path(made).parent


def test_a_directory_that_others_may_change_is_no_place(tmp_path: Path) -> None:
    others, below, sticky = tmp_path / "others", tmp_path / "others/below", tmp_path / "sticky"
    below.mkdir(parents=True)
    sticky.mkdir()
    others.chmod(0o777)
    sticky.chmod(0o1777)
    assert made_in(others) is None
    assert made_in(below) is None, "it could be renamed"
    assert made_in(others, sticky) == sticky
    link = tmp_path / "link"
    link.symlink_to(others)
    assert made_in(link) is None
    if os.geteuid() == 0:
        sticky.chmod(0o700)
        os.chown(sticky, 1, 1)
        assert made_in(sticky) is None, "somebody else's"


def test_a_place_that_is_no_single_word_or_too_deep_is_passed_over(tmp_path: Path) -> None:
    blank = tmp_path / "a b%h"
    blank.mkdir()
    assert made_in(blank, tmp_path / "missing", tmp_path) == tmp_path
    fits = len(str(tmp_path)) + len("/lsyncd-12345678")
    assert made_in(tmp_path, longest=fits) == tmp_path
    assert made_in(tmp_path, longest=fits - 1) is None


def test_without_a_place_nothing_is_shared_and_one_line_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshshare, "LONGEST_SOCKET", 30)
    assert [world.all.share(SSH, host, IDLE) for host in ("h", "i")] == [None, None]
    assert len(world.warnings()) == 1
    assert world.masters() == []
