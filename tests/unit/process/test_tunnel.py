"""Tunnels: when their processes start, count as up, are given up; which of them a transfer takes (spec 4.6)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.log import Log
from orchestrator.logic.alarms import Alarms
from orchestrator.logic.tunnel import TunnelOptions, TunnelState, fill
from orchestrator.masterloop import Loop
from orchestrator.process.processes import Processes
from orchestrator.process.tunnel import Tunnel, free_port
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SLEEP = (b"sleep", b"1000")


class World:
    """Real processes, in a time that only moves when told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.alarms = Alarms()
        self.loop = Loop()
        self.log = Log(self.clock)
        self.log.enable("Tunnel")
        self.processes = Processes(self.loop, self.log, self.clock)
        self.tunnels: list[Tunnel] = []

    def tunnel(self, *command: bytes, **options: Any) -> Tunnel:
        made = TunnelOptions("T", command, **options)
        self.tunnels.append(Tunnel(made, self.processes, self.clock, self.alarms, self.log))
        return self.tunnels[-1]

    def pass_time(self, seconds: float = 0.0) -> None:
        """Let that much time go by, and do what is due then."""
        self.clock.advance(seconds)
        while (callback := self.alarms.pop_due(self.clock.now())) is not None:
            callback()

    def turn_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            self.loop.turn(0.05)

    def close(self) -> None:
        for tunnel in self.tunnels:
            tunnel.close()
        self.turn_until(lambda: not self.processes.helpers())
        self.processes.close()
        self.log.close()
        self.loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def pids(tunnel: Tunnel) -> list[int]:
    return [running.pid for running in tunnel.running() if running.kind == "tunnel"]


