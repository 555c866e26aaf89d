"""A program that a job or a check runs to its end and reads."""

from __future__ import annotations

import threading
import time

import pytest

from orchestrator.process.reading import LONGEST_LINE, read_program


def read(script: str, stop: threading.Event | None = None, **options: bool) -> tuple[list[bytes], int, bytes]:
    lines: list[bytes] = []
    argv = [b"sh", b"-c", script.encode()]
    code, stderr = read_program(argv, b"in\n", None, stop or threading.Event(), lines.append, **options)
    return lines, code, stderr


def test_lines_exit_code_and_stderr() -> None:
    assert read("cat; printf 'a\\nb'; echo oops >&2; exit 3") == ([b"in", b"a", b"b"], 3, b"oops\n")
    assert read("kill -9 $$") == ([], 137, b"")


def test_stderr_among_the_lines() -> None:
    assert read("echo a; echo b >&2; echo c", merges_stderr=True) == ([b"a", b"b", b"c"], 0, b"")


def test_a_line_has_a_longest_length() -> None:
    (line, last), _, _ = read("head -c 300000 /dev/zero; echo; echo end")
    assert LONGEST_LINE <= len(line) <= 3 * LONGEST_LINE
    assert last == b"end"


def test_a_child_of_its_own_that_keeps_the_pipe_is_not_waited_for() -> None:
    began = time.monotonic()
    lines, code, _ = read("sleep 60 & echo $!; exit 2")
    assert code == 2
    assert time.monotonic() - began < 30
    read(f"kill {int(lines[0])}")


@pytest.mark.parametrize("script", ["echo x; exec sleep 60", "echo x; exec sleep 60 >&-"])
def test_it_ends_when_it_is_asked_to(script: str) -> None:
    stop = threading.Event()
    began = time.monotonic()
    argv = [b"sh", b"-c", script.encode()]
    assert read_program(argv, None, None, stop, lambda line: stop.set())[0] == 143
    assert time.monotonic() - began < 30


def test_a_reader_that_raises_ends_it() -> None:
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        read_program([b"sh", b"-c", b"echo x; exec sleep 60"], None, None, threading.Event(), lambda line: 1 // 0)
    assert time.monotonic() - began < 30


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        read_program([b"/no/such/program"], None, None, threading.Event(), lambda line: None)
