"""A link on the way to the source is switched, as deploys do (spec 6 row 31)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.fanotify import needs_fanotify
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings {{ monitor = "{monitor}", pollInterval = 0.2 }}
sync {{ default.{action}, name = "it", source = "{box}/app/current/public", target = "{box}/trg", delay = 0 }}
"""


@pytest.mark.row(31)
@pytest.mark.parametrize(
    ("monitor", "action"), [("inotify", "rsync"), ("inotify", "native"), ("fanotify", "direct"), ("poll", "rsync")]
)
def test_the_source_is_what_the_link_leads_to_now(tmp_path: Path, monitor: str, action: str) -> None:
    if monitor == "fanotify":
        needs_fanotify()
    box, releases, current = tmp_path, tmp_path / "app/releases", tmp_path / "app/current"
    for number in (1, 2, 3):
        (releases / f"{number}/public/d").mkdir(parents=True)
        (releases / f"{number}/public/d/f{number}").write_text(f"release {number}")
    current.symlink_to("releases/1")
    (box / "trg").mkdir()

    def wait_for(number: int, daemon: Daemon) -> None:
        def is_there() -> bool:
            try:
                return snapshot(os.fsencode(box / "trg")) == snapshot(os.fsencode(releases / f"{number}/public"))
            except FileNotFoundError:  # a transfer is under way
                return False

        wait_until(is_there, f"release {number} on the target; it said:\n{daemon.said()[-3000:]}")

    with Daemon(box, lua=CONFIG.format(box=box, monitor=monitor, action=action)) as daemon:
        wait_for(1, daemon)
        for number in (2, 3):
            (box / "app/new").symlink_to(f"releases/{number}")
            (box / "app/new").rename(current)
            was = f"{releases}/{number - 1}/public/"
            daemon.wait_for(f"Normal: source {was} of it is {releases}/{number}/public/ now.")
            wait_for(number, daemon)
            shutil.rmtree(releases / str(number - 1))
            (releases / f"{number}/public/d/later").write_text("written after the switch")
            wait_for(number, daemon)
        assert "is gone" not in daemon.said()
