"""More events than the kernel can queue, through the whole daemon (spec 6 row 8): forced by stopping it for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.overflow import flood, stopped
from tests.kit.trees import snapshot, text_of

if TYPE_CHECKING:
    from pathlib import Path

OVERFLOW = "--- OVERFLOW in event queue ---"

CONFIG = """
settings{{ insist = true, pollInterval = 3600 }}
sync{{ default.rsync, name = "slow", source = "{box}/a", target = "{box}/ta", delay = 0,
       rsync = {{ binary = "{box}/rsync" }} }}
sync{{ default.native, name = "quick", source = "{box}/b", target = "{box}/tb", delay = 0 }}
sync{{ default.native, name = "other", source = "{box}/c", target = "{box}/tc", delay = 0, monitor = "poll" }}
"""

SLOW = """#!/bin/sh
if [ -e {box}/hold ]; then echo $$ >{box}/held.new; mv {box}/held.new {box}/held; fi
while [ -e {box}/hold ]; do sleep 0.02; done
exec {rsync} "$@"
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("a", "ta", "b", "tb", "c", "tc"):
        (tmp_path / name).mkdir()
    (tmp_path / "rsync").write_text(SLOW.format(box=tmp_path, rsync=program("rsync")))
    (tmp_path / "rsync").chmod(0o755)
    return tmp_path


def wait_equal(box: Path, name: str, daemon: Daemon) -> None:
    def is_equal() -> bool:
        try:
            return snapshot(os.fsencode(box / name)) == snapshot(os.fsencode(box / f"t{name}"))
        except FileNotFoundError:  # a transfer is under way
            return False

    wait_until(is_equal, f"equal trees; it said:\n{daemon.said()[-3000:]}")


@pytest.mark.row(8)
@pytest.mark.row(8)
def test_transfers_go_on_the_config_stays_and_nothing_is_lost(box: Path) -> None:
    for tree in ("a", "b"):
        for place in ("old/deep", "moved/deep", "gone/deep"):
            (box / tree / place).mkdir(parents=True)
            (box / tree / place / "f").write_text(place)
    with Daemon(box, lua=CONFIG.format(box=box)) as daemon:
        daemon.wait_for("Startup of", 3)
        (box / "hold").touch()
        (box / "a/first").write_text("first")
        wait_until((box / "held").exists, "a transfer under way")
        child = int(text_of(box / "held"))
        config = (box / "config.lua").read_text()
        with stopped(daemon):
            (box / "config.lua").write_text("this is not Lua")
            flood(box / "a")
            for tree in ("a", "b"):
                top = box / tree
                (top / "old/deep/f").write_text("changed")
                (top / "new/deep").mkdir(parents=True)
                (top / "new/deep/f").write_text("new")
                (top / "moved").rename(top / "elsewhere")
                shutil.rmtree(top / "gone")
        daemon.wait_for(OVERFLOW)
        wait_equal(box, "b", daemon)  # others do not wait for the one that is slow
        assert int(text_of(box / "held")) == child
        os.kill(child, 0)
        (box / "hold").unlink()
        wait_equal(box, "a", daemon)

        # what came to be, or moved, meanwhile is watched, what is gone is not
        for tree in ("a", "b"):
            (box / tree / "new/deep/g").write_text("later")
            (box / tree / "elsewhere/deep/f").write_text("later")
            wait_equal(box, tree, daemon)
        (box / "config.lua").write_text(config)
        said = daemon.said()
    assert said.count(OVERFLOW) == 1
    assert said.count("recursive full") == 2
    assert f"recursive full rsync: {box}/a/" in said
    assert f"recursive full native: {box}/b/" in said
    assert "resetting" not in said
    assert "--- Startup ---" in said
    assert said.count("--- Startup") == 1


WRITER = """
import os, select, sys, time
top = sys.argv[1]
number = 0
while not select.select([sys.stdin], [], [], 0.01)[0]:
    for _ in range(20):
        number += 1
        here = f"{top}/d{number % 50}"
        os.makedirs(here, exist_ok=True)
        with open(f"{here}/f{number % 200}", "w") as file:
            file.write("." * number)
        if number % 7 == 0:
            os.rename(here, f"{top}/e{number % 11}") if not os.path.exists(f"{top}/e{number % 11}") else None
"""


@pytest.mark.row(8)
def test_under_steady_load_one_overflow_is_not_followed_by_another(box: Path) -> None:
    for number in range(2000):
        (box / "b" / f"big{number % 40}" / f"{number}").mkdir(parents=True)
    with Daemon(box, lua=CONFIG.format(box=box)) as daemon:
        daemon.wait_for("Startup of", 3)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(box / "b")], stdin=subprocess.PIPE)
        assert writer.stdin is not None
        try:
            with stopped(daemon):
                flood(box / "b")
            daemon.wait_for(f"Finished Full on {box}/b/")
            before = daemon.said().count("Finished a list")
            daemon.wait_for("Finished a list", before + 3)
        finally:
            writer.stdin.close()
            writer.wait()
        wait_equal(box, "b", daemon)
        assert daemon.said().count(OVERFLOW) == 1
        assert daemon.said().count("recursive full") == 2


@pytest.mark.row(7, 8)
def test_a_source_that_went_away_unheard_is_missed(box: Path) -> None:
    (box / "b/f").write_text("precious")
    with Daemon(box, lua=CONFIG.format(box=box)) as daemon:
        daemon.wait_for("Startup of", 3)
        with stopped(daemon):
            flood(box / "b")
            (box / "b").rename(box / "away")
        daemon.wait_for(f"Error: source {box}/b/ of quick is gone")
        assert (box / "tb/f").read_text() == "precious"
        (box / "away").rename(box / "b")
        daemon.wait_for("recursive full native")
        wait_equal(box, "b", daemon)
        assert daemon.said().count("recursive full native") == 1
