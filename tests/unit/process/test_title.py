"""The process's name, as the real ps, pgrep and pidof see it (spec 1.3)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = f"ls{os.getpid()}"
"""Not `lsyncd`: others may run on the machine where the tests do."""

SCRIPT = """
import os, sys
from orchestrator.process.title import set_title
name = os.fsencode(sys.argv[1])
set_title(name, [b"/opt/bin/" + name, *(os.fsencode(argument) for argument in sys.argv[2:])])
print(os.environ["HOME"], os.environ["LAST"], *sys.argv[2:], flush=True)
input()
"""


def start(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, NAME, *arguments],
        env={"HOME": "/home/x", "PYTHONPATH": os.pathsep.join(sys.path), "LAST": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.communicate("\n")
        assert process.returncode == 0


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    for process in start(["-log", "all", "a b", "c.lua"]):
        assert process.stdout is not None
        assert process.stdout.readline() == "/home/x 1 -log all a b c.lua\n"  # nothing of its own is harmed
        yield process


def say(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True).stdout.rstrip()


def test_ps(process: subprocess.Popen[str]) -> None:
    assert say("ps", "-o", "comm=", "-p", str(process.pid)) == NAME
    assert say("ps", "-o", "args=", "-p", str(process.pid)) == f"/opt/bin/{NAME} -log all a b c.lua"


def test_pgrep(process: subprocess.Popen[str]) -> None:
    assert say("pgrep", "-x", NAME) == str(process.pid)
    assert say("pgrep", "-fx", f"/opt/bin/{NAME} -log all a b c.lua") == str(process.pid)


def test_pidof(process: subprocess.Popen[str]) -> None:
    assert say("pidof", NAME) == str(process.pid)


def test_the_environment_is_not_written_over(process: subprocess.Popen[str]) -> None:
    with open(f"/proc/{process.pid}/environ", "rb") as file:
        environment = file.read()
    assert environment.startswith(b"HOME=/home/x\0")
    assert environment.endswith(b"LAST=1\0")


def test_a_title_longer_than_the_room_for_it_is_cut() -> None:
    script = f"""
from orchestrator.process.title import set_title
set_title(b"{NAME}", [b"{NAME}", b"x" * 5000])
print(open("/proc/self/cmdline", "rb").read().decode(), end="")
"""
    cmdline = say(sys.executable, "-c", script)
    assert cmdline.startswith(f"{NAME}\0xxx")
    assert cmdline.endswith("x\0")
