"""Children and jobs: started, fed, collected (spec 3.6, 3.7, 5.2)."""

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

from orchestrator.log import Log
from orchestrator.logic.verdict import JobResult
from orchestrator.masterloop import Loop
from orchestrator.process.jobs import PooledJob, Stop
from orchestrator.process.processes import Processes
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.loop import FakeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.process.child import Child


class World:
    """A loop, a log and processes; `ends` in the order in which they were told."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.log = Log()
        self.processes = Processes(self.loop, self.log)
        self.ends: list[tuple[Child, int]] = []

    def on_exit(self, child: Child, code: int) -> None:
        self.ends.append((child, code))

    def run(
        self,
        *argv: bytes,
        stdin: bytes | None = None,
        stderr_tail: bool = False,
        on_stderr: Callable[[bytes], object] | None = None,
    ) -> tuple[Child, int]:
        self.processes.spawn(argv, stdin=stdin, on_exit=self.on_exit, stderr_tail=stderr_tail, on_stderr=on_stderr)
        self.turn_until_all_ended()
        return self.ends[-1]

    def turn_until_all_ended(self) -> None:
        deadline = time.monotonic() + 20
        while len(self.processes):
            self.loop.turn(deadline - time.monotonic())
            assert time.monotonic() < deadline

    @property
    def codes(self) -> list[int]:
        return [code for _, code in self.ends]

    def close(self) -> None:
        self.processes.close()
        self.log.close()
        self.loop.close()


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Fails on what is left open or running."""
    fds = set(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    world = World(getattr(request, "param", Loop)())
    yield world
    world.close()
    assert len(set(os.listdir("/proc/self/fd"))) == len(fds)
    assert threading.active_count() == threads


def shell(command: str) -> tuple[bytes, bytes, bytes]:
    return b"/bin/sh", b"-c", os.fsencode(command)


# -- ends


@pytest.mark.parametrize("code", [0, 1, 23, 255])
def test_exit_code(world: World, code: int) -> None:
    assert world.run(*shell(f"exit {code}"))[1] == code


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_killed_is_128_and_the_signal(world: World, signum: int) -> None:
    assert world.run(*shell(f"kill -{int(signum)} $$"))[1] == 128 + signum


def test_binary_is_looked_up_in_path(world: World) -> None:
    assert world.run(b"true")[1] == 0


def test_on_exit_is_never_called_before_spawn_returns(world: World) -> None:
    for argv in ((b"/bin/true",), (b"/nonexistent",)):
        world.processes.spawn(argv, on_exit=world.on_exit)
    assert world.ends == []
    assert len(world.processes) == 2
    world.turn_until_all_ended()
    assert sorted(world.codes) == [0, 255]


def test_a_child_counts_until_its_end_is_reported(world: World) -> None:
    lengths = []
    world.processes.spawn([b"true"], on_exit=lambda child, code: lengths.append(len(world.processes)))
    assert len(world.processes) == 1
    world.turn_until_all_ended()
    assert lengths == [0]


def test_known_by_pid_while_it_runs(world: World) -> None:
    child = world.processes.spawn(shell("exec sleep 60"), on_exit=world.on_exit)
    assert world.processes.get(child.pid) is child
    assert list(world.processes) == [child]
    world.processes.kill(child, signal.SIGTERM)
    world.turn_until_all_ended()
    assert world.processes.get(child.pid) is None
    world.processes.kill(child, signal.SIGKILL)  # ended: nobody else's process is hit
    assert world.codes == [128 + signal.SIGTERM]


def test_children_that_end_together_are_reported_in_the_order_they_were_started(world: World) -> None:
    children = [world.processes.spawn([b"true"], on_exit=world.on_exit) for _ in range(20)]
    for child in children:  # each is a zombie before the loop looks
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    world.turn_until_all_ended()
    assert [child for child, _ in world.ends] == children


def test_an_on_exit_that_raises_loses_no_other(world: World) -> None:
    def bad(child: Child, code: int) -> None:
        raise ZeroDivisionError

    children = [
        world.processes.spawn([b"true"], on_exit=on_exit) for on_exit in (bad, world.on_exit, bad, world.on_exit)
    ]
    for child in children:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            world.loop.turn(10)
    world.turn_until_all_ended()
    assert world.codes == [0, 0]


def test_on_exit_may_spawn(world: World) -> None:
    def again(child: Child, code: int) -> None:
        world.processes.spawn([b"false"], on_exit=world.on_exit)

    world.processes.spawn([b"true"], on_exit=again)
    world.turn_until_all_ended()
    assert world.codes == [1]


def test_children_that_others_started_are_left_to_them(world: World) -> None:
    """As with Lua's io.popen, whose close waits for its own child."""
    stranger = os.spawnv(os.P_NOWAIT, "/bin/sh", ["sh", "-c", "exit 7"])
    os.waitid(os.P_PID, stranger, os.WEXITED | os.WNOWAIT)
    assert world.run(*shell("exit 3"))[1] == 3
    assert os.waitstatus_to_exitcode(os.waitpid(stranger, 0)[1]) == 7


def test_os_system_gets_its_own_exit_code(world: World) -> None:
    """C's system, which Lua's os.execute calls, while a child of ours ends."""
    world.processes.spawn(shell("exit 3"), on_exit=world.on_exit)
    assert os.waitstatus_to_exitcode(os.system("sleep 0.1; exit 7")) == 7
    world.turn_until_all_ended()
    assert world.codes == [3]


def test_a_child_that_somebody_else_waited_for_is_no_success(world: World) -> None:
    child = world.processes.spawn([b"true"], on_exit=world.on_exit)
    os.waitpid(child.pid, 0)
    world.turn_until_all_ended()
    assert world.codes == [255]


def test_stopped_and_continued_is_no_end(world: World) -> None:
    child = world.processes.spawn(shell("exec sleep 60"), on_exit=world.on_exit)
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    world.loop.turn(10)
    os.kill(child.pid, signal.SIGCONT)
    world.loop.turn(10)
    assert (world.ends, len(world.processes)) == ([], 1)
    world.processes.kill(child, signal.SIGKILL)
    world.turn_until_all_ended()


# -- what can't be started


def test_missing(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    child, code = world.run(b"/none/x", b"y")
    assert (code, child.pid, child.error) == (255, 0, "No such file or directory")
    assert capfd.readouterr().err == "Error: Failed executing [ /none/x ]!\n"


def test_missing_in_path(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert world.run(b"no-such-program-anywhere", stdin=b"x" * 1000)[1] == 255
    assert capfd.readouterr().err == "Error: Failed executing [ no-such-program-anywhere ]!\n"


def test_not_executable(world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x"
    path.write_text("#!/bin/sh\n")
    child, code = world.run(os.fsencode(path))
    assert (code, child.error) == (255, "Permission denied")
    assert capfd.readouterr().err == f"Error: Failed executing [ {path} ]!\n"


def test_no_interpreter_line(world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """lsyncd 2.2.3 does not try a shell either."""
    path = tmp_path / "x"
    path.write_text("exit 0\n")
    path.chmod(0o755)
    assert world.run(os.fsencode(path))[1] == 255
    assert capfd.readouterr().err == f"Error: Failed executing [ {path} ]!\n"


def test_arguments_too_long(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert world.run(b"true", b"x" * 200_000)[1] == 255
    assert capfd.readouterr().err == "Error: Failed executing [ true ]!\nWarn: true: Argument list too long\n"


def test_a_nul_in_an_argument_is_not_cut_off(world: World, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert world.run(b"rm", os.fsencode(tmp_path / "x") + b"\0y")[1] == 255
    assert (tmp_path / "x").exists()


def test_nothing_to_execute(world: World) -> None:
    assert world.run()[1] == 255


def test_out_of_descriptors(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """What runs is collected; what can't be started is told; later it works again."""
    running = world.processes.spawn(shell("exec sleep 60"), on_exit=world.on_exit)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    taken = []
    try:
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        for free in range(4):
            world.processes.spawn([b"true"], stdin=b"x", on_exit=world.on_exit, stderr_tail=True)
            os.close(taken.pop()) if free else None
        world.processes.kill(running, signal.SIGKILL)
        world.turn_until_all_ended()
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert world.codes.count(255) == 4
    assert (running, 128 + signal.SIGKILL) in world.ends
    assert "Error: Failed executing [ true ]!\nWarn: true: Too many open files\n" in capfd.readouterr().err
    assert world.run(b"true")[1] == 0


# -- what a child has


def test_any_bytes_as_arguments(world: World, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "out")
    arguments = [b"", b" ", b"-x", b"\xff\n'\"$(touch y)`;*?[x]\\", b"\x01\x1b"]
    world.run(b"/bin/sh", b"-c", b'printf "%s\\0" "$@" > "$0"', path, *arguments)
    with open(path, "rb") as file:
        assert file.read() == b"".join(argument + b"\0" for argument in arguments)


def test_signals_are_as_in_a_fresh_process(world: World, tmp_path: Path) -> None:
    path = tmp_path / "status"
    world.loop.on_signal(signal.SIGTERM, lambda: None)
    world.run(*shell(f"exec grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status > {path}"))
    masks = {line.split()[0]: int(line.split()[1], 16) for line in path.read_text().splitlines()}
    ours = 1 << (signal.SIGTERM - 1) | 1 << (signal.SIGCHLD - 1) | 1 << (signal.SIGPIPE - 1)
    assert masks["SigBlk:"] == 0
    assert masks["SigCgt:"] & ours == 0
    assert masks["SigIgn:"] & ours == 0


def test_signals_that_whoever_started_us_ignores_stay_ignored() -> None:
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from orchestrator.process.spawn import start_program
argv = [b"/bin/grep", b"SigIgn", b"/proc/self/status"]
started = start_program(argv, None, os.environb, input_size=None, keeps_stderr=False, output=None, own_session=False)
os.waitpid(started.pid, 0)
"""
    command = ["sh", "-c", "trap '' USR1 PIPE; exec \"$@\"", "sh", sys.executable, "-c", script]
    ignored = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    theirs = 0b11 << 31  # signals 32 and 33 are the C library's own
    assert int(ignored.split()[1], 16) & ~theirs == 1 << (signal.SIGUSR1 - 1)


def test_only_the_standard_descriptors_are_inherited(world: World, tmp_path: Path) -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(fd, True)
    world.run(*shell(f"ls /proc/$$/fd > {tmp_path}/fds"), stdin=b"x", stderr_tail=True)
    os.close(fd)
    # 10: the shell's own, for the redirection
    assert set((tmp_path / "fds").read_text().split()) - {"10"} == {"0", "1", "2"}


def test_environment(world: World, tmp_path: Path) -> None:
    world.processes.spawn(
        shell(f'printf %s "$X" > {tmp_path}/out'), env={**os.environb, b"X": b"\xff"}, on_exit=world.on_exit
    )
    world.turn_until_all_ended()
    assert (tmp_path / "out").read_bytes() == b"\xff"


def test_output_is_appended_to_the_log_file(world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    world.processes.output = os.fsencode(path)
    world.run(*shell("echo out; echo err >&2"))
    path.rename(tmp_path / "log.1")  # as logrotate does
    world.run(*shell("echo more"))
    assert (tmp_path / "log.1").read_text() == "old\nout\nerr\n"
    assert path.read_text() == "more\n"
    assert capfd.readouterr() == ("", "")


def test_output_that_cannot_be_opened_stops_no_child(world: World, tmp_path: Path) -> None:
    world.processes.output = os.fsencode(tmp_path / "none" / "log")
    assert world.run(*shell("exit 3"))[1] == 3


@pytest.mark.timeout(20)
@pytest.mark.timeout(20)
def test_output_passed_on_into_a_fifo_that_nobody_empties_stops_nobody(world: World, tmp_path: Path) -> None:
    """The child's own output may wait there; the loop, which passes on what it keeps the end of, does not."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    try:
        world.processes.output = os.fsencode(tmp_path / "log")
        child, code = world.run(*shell("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 7"), stderr_tail=True)
    finally:
        os.close(reader)
    assert code == 7
    assert child.stderr_tail == b"x" * 2048


def test_output_into_a_fifo_that_nobody_reads_is_not_waited_for(world: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    world.processes.output = os.fsencode(tmp_path / "log")
    assert world.run(*shell("exit 3"))[1] == 3


# -- stdin


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
def test_input_arrives_whole(world: World, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    world.run(*shell(f"cat > {tmp_path}/out"), stdin=data)
    assert (tmp_path / "out").read_bytes() == data


def test_a_child_that_does_not_read_does_not_hold_up_the_loop(world: World) -> None:
    child = world.processes.spawn(shell("exec sleep 60"), stdin=b"x" * 5_000_000, on_exit=world.on_exit)
    turned: list[int] = []
    world.loop.soon(lambda: turned.append(1))
    world.loop.turn(None)
    assert turned == [1]
    world.processes.kill(child, signal.SIGKILL)
    world.turn_until_all_ended()
    assert world.codes == [137]


def test_a_slow_reader_costs_no_busy_turns(world: World) -> None:
    child = world.processes.spawn(shell("exec sleep 60"), stdin=b"x" * 5_000_000, on_exit=world.on_exit)
    world.loop.turn(0)
    before = time.monotonic()
    world.loop.turn(0.2)  # the pipe is full: nothing to do
    assert time.monotonic() - before >= 0.2
    world.processes.kill(child, signal.SIGKILL)
    world.turn_until_all_ended()


def test_broken_pipe(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert world.run(*shell("exec 0<&-; exit 4"), stdin=b"x" * 5_000_000)[1] == 4
    assert capfd.readouterr().err == "Normal: broken pipe.\n"


def test_a_grandchild_that_holds_the_pipe_is_not_fed_after_the_end(world: World, tmp_path: Path) -> None:
    world.run(*shell(f"(exec 3<&0; exec sleep 60) & echo $! > {tmp_path}/pid; exit 5"), stdin=b"x" * 5_000_000)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert world.codes == [5]


def test_without_input_a_child_has_our_stdin(world: World, tmp_path: Path) -> None:
    world.run(*shell(f"readlink /proc/$$/fd/0 > {tmp_path}/out"))
    assert (tmp_path / "out").read_text().strip() == os.readlink("/proc/self/fd/0")


# -- stderr


def test_the_end_of_stderr_is_kept_and_passed_on(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    child, code = world.run(*shell("echo out; echo one >&2; echo two >&2; exit 23"), stderr_tail=True)
    assert (code, child.stderr_tail) == (23, b"one\ntwo\n")
    assert capfd.readouterr() == ("out\n", "one\ntwo\n")


def test_only_the_end_is_kept(world: World, tmp_path: Path) -> None:
    world.processes.output = os.fsencode(tmp_path / "log")
    child, _ = world.run(*shell("seq 1 100000 >&2"), stderr_tail=True)
    assert len(child.stderr_tail) == 2048
    assert child.stderr_tail.endswith(b"\n99999\n100000\n")
    assert (tmp_path / "log").read_text() == "".join(f"{number}\n" for number in range(1, 100001))


def test_all_of_stderr_is_given_to_who_asks_for_it(world: World) -> None:
    said: list[bytes] = []
    child, _ = world.run(*shell("seq 1 100000 >&2"), stderr_tail=True, on_stderr=said.append)
    text = b"".join(said)
    assert text.splitlines() == [b"%d" % number for number in range(1, 100001)]
    assert text.endswith(child.stderr_tail)


def test_stderr_held_by_a_grandchild_does_not_delay_the_end(world: World, tmp_path: Path) -> None:
    """ssh's ControlPersist: the master keeps the stderr of the ssh that started it."""
    log = tmp_path / "log"
    world.processes.output = os.fsencode(log)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child, code = world.run(*shell(f"echo one >&2; (read x < {fifo}; echo late >&2) & exit 9"), stderr_tail=True)
    assert (code, child.stderr_tail) == (9, b"one\n")
    fifo.write_text("go\n")
    deadline = time.monotonic() + 30
    while log.read_text() != "one\nlate\n":  # what comes later is passed on as well
        world.loop.turn(0.1)
        assert time.monotonic() < deadline
    world.loop.turn(1)


# -- Exec


def test_exec_line(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.log.enable("Exec")
    world.run(b"/bin/true", b"a b", b"", b"c")
    assert capfd.readouterr().err == "Exec: /bin/true [a b] [] [c]\n"


def test_exec_line_shows_input_first_and_nul_as_newline(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """As 2.2.3 writes it."""
    world.log.enable("Exec")
    world.run(*shell("exec cat > /dev/null"), stdin=b"a\0b\nc\n")
    assert capfd.readouterr().err == "Exec: /bin/sh [<] [a\nb\nc\n] [-c] [exec cat > /dev/null]\n"


def test_exec_line_cannot_be_forged_by_a_name(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.log.enable("Exec")
    world.run(b"/bin/true", b"a\n10:10:10 Error: x\x1b[2K")
    assert capfd.readouterr().err == "Exec: /bin/true [a\\n10:10:10 Error: x\\x1b[2K]\n"


# -- jobs


def test_job_s_result_is_the_exit_code(world: World) -> None:
    main = threading.get_ident()
    seen: list[int] = []

    def job(stop: threading.Event) -> int:
        seen.append(threading.get_ident())
        return 23

    def on_exit(child: Child, code: int) -> None:
        seen.extend((threading.get_ident(), code))

    world.processes.run_job(job, on_exit)
    assert len(world.processes) == 1
    world.turn_until_all_ended()
    assert seen[0] != main
    assert seen[1:] == [main, 23]


def test_job_that_raises(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    def copy_files(stop: threading.Event) -> int:
        raise OSError(28, "No space left\non device")

    child = world.processes.run_job(copy_files, world.on_exit)
    world.turn_until_all_ended()
    assert world.codes == [255]
    assert child.error.startswith(f"OSError: [Errno 28] No space left on device ({__file__}:")
    assert f"copy_files failed: {child.error}\n" in capfd.readouterr().err


def test_a_job_may_say_why(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    child = world.processes.run_job(lambda stop: JobResult(7, "the server said 503"), world.on_exit)
    world.turn_until_all_ended()
    assert (world.codes, child.cause, child.error) == ([7], "the server said 503", None)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("result", [JobResult(True), JobResult(300), None, "0", 1.0, True, False, -1, 256, 10**30, [0]])
def test_job_that_returns_no_exit_code_is_no_success(world: World, result: object) -> None:
    world.processes.run_job(lambda stop: result, world.on_exit)  # type: ignore[arg-type,return-value]
    world.turn_until_all_ended()
    assert world.codes == [255]


def test_job_that_calls_exit_does_not_end_the_daemon(world: World) -> None:
    world.processes.run_job(lambda stop: sys.exit(0), world.on_exit)
    world.turn_until_all_ended()
    assert world.codes == [255]


def test_jobs_are_asked_to_stop_on_fading(world: World) -> None:
    for _ in range(3):
        world.processes.run_job(lambda stop: 7 if stop.wait(20) else 1, world.on_exit)
    world.processes.stop_jobs()
    world.turn_until_all_ended()
    assert world.codes == [7, 7, 7]


def test_kill_asks_a_job_to_stop(world: World) -> None:
    child = world.processes.run_job(lambda stop: 7 if stop.wait(20) else 1, world.on_exit)
    world.processes.kill(child)
    world.turn_until_all_ended()
    assert world.codes == [7]


class PatientLoop(Loop):
    """Others let it go first however long a busy machine makes it wait."""

    def yield_turn(self, patience: float = 60) -> None:
        super().yield_turn(patience)


@pytest.mark.parametrize("world", [PatientLoop], indirect=True)
class Asked(FakeLoop):
    """Counts how often it was let go first."""

    times = 0

    def yield_turn(self) -> None:
        self.times += 1


def test_a_job_that_asks_whether_to_stop_lets_the_loop_go_first(world: World) -> None:
    loop = Asked(FakeClock())
    stop = Stop(loop)
    assert (stop.is_set(), loop.times) == (False, 1)
    stop.set()
    assert (stop.is_set(), loop.times) == (True, 2)
    child = world.processes.run_job(lambda stop: 7 if isinstance(stop, Stop) else 1, world.on_exit)
    world.turn_until_all_ended()
    assert world.ends == [(child, 7)]


def test_a_pooled_job_has_no_thread_of_its_own(world: World) -> None:
    begun: list[tuple[threading.Event, Callable[[Callable[[], int]], None]]] = []
    child = world.processes.run_job(PooledJob(lambda stop, ended: begun.append((stop, ended))), world.on_exit)
    stop, ended = begun[0]
    assert child.thread is None
    world.processes.kill(child)
    assert stop.is_set()
    ended(lambda: 7)
    world.turn_until_all_ended()
    assert world.codes == [7]


def test_a_pooled_job_that_raises(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    def begin(stop: threading.Event, ended: Callable[[Callable[[], int]], None]) -> None:
        ended(lambda: 1 // 0)

    world.processes.run_job(PooledJob(begin), world.on_exit)
    world.turn_until_all_ended()
    assert world.codes == [255]
    assert "begin failed: ZeroDivisionError: " in capfd.readouterr().err


def test_a_pooled_job_that_cannot_begin_is_tried_again(world: World) -> None:
    def begin(stop: threading.Event, ended: Callable[[Callable[[], int]], None]) -> None:
        raise RuntimeError("can't start new thread")

    child = world.processes.run_job(PooledJob(begin), world.on_exit)
    world.turn_until_all_ended()
    assert (world.codes, child.is_resource_shortage) == ([255], True)


# -- many


def test_many_children_leave_nothing_behind(world: World) -> None:
    """The fixture counts descriptors and threads."""
    for _ in range(100):
        world.processes.spawn([b"true"], stdin=b"x", stderr_tail=True, on_exit=world.on_exit)
    world.processes.spawn([b"/none"], stdin=b"x", stderr_tail=True, on_exit=world.on_exit)
    world.turn_until_all_ended()
    assert sorted(world.codes) == [0] * 100 + [255]
