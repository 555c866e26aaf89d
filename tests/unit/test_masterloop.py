"""The loop: what is called, in which order, and how long it sleeps."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.masterloop import SHARE, Loop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            pass


def test_reader_is_called_when_there_is_something_to_read(loop: Loop, pipe: tuple[int, int]) -> None:
    read, write = pipe
    got: list[bytes] = []
    loop.add_reader(read, lambda: got.append(os.read(read, 10)))
    loop.turn(0)
    assert got == []
    os.write(write, b"x")
    loop.turn(None)
    assert got == [b"x"]


def test_reader_hears_of_the_end(loop: Loop, pipe: tuple[int, int]) -> None:
    read, write = pipe
    got: list[bytes] = []
    loop.add_reader(read, lambda: got.append(os.read(read, 10)))
    os.close(write)
    loop.turn(None)
    assert got == [b""]


def test_writer_hears_of_a_broken_pipe(loop: Loop, pipe: tuple[int, int]) -> None:
    read, write = pipe
    got: list[str] = []
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 65536)
        except BlockingIOError:
            break
    loop.add_writer(write, lambda: got.append("writable"))
    loop.turn(0)
    assert got == []
    os.close(read)
    loop.turn(None)
    assert got == ["writable"]


def test_one_descriptor_both_ways_and_removed_one_by_one(loop: Loop, tmp_path: os.PathLike[str]) -> None:
    fd = os.open(os.path.join(tmp_path, "f"), os.O_RDWR | os.O_CREAT)  # a regular file is always ready
    got: list[str] = []
    loop.add_reader(fd, lambda: got.append("r"))
    loop.add_writer(fd, lambda: got.append("w"))
    loop.turn(None)
    loop.remove_reader(fd)
    loop.turn(None)
    loop.remove_writer(fd)
    loop.remove_writer(fd)
    loop.turn(0)
    os.close(fd)
    assert got == ["r", "w", "w"]


def test_callback_removed_by_an_earlier_one_of_the_turn_is_not_called(loop: Loop, pipe: tuple[int, int]) -> None:
    read, write = pipe
    got: list[str] = []
    other_read, other_write = os.pipe()

    def first() -> None:
        got.append("first")
        loop.remove_reader(other_read)

    loop.add_reader(read, first)
    loop.add_reader(other_read, lambda: got.append("second"))
    os.write(write, b"x")
    os.write(other_write, b"x")
    loop.turn(None)
    os.close(other_read)
    os.close(other_write)
    assert got == ["first"]


def test_order_within_a_turn(loop: Loop, pipe: tuple[int, int]) -> None:
    read, write = pipe
    got: list[str] = []
    loop.on_signal(signal.SIGHUP, lambda: got.append("HUP"))
    loop.on_signal(signal.SIGTERM, lambda: got.append("TERM"))
    loop.on_signal(signal.SIGCHLD, lambda: got.append("CHLD"))

    def readable() -> None:
        got.append("fd")
        loop.soon(lambda: got.append("soon 2"))

    loop.add_reader(read, readable)
    loop.soon(lambda: got.append("soon 1"))
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGTERM):
        os.kill(os.getpid(), signum)
    os.write(write, b"x")
    loop.turn(None)
    assert got == ["fd", "CHLD", "TERM", "HUP", "soon 1", "soon 2"]


def test_signal_wakes_a_loop_that_sleeps_for_ever(loop: Loop) -> None:
    got: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: got.append("USR1"))
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    loop.turn(None)
    timer.join()
    assert got == ["USR1"]


def test_signals_are_not_lost_when_the_pipe_is_full(loop: Loop) -> None:
    got: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: got.append("USR1"))
    loop.on_signal(signal.SIGUSR2, lambda: got.append("USR2"))
    for _ in range(70_000):  # a pipe holds 65,536
        loop.soon_threadsafe(lambda: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    loop.turn(None)
    assert got == ["USR1", "USR2"]


def test_signal_during_its_own_callback_comes_again(loop: Loop) -> None:
    got: list[int] = []

    def once_more() -> None:
        got.append(1)
        if len(got) == 1:
            os.kill(os.getpid(), signal.SIGUSR1)

    loop.on_signal(signal.SIGUSR1, once_more)
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.turn(None)
    loop.turn(0)
    assert len(got) == 2


def test_soon_keeps_the_turn_from_sleeping(loop: Loop) -> None:
    got: list[int] = []
    loop.soon(lambda: got.append(1))
    loop.turn(None)
    assert got == [1]


def test_soon_that_puts_down_another_does_not_keep_the_turn_from_ending(loop: Loop) -> None:
    got: list[int] = []

    def again() -> None:
        got.append(1)
        loop.soon(again)

    loop.soon(again)
    loop.turn(None)
    loop.turn(None)
    assert got == [1, 1]


def test_soon_threadsafe_wakes_the_loop(loop: Loop) -> None:
    main = threading.get_ident()
    got: list[int] = []
    thread = threading.Timer(0.05, loop.soon_threadsafe, (lambda: got.append(threading.get_ident()),))
    thread.start()
    loop.turn(None)
    thread.join()
    assert got == [main]


def test_what_an_exception_kept_from_being_called_comes_in_the_next_turn(loop: Loop) -> None:
    got: list[int] = []
    loop.on_signal(signal.SIGUSR1, lambda: got.append(1))
    loop.on_signal(signal.SIGCHLD, lambda: 1 // 0)  # type: ignore[arg-type]
    os.kill(os.getpid(), signal.SIGCHLD)
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(ZeroDivisionError):
        loop.turn(None)
    loop.turn(None)
    assert got == [1]


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, float("nan"), 10**12])
def test_any_timeout_is_taken(loop: Loop, timeout: float) -> None:
    got: list[int] = []
    timer = threading.Timer(0.02, loop.soon_threadsafe, (lambda: got.append(1),))
    timer.start()
    loop.turn(timeout)
    timer.join()
    assert got == [1]


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("-inf")])
def test_a_timeout_that_is_over_does_not_sleep(loop: Loop, timeout: float) -> None:
    loop.turn(timeout)


def test_a_timeout_is_kept_to_the_millisecond(loop: Loop) -> None:
    before = time.monotonic()
    loop.turn(0.012)
    assert time.monotonic() - before >= 0.012


def test_idle_costs_nothing(loop: Loop) -> None:
    """Half a second without a timeout: one sleep and one wake-up. By a process: a thread has the interpreter's lock."""
    with subprocess.Popen(["sleep", "0.5"], stdout=subprocess.PIPE) as waking:
        assert waking.stdout is not None
        loop.add_reader(waking.stdout.fileno(), lambda: None)
        before = resource.getrusage(resource.RUSAGE_THREAD)
        loop.turn(None)
        after = resource.getrusage(resource.RUSAGE_THREAD)
        loop.remove_reader(waking.stdout.fileno())
    assert after.ru_nvcsw - before.ru_nvcsw <= 3


