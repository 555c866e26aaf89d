"""Becoming a daemon (spec 1.3): run by a program of its own, whose parent the test is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.kit.daemon import wait_until
from tests.kit.trees import text_of

if TYPE_CHECKING:
    from pathlib import Path

DAEMON = """
import os, sys, time
from orchestrator.errors import OrchestratorError
from orchestrator.process.detach import detach
from orchestrator.process.pidfile import PidFile

print("before")  # stays in the buffer: must come once
try:
    detach(lambda: PidFile("pid"))
except OrchestratorError as error:
    print("Error:", error, file=sys.stderr)
    sys.exit(error.exit_code)
print("nobody reads this", flush=True)
with open(sys.argv[1] + "/facts", "w") as file:
    print(os.getsid(0) == os.getpid(), os.getcwd(), *(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)), file=file)
time.sleep(60)
"""


def start(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DAEMON, directory], cwd=directory, capture_output=True, text=True, timeout=30
    )


def wait_for_facts(directory: Path) -> str:
    wait_until(lambda: text_of(directory / "facts"), "the daemon to get so far")
    return text_of(directory / "facts")


def test_a_daemon(tmp_path: Path) -> None:
    started = start(tmp_path)
    # Read at once: who starts services looks for the pid when the parent has gone.
    pid = int((tmp_path / "pid").read_text())
    try:
        assert (started.returncode, started.stdout, started.stderr) == (0, "before\n", "")
        assert wait_for_facts(tmp_path) == "True / /dev/null /dev/null /dev/null\n"
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_second_one_says_why_on_the_terminal_and_exits_255(tmp_path: Path) -> None:
    start(tmp_path)
    pid = int((tmp_path / "pid").read_text())
    try:
        second = start(tmp_path)
        assert (second.returncode, second.stderr) == (255, "Error: Cannot lock pidfile; 'pid'\n")
        assert int((tmp_path / "pid").read_text()) == pid
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_parent_reports_of_a_child_that_was_killed_before_it_was_ready(tmp_path: Path) -> None:
    script = "import os\nfrom orchestrator.process.detach import detach\ndetach(lambda: os.kill(os.getpid(), 9))"
    assert subprocess.run([sys.executable, "-c", script], timeout=30).returncode == 128 + 9


def test_closed_standard_descriptors_are_filled(tmp_path: Path) -> None:
    """Else the first file opened would be stdout, and messages would go into it."""
    script = f"""
from orchestrator.process.detach import fill_standard_descriptors
fill_standard_descriptors()
import os, subprocess
from orchestrator.log import Log
with open({str(tmp_path / "precious")!r}, "w") as file:
    log = Log()
    log.configure(nodaemon=True)
    log("Normal", "x")
    log("Error", "x")
    subprocess.run("echo x; echo x >&2; readlink /proc/$$/fd/0 > {tmp_path}/stdin", shell=True)
"""
    code = subprocess.run(["sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, script], timeout=30).returncode
    assert code == 0
    assert (tmp_path / "precious").read_text() == ""
    assert (tmp_path / "stdin").read_text() == "/dev/null\n"


ANNOUNCED = """
import os, sys, time
from orchestrator.process.detach import detach

writing = int(sys.argv[1])

def announce(pid):
    time.sleep(0.3)  # the child would be first by far
    os.write(writing, b"announced\\n")

detach(lambda: None, announce)
os.write(writing, b"goes on\\n")
"""


def test_a_daemon_goes_on_when_it_has_been_announced() -> None:
    """Its parent announces it to the service manager, however slowly; what the daemon says is not believed before."""
    reading, writing = os.pipe()
    done = subprocess.run([sys.executable, "-c", ANNOUNCED, str(writing)], pass_fds=[writing], timeout=30, check=False)
    os.close(writing)
    with open(reading) as pipe:
        assert pipe.read() == "announced\ngoes on\n"
    assert done.returncode == 0
