"""The thread that empties the kernel's queue while the loop's thread is busy."""

from __future__ import annotations

import sys
import threading
from typing import NoReturn

import pytest

from orchestrator.monitor.drainer import SWITCH, Drainer


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_it_drains_again_and_again_and_only_in_the_meantime() -> None:
    calls = 0
    enough = threading.Event()

    def drain() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()

    before = sys.getswitchinterval()
    with Drainer(drain):
        assert enough.wait(10)
        assert sys.getswitchinterval() == pytest.approx(SWITCH)
        assert "drainer" in names()
    assert "drainer" not in names()
    assert sys.getswitchinterval() == pytest.approx(before)


def test_without_a_thread_to_be_had_the_work_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = sys.getswitchinterval()
    with Drainer(lambda: None):
        done = True
    assert done
    assert sys.getswitchinterval() == pytest.approx(before)