def lines(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


# -- coming up


def test_it_is_up_when_it_has_lived_for_the_ready_delay(world: World) -> None:
    tunnel = world.tunnel(*SLEEP, ready_delay=5)
    told: list[str] = []
    tunnel.when_up(lambda: told.append("up"))
    tunnel.start()
    assert tunnel.status is TunnelState.CONNECTING
    world.pass_time(4.9)
    assert not tunnel.is_up
    assert tunnel.through([b"x"], []) is None
    world.pass_time(0.1)
    assert tunnel.is_up
    assert told == ["up"]
    assert world.alarms.next() is None, "nothing to wake up for while it works"


def test_without_a_ready_delay_it_is_up_at_once(world: World) -> None:
    tunnel = world.tunnel(*SLEEP, ready_delay=0)
    tunnel.start()
    world.pass_time()
    assert tunnel.is_up


def test_state_changes_are_reported(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    tunnel = world.tunnel(*SLEEP)
    tunnel.start()
    world.pass_time(5)
    (pid,) = pids(tunnel)
    assert lines(capfd.readouterr().err, "Tunnel:") == [
        f"Tunnel: T: process {pid} started",
        f"Tunnel: T: process {pid} is CONNECTING",
        "Tunnel: T is CONNECTING",
        f"Tunnel: T: process {pid} is UP",
        "Tunnel: T is UP",
    ]


def test_its_processes_count_as_no_transfers(world: World) -> None:
    tunnel = world.tunnel(*SLEEP, parallel=2)
    tunnel.start()
    assert len(world.processes) == 0
    assert list(world.processes) == []
    assert len(world.processes.helpers()) == 2


def test_ctrl_c_at_the_terminal_does_not_reach_it(world: World) -> None:
    tunnel = world.tunnel(*SLEEP)
    tunnel.start()
    (pid,) = pids(tunnel)
    assert os.getpgid(pid) == os.getsid(pid) == pid


def test_what_runs_is_reported_with_its_start(world: World) -> None:
    tunnel = world.tunnel(*SLEEP)
    tunnel.start()
    started = world.clock.wall()
    world.pass_time(60)
    ((pid, kind, told),) = tunnel.running()
    assert os.path.exists(f"/proc/{pid}")
    assert kind == "tunnel"
    assert told == pytest.approx(started)


# -- dying


def test_one_that_had_been_up_is_started_again_at_once(world: World) -> None:
    tunnel = world.tunnel(*SLEEP, ready_delay=5, retry_delay=10)
    tunnel.start()
    world.pass_time(5)
    (first,) = pids(tunnel)
    os.kill(first, signal.SIGKILL)
    world.turn_until(lambda: not pids(tunnel))
    assert tunnel.status is TunnelState.DOWN
    world.pass_time()
    assert pids(tunnel) not in ([], [first])
    assert not tunnel.is_up, "it has to live for the ready delay again"
    world.pass_time(5)
    assert tunnel.is_up


def test_one_that_never_came_up_is_started_again_after_the_retry_delay(world: World) -> None:
    tunnel = world.tunnel(b"false", ready_delay=5, retry_delay=10)
    tunnel.start()
    world.turn_until(lambda: tunnel.status is TunnelState.DOWN)
    world.pass_time(9.9)
    assert not pids(tunnel)
    world.pass_time(0.1)
    assert tunnel.status is TunnelState.CONNECTING


def test_what_cannot_be_executed_is_tried_again(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    tunnel = world.tunnel(b"/nonexistent/tunnel")
    tunnel.start()
    world.turn_until(lambda: tunnel.status is TunnelState.DOWN)
    assert "Failed executing [ /nonexistent/tunnel ]!" in capfd.readouterr().err
    assert world.alarms.next() is not None


@pytest.mark.parametrize("ready_delay", [0.0, 5.0])
def test_a_command_that_cannot_work_is_not_started_in_a_loop(world: World, ready_delay: float) -> None:
    tunnel = world.tunnel(b"false", ready_delay=ready_delay, retry_delay=0)
    tunnel.start()
    world.pass_time()
    world.turn_until(lambda: not world.processes.helpers())
    world.pass_time()
    assert tunnel.status is TunnelState.DOWN
    alarm = world.alarms.next()
    assert alarm is not None
    assert alarm > world.clock.now()


def test_a_row_of_failures_is_warned_of_once(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    tunnel = world.tunnel(b"false")
    tunnel.start()
    for _ in range(4):
        world.turn_until(lambda: tunnel.status is TunnelState.DOWN)
        world.pass_time(10)
    warned = lines(capfd.readouterr().err, "Warn:")
    assert len(warned) == 1
    assert "ended with exit code 1, starting it again in 10 seconds." in warned[0]


def test_an_end_after_a_good_time_is_news_each_time(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    tunnel = world.tunnel(*SLEEP)
    tunnel.start()
    for _ in range(2):
        world.pass_time(5)
        os.kill(pids(tunnel)[0], signal.SIGKILL)
        world.turn_until(lambda: not pids(tunnel))
        world.pass_time()
    warned = lines(capfd.readouterr().err, "Warn:")
    assert len(warned) == 2
    assert all("ended with exit code 137, starting it again now." in line for line in warned)


# -- several


def test_so_many_are_kept_running(world: World) -> None:
    tunnel = world.tunnel(*SLEEP, parallel=3)
    tunnel.start()
    world.pass_time(5)
    assert len(pids(tunnel)) == 3
    os.kill(pids(tunnel)[1], signal.SIGKILL)
    world.turn_until(lambda: len(pids(tunnel)) == 2)
    assert tunnel.is_up, "two are"
    world.pass_time()
    assert len(pids(tunnel)) == 3


def test_each_of_a_pool_has_a_port_and_they_are_taken_in_turn(world: World) -> None:
    tunnel = world.tunnel(b"sh", b"-c", b"sleep 1000; : ^localport", mode="pool", parallel=3)
    tunnel.start()
    world.pass_time(5)
    taken = [tunnel.through([b"rsync://^localhost:^localport/m"], []) for _ in range(6)]
    assert len({tuple(argv or ()) for argv in taken}) == 3
    assert taken[:3] == taken[3:]

    def commands_of() -> list[bytes]:
        return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids(tunnel)]

    # for a moment after its start a process has no command line
    world.turn_until(lambda: all(commands_of()))
    commands = commands_of()
    ports = [command.rstrip(b"\0").rpartition(b": ")[2] for command in commands]
    assert taken[:3] == [[b"rsync://localhost:" + port + b"/m"] for port in ports]


def test_those_that_are_not_up_are_passed_over(world: World) -> None:
    tunnel = world.tunnel(b"sh", b"-c", b"exec sleep 1000 # ^localport", mode="pool", parallel=2)
    tunnel.start()
    world.pass_time(5)
    before = [tunnel.through([b"^localport"], []) for _ in range(2)]
    os.kill(pids(tunnel)[0], signal.SIGKILL)
    world.turn_until(lambda: len(pids(tunnel)) == 1)
    world.pass_time()
    assert [tunnel.through([b"^localport"], []) for _ in range(2)] == [before[1], before[1]]


# -- the check


def test_with_a_check_it_is_up_when_that_says_so(world: World, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    tunnel = world.tunnel(*SLEEP, ready_delay=5, check_command=(b"test", b"-e", os.fsencode(flag)))
    tunnel.start()
    world.pass_time(5)
    assert tunnel.status is TunnelState.CHECKING
    assert {running.kind for running in tunnel.running()} == {"tunnel", "check"}
    world.turn_until(lambda: tunnel.status is not TunnelState.CHECKING)
    assert tunnel.status is TunnelState.CONNECTING
    flag.touch()
    world.pass_time(5)
    world.turn_until(lambda: tunnel.status is not TunnelState.CHECKING)
    assert tunnel.is_up


def test_the_check_knows_the_port_and_its_own_good_exit_codes(world: World, tmp_path: Path) -> None:
    told = tmp_path / "told"
    tunnel = world.tunnel(
        *(b"sh", b"-c", b"exec sleep 1000 # ^localport"),
        check_command=(b"sh", b"-c", b'echo "$1" >"$2"; exit 7', b"sh", b"^localhost:^localport", os.fsencode(told)),
        check_exit_codes=frozenset({7}),
        localhost=b"127.0.0.1",
    )
    tunnel.start()
    world.pass_time(5)
    world.turn_until(lambda: tunnel.is_up)
    assert [told.read_bytes().strip()] == tunnel.through([b"^localhost:^localport"], [])


def test_failed_too_often_the_process_is_ended_and_started_again(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    tunnel = world.tunnel(*SLEEP, ready_delay=5, retry_delay=10, check_command=(b"false",), check_max_failed=3)
    tunnel.start()
    (first,) = pids(tunnel)
    for _ in range(3):
        world.pass_time(5)
        assert tunnel.status is TunnelState.CHECKING
        world.turn_until(lambda: tunnel.status is not TunnelState.CHECKING)
    world.turn_until(lambda: tunnel.status is TunnelState.DOWN)
    assert not os.path.exists(f"/proc/{first}")
    assert f"the check ended with exit code 1, ending process {first}." in capfd.readouterr().err
    world.pass_time(10)
    assert pids(tunnel) not in ([], [first])


def test_one_that_does_not_end_is_killed(world: World, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = b'trap "" TERM; : >"$1"; while :; do sleep 0.05; done'
    tunnel = world.tunnel(
        *(b"sh", b"-c", stubborn, b"sh", os.fsencode(ready)), check_command=(b"false",), check_max_failed=1
    )
    tunnel.start()
    world.turn_until(ready.exists)
    world.pass_time(5)
    world.turn_until(lambda: tunnel.status is TunnelState.ENDING)
    world.pass_time(5)
    world.turn_until(lambda: tunnel.status is TunnelState.DOWN)


def test_a_check_that_is_late_says_nothing_of_the_next_process(world: World) -> None:
    tunnel = world.tunnel(*SLEEP, check_command=SLEEP)
    tunnel.start()
    world.pass_time(5)
    assert tunnel.status is TunnelState.CHECKING
    os.kill(pids(tunnel)[0], signal.SIGKILL)
    world.turn_until(lambda: not tunnel.running() and not world.processes.helpers())
    world.pass_time(10)
    assert tunnel.status is TunnelState.CONNECTING


# -- the end


def test_closed_it_ends_with_all_it_has_started_and_stays_so(world: World, tmp_path: Path) -> None:
    child = tmp_path / "child"
    tunnel = world.tunnel(b"sh", b"-c", b'sleep 1000 & echo $! >"$1"; wait', b"sh", os.fsencode(child))
    tunnel.start()
    world.turn_until(lambda: child.exists() and child.read_text().strip())
    grandchild = child.read_text().strip()
    tunnel.close()
    world.turn_until(lambda: not world.processes.helpers())
    world.turn_until(lambda: not is_running(grandchild))
    world.pass_time(100)
    assert not tunnel.running()


def is_running(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- what is replaced


@pytest.mark.parametrize(
    ("argument", "names", "filled"),
    [
        (b"rsync://^localhost:^localport/m/", [], b"rsync://here:42/m/"),
        (b"--rsh=ssh -p ^localport", [b"/a"], b"--rsh=ssh -p 42"),
        (b"^local ^localpath", [], b"^local ^localpath"),
        # a file that is called like that
        (b"/src//^localport", [b"/^localport"], b"/src//^localport"),
        (b"^localport", [b"/^localport"], b"^localport"),
        (b"^localhost:/trg/d/^localport", [b"/d/^localport"], b"here:/trg/d/^localport"),
        (b"^localhost:/trg/^localport/", [b"/^localport/f"], b"here:/trg/^localport/"),
        (b"'/trg/^localport'", [b"/^localport"], b"'/trg/^localport'"),
        (b"rsync://^localhost:^localport/m/", [b"/^localport"], b"rsync://here:42/m/"),
    ],
)
def test_placeholders(argument: bytes, names: list[bytes], filled: bytes) -> None:
    assert fill([argument], b"here", 42, names) == [filled]


def test_a_free_port_is_none_of_those_that_are_taken() -> None:
    ports: set[int] = set()
    for _ in range(20):
        port = free_port(ports)
        assert 0 < port < 65536
        ports.add(port)
    assert len(ports) == 20
