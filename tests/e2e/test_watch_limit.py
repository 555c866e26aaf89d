"""The kernel gives no more watches: the setting watchLimit, at the start and while running."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.control import main
from tests.kit.daemon import wait_until
from tests.kit.limits import LimitedDaemon
from tests.kit.mirrors import differences
from tests.kit.trees import text_of

CONFIG = """
settings{{ {settings} }}
sync{{ default.native, source = "{box}/src", target = "{box}/trg", delay = 0 }}
"""

DEGRADE = (
    'watchLimit = "degrade", pollInterval = 0.1, statusFile = "{box}/status", statusInterval = 0, '
    'controlSocket = "{box}/socket"'
)

WARNING = (
    r"Warn: Out of inotify watches: (\d+) are in place, (\d+) are needed\. "
    r"(\d+) directories are polled instead, every 0\.1 seconds\. Consider"
)

TERMINATING = (
    "Error: Terminating since out of inotify watches.\nConsider increasing /proc/sys/fs/inotify/max_user_watches\n"
)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    return tmp_path


def config(box: Path, settings: str = "") -> str:
    return CONFIG.format(box=box, settings=settings.format(box=box))


def grow(top: Path, count: int) -> None:
    """So many directories more, in some ten branches, each with a file."""
    for number in range(count):
        directory = top / f"b{number % 10}" / f"d{number}"
        directory.mkdir(parents=True)
        (directory / "f").write_text(f"{number}")


def wait_equal(box: Path) -> None:
    source, target = os.fsencode(box / "src"), os.fsencode(box / "trg")
    wait_until(lambda: not differences(source, target), "the target to equal the source")


def ask(box: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["status", "--json", "--socket", str(box / "socket")]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)["daemon"]
    return report


@pytest.mark.parametrize("settings", ["", 'watchLimit = "terminate"'])
def test_a_daemon_ends_with_lsyncds_words_at_the_start(box: Path, settings: str) -> None:
    grow(box / "src", 30)
    with LimitedDaemon(box, lua=config(box, settings), watches=20) as daemon:
        assert daemon.wait() == 255
        assert TERMINATING in daemon.said()


def test_a_daemon_ends_with_lsyncds_words_while_running(box: Path) -> None:
    with LimitedDaemon(box, lua=config(box), watches=20) as daemon:
        daemon.wait_for("finished.")
        grow(box / "src", 30)
        assert daemon.wait() == 255
        assert TERMINATING in daemon.said()


def test_any_other_word_is_an_error(box: Path) -> None:
    with LimitedDaemon(box, lua=config(box, 'watchLimit = "poll"'), watches=20) as daemon:
        assert daemon.wait() == 255
        assert 'setting "watchLimit" must be "terminate" or "degrade", not "poll".' in daemon.said()


def test_what_cannot_be_watched_at_the_start_is_polled_until_it_can(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = box / "src"
    grow(source, 50)  # 60 directories in it
    with LimitedDaemon(box, lua=config(box, DEGRADE), watches=30) as daemon:
        daemon.wait_for("finished.")
        daemon.wait_for("Consider increasing /proc/sys/fs/inotify/max_user_watches\n")
        warning = re.search(WARNING, daemon.said())
        assert warning is not None
        placed, needed, polled = map(int, warning.groups())
        assert (placed, polled) == (30, needed - placed)
        assert 61 <= needed <= 61 + len(source.parents)  # those above the source that may be watched count, too
        for number in range(50):
            directory = source / f"b{number % 10}" / f"d{number}"
            (directory / "new").mkdir()
            (directory / "new/g").write_text("g")
            (directory / "f").write_text("changed")
        wait_equal(box)
        for number in range(0, 50, 2):
            (source / f"b{number % 10}" / f"d{number}").rename(source / f"b{number % 3}" / f"e{number}")
        for number in range(1, 50, 2):
            shutil.rmtree(source / f"b{number % 10}" / f"d{number}" / "new")
            (source / f"b{number % 10}" / f"d{number}" / "f").unlink()
        (source / "b0").rename(source / "c0")
        wait_equal(box)
        assert ask(box, capsys)["polled"] > 0
        assert main(["status", "--socket", str(box / "socket")]) == 0
        assert " polled for lack of watches\n" in capsys.readouterr().out
        assert "For want of watches polling " in text_of(box / "status")

        daemon.set_limit(1000)
        daemon.wait_for("Normal: All directories are watched by inotify now.")
        (source / "c0/late").mkdir()
        (source / "c0/late/f").write_text("late")
        wait_equal(box)
        report = ask(box, capsys)
        assert report["polled"] == 0
        assert report["watches"] == sum(1 for _ in os.walk(source))
        wait_until(lambda: "polling" not in text_of(box / "status"), "a status file without it")
        assert daemon.said().count("Out of inotify watches") <= 2  # told again when there are twice as many
        assert_asleep(daemon)


def assert_asleep(daemon: LimitedDaemon) -> None:
    """Nothing wakes it: there is nothing left to be polled."""
    seen: list[int] = []

    def is_asleep() -> bool:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        seen.append(int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0]))
        return len(seen) > 25 and len(set(seen[-25:])) == 1

    wait_until(is_asleep, "half a second without a wake-up")


def test_what_cannot_be_watched_while_running_is_polled(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = box / "src"
    with LimitedDaemon(box, lua=config(box, DEGRADE), watches=20) as daemon:
        daemon.wait_for("finished.")
        grow(source, 200)
        wait_equal(box)
        for number in range(2):  # the look that finds the second has begun after the first, and sees all that is there
            (source / f"b9/d199/{number}").write_text("")
            wait_equal(box)
        for number in range(200):
            (source / f"b{number % 10}" / f"d{number}" / "f").unlink()
        grow(source / "more", 20)
        wait_equal(box)
        # as many lines as it doubled, and no more
        assert 1 <= daemon.said().count("Out of inotify watches") <= 9
        assert ask(box, capsys)["polled"] > 150

        # watches become free: others take them
        for branch in range(9):
            shutil.rmtree(source / f"b{branch}")
        shutil.rmtree(source / "more")
        for number in range(9, 200, 10):
            if number > 60:
                shutil.rmtree(source / f"b9/d{number}")
        daemon.wait_for("All directories are watched by inotify now.")
        (source / "b9/d9/f").write_text("at the end")
        wait_equal(box)


@pytest.mark.parametrize("settings", [DEGRADE, 'monitor = "poll", pollInterval = 0.1'])
def test_a_source_without_a_watch_is_polled_and_looked_after(box: Path, settings: str) -> None:
    source = box / "src"
    grow(source, 5)
    with LimitedDaemon(box, lua=config(box, settings), watches=0) as daemon:
        daemon.wait_for("finished.")
        (source / "b1/d1/f").write_text("changed")
        (source / "n").mkdir()
        wait_equal(box)
        source.rename(box / "away")
        daemon.wait_for("is gone; waiting for its return.")
        assert (box / "trg/b1/d1/f").exists()
        (box / "away/b1/d1/f").unlink()
        (box / "away").rename(source)
        daemon.wait_for("is back.")
        wait_equal(box)
