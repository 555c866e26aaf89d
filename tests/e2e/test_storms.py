"""Somebody renames things in his source faster than anybody can follow (spec 6 row 33)."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.exchange import exchange
from tests.kit.fanotify import needs_fanotify
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
settings {{ monitor = "{monitor}", statusFile = "{box}/status", statusInterval = 0 }}
sync {{ default.rsync, name = "stormy", source = "{box}/stormy", target = "{box}/trg1", delay = 0 }}
sync {{ default.rsync, name = "calm", source = "{box}/calm", target = "{box}/trg2", delay = 0 }}
"""
MEGABYTE = 1 << 20
BOUND = 150
"""Megabytes: the daemon itself, and what is to be held of a storm."""


def rage(top: Path) -> None:
    while True:
        for _ in range(100):
            exchange(top / "a", top / "b")


@contextmanager
def raging(top: Path) -> Iterator[None]:
    """In another process, until the end."""
    storm = multiprocessing.get_context("fork").Process(target=rage, args=(top,), daemon=True)
    storm.start()
    try:
        yield
    finally:
        storm.kill()
        storm.join()
        storm.close()


def memory(pid: int) -> int:
    """Megabytes in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE


@pytest.mark.row(33)
@pytest.mark.parametrize("monitor", ["inotify", "fanotify"])
def test_others_go_on_and_in_the_end_all_is_there(tmp_path: Path, monitor: str) -> None:
    if monitor == "fanotify":
        needs_fanotify()
    box = tmp_path
    for name in ("stormy/a", "stormy/b", "calm", "trg1", "trg2"):
        (box / name).mkdir(parents=True)
    for number in range(200):
        (box / f"stormy/a/f{number}").write_text("a")
        (box / f"stormy/b/g{number}").write_text("b")
    with Daemon(box, lua=CONFIG.format(box=box, monitor=monitor)) as daemon:
        daemon.wait_for("Startup of", times=2)
        with raging(box / "stormy"):
            for number in range(10):
                (box / f"calm/{number}").touch()
                wait_until((box / f"trg2/{number}").exists, f"the other sync; it said:\n{daemon.said()[-2000:]}")
                assert memory(daemon.process.pid) < BOUND
            if monitor == "inotify":
                daemon.wait_for(f"source {box}/stormy/ of stormy changes faster than anybody can follow")
                wait_until(lambda: "left alone" in (box / "status").read_text(), "the status to say so")
        wait_until(
            lambda: snapshot(os.fsencode(box / "trg1")) == snapshot(os.fsencode(box / "stormy")),
            f"the storm's end to arrive; it said:\n{daemon.said()[-2000:]}",
        )


@pytest.mark.row(33)
def test_term_is_obeyed_in_the_middle_of_it(tmp_path: Path) -> None:
    box = tmp_path
    for name in ("stormy/a", "stormy/b", "calm", "trg1", "trg2"):
        (box / name).mkdir(parents=True)
    (box / "stormy/a/f").write_text("a")
    with Daemon(box, lua=CONFIG.format(box=box, monitor="inotify")) as daemon:
        daemon.wait_for("Startup of", times=2)
        with raging(box / "stormy"):
            daemon.wait_for("of stormy changes faster than anybody can follow")
            daemon.wait_for("of stormy is looked through")
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.wait() == 128 + signal.SIGTERM