def test_close_gives_everything_back() -> None:
    def mine(signum: int, frame: object) -> None: ...

    old = signal.signal(signal.SIGUSR1, mine)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    fds = len(os.listdir("/proc/self/fd"))
    try:
        loop = Loop()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
        loop.on_signal(signal.SIGUSR1, lambda: None)
        loop.close()
        assert signal.getsignal(signal.SIGUSR1) is mine
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGUSR2}
        assert signal.set_wakeup_fd(-1) == -1
        assert len(os.listdir("/proc/self/fd")) == fds
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, old)


def test_children_of_a_loop_have_no_blocked_signals() -> None:
    """Even where whoever started us had blocked some."""
    script = """
import signal, subprocess, sys
from orchestrator.masterloop import SHARE, Loop
loop = Loop()
print(subprocess.run(["grep", "SigBlk", "/proc/self/status"], capture_output=True, text=True).stdout, end="")
loop.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", f"import signal, os\nsignal.pthread_sigmask(signal.SIG_BLOCK, {{15, 17}})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.split()[1], 16) == 0


# -- other threads


def test_other_threads_let_the_loop_finish_its_turn(loop: Loop) -> None:
    order: list[str] = []
    about_to = threading.Event()

    def work() -> None:
        about_to.set()
        loop.yield_turn(patience=60)
        order.append("job")

    thread = threading.Thread(target=work)

    def turn() -> None:
        thread.start()
        about_to.wait(20)
        for _ in range(100):
            os.sched_yield()
        order.append("loop")

    loop.soon(turn)
    loop.turn(0)
    while thread.is_alive():
        loop.turn(0.01)
    assert order == ["loop", "job"]


def test_a_loop_that_never_rests_leaves_time_to_others(loop: Loop) -> None:
    done: list[int] = []

    def work() -> None:
        for number in range(SHARE + 1):
            loop.yield_turn(patience=0.001)
            done.append(number)

    thread = threading.Thread(target=work)

    def turn() -> None:
        thread.start()
        thread.join(20)
        assert not thread.is_alive()

    loop.soon(turn)
    loop.turn(0)
    assert len(done) == SHARE + 1


def test_the_loop_does_not_wait_for_itself(loop: Loop) -> None:
    begun = time.monotonic()
    loop.yield_turn(patience=60)
    assert time.monotonic() - begun < 30


def test_nobody_waits_for_a_loop_that_is_closed() -> None:
    loop = Loop()
    loop.close()
    thread = threading.Thread(target=loop.yield_turn, args=(60,))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
