"""crontab: full runs by the clock on the wall (spec 4.7; 6 row 12)."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program

if TYPE_CHECKING:
    from pathlib import Path

FIRED = "Info: Crontab triggered full sync"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    return tmp_path


def sync(box: Path, more: str) -> str:
    return f'sync{{ source = "{box}/source", target = "{box}/target", delay = 0, {more} }}'


@pytest.mark.row(12)
@pytest.mark.parametrize("crontab", ['"*/3 * * * * *"', '{ "1 0 3 29 2 *", "*/3 * * * * *" }'])
def test_a_full_run_at_each_moment_of_a_rule(box: Path, crontab: str) -> None:
    program("rsync")
    (box / "source" / "f").write_text("f")
    with Daemon(box, "-log", "Info", lua=sync(box, f"default.rsync, crontab = {crontab}")) as daemon:
        for times in (1, 2):
            wait_until((box / "target" / "f").exists, "the file to be there")
            # no event tells of this one
            (box / "target" / "f").unlink()
            (box / "target" / "extra").touch()
            daemon.wait_for(FIRED, times)
            wait_until((box / "target" / "f").exists, "the full run to bring it back")
            wait_until(lambda: not (box / "target" / "extra").exists(), "the full run to delete what is extra")
        assert f"Normal: recursive full rsync: {box}/source/ -> {box}/target/" in daemon.said()


def test_at_a_moment_of_this_minute_and_no_other(box: Path) -> None:
    """The whole rule counts: second, minute, hour, day, month."""
    due = int(time.time()) + 8
    soon = time.localtime(due)
    rule = f"{soon.tm_sec} {soon.tm_min} {soon.tm_hour} {soon.tm_mday} {soon.tm_mon} *"
    own = f'onStartup = "true", onFull = "date +%H:%M:%S >>\\"{box}/fired\\"", crontab = "{rule}"'
    with Daemon(box, "-log", "Info", lua=sync(box, own)) as daemon:
        daemon.wait_for(FIRED)
        wait_until((box / "fired").exists, "onFull")
        assert daemon.said().count(FIRED) == 1
        # not before, and hardly later, however busy the machine
        stamps = [time.strftime("%H:%M:%S", time.localtime(due + late)) for late in range(6)]
        assert any(f"{stamp} {FIRED}" in daemon.said() for stamp in stamps), daemon.said()


def test_syncs_have_crontabs_of_their_own(box: Path) -> None:
    one = f'sync{{ source = "{box}/source", onFull = "echo one", crontab = {{ "* * * * * *" }} }}'
    two = f'sync{{ source = "{box}/source", onFull = "echo two", crontab = {{ "0 0 0 29 2 *" }} }}'
    with Daemon(box, "-log", "Info", lua=one + two) as daemon:
        daemon.wait_for("\none\n", times=2)
        assert "\ntwo\n" not in daemon.said()


def test_after_a_reset_only_the_new_rules_count(box: Path) -> None:
    def lua(word: str) -> str:
        return sync(box, f'onFull = "echo {word}", crontab = "* * * * * *"')

    with Daemon(box, lua=lua("one")) as daemon:
        daemon.wait_for("\none\n")
        (box / "config.lua").write_text(lua("two"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("\ntwo\n", times=3)
        assert "\none\n" not in daemon.said().partition("HUP signal, resetting")[2].partition("--- Startup")[2]


@pytest.mark.parametrize(
    ("crontab", "message"),
    [
        ('"0 3 * * *"', r"Sync: docs - crontab rule 1 is not valid: .*\. Rule: 0 3 \* \* \*"),
        ('{ "0 0 3 * * *", "0 0 25 * * *" }', r"Sync: docs - crontab rule 2 is not valid: .*\. Rule: 0 0 25 \* \* \*"),
    ],
)
def test_a_bad_rule_is_255_with_nothing_started(box: Path, crontab: str, message: str) -> None:
    with Daemon(box, lua=sync(box, f'name = "docs", onStartup = "echo begun", crontab = {crontab}')) as daemon:
        assert daemon.wait() == 255
        assert re.fullmatch(f"Error: .*/config.lua:1: {message}\n", daemon.said())
