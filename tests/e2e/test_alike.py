"""Files of one size and one time change places in front of a real daemon, with each monitor: the target is like the
source in the end, and stays what it is."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.alike import AlikeTree, exchange
from tests.kit.daemon import Daemon, wait_until
from tests.kit.fanotify import needs_fanotify
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings{{ monitor = "{monitor}", pollInterval = 0.2 }}
sync{{ default.native, source = "{box}/source", target = "{box}/target", delay = 0.2, exclude = "/skip" }}
"""


def wanted(source: bytes) -> dict[bytes, bytes | None]:
    return {path: data for path, data in snapshot(source).items() if not path.startswith(b"skip")}


@pytest.mark.parametrize("monitor", ["inotify", "fanotify", "poll"])
def test_what_changes_places(tmp_path: Path, monitor: str) -> None:
    if monitor == "fanotify":
        needs_fanotify()
    # in CI the same every time, as all that is red there is to be what changed
    seed = random.Random(monitor if os.environ.get("CI") else None).randrange(1 << 30)
    source, target = os.fsencode(tmp_path / "source"), os.fsencode(tmp_path / "target")
    tree = AlikeTree(source, os.fsencode(tmp_path / "outside"), seed)
    for name in (b"/app", b"/app.new", b"/one", b"/two"):
        os.mkdir(source + name)
        tree.write(source + name + b"/f")
    tree.grow(source)
    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path, monitor=monitor)) as daemon:
        daemon.wait_for("finished.")

        def wait_equal(what: str) -> None:
            wait_until(lambda: snapshot(target) == wanted(source), f"the target to equal the source ({what})")

        wait_equal(f"seed {seed}, startup")
        os.rename(source + b"/app", source + b"/app.old")
        os.rename(source + b"/app.new", source + b"/app")
        exchange(source + b"/one", source + b"/two")
        wait_equal(f"seed {seed}, deploy")
        tree.write(source + b"/one/f")
        tree.write(source + b"/two/new")
        wait_equal(f"seed {seed}, writes after the exchange")
        for step in range(3):
            for _ in range(4):
                tree.change(tree.random.randrange(1, 5))
                time.sleep(0.1)  # some of it in one batch, some of it not
            wait_equal(f"seed {seed}, step {step}")
