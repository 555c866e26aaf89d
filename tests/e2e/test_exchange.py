"""Two names change places in one step (atomic deploys): the targets follow, and so does what is written later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.exchange import exchange
from tests.kit.fanotify import needs_fanotify
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

ACTIONS = ("rsync", "direct", "native")
CONFIG = 'settings {{ monitor = "{monitor}", pollInterval = 0.2 }}\n'
SYNC = 'sync {{ default.{action}, source = "{box}/src", target = "{box}/trg/{action}", delay = 0.2 }}\n'


@pytest.mark.parametrize("monitor", ["inotify", "fanotify", "poll"])
def test_whatever_is_exchanged_arrives_with_every_action(tmp_path: Path, monitor: str) -> None:
    if monitor == "fanotify":
        needs_fanotify()
    box, src = tmp_path, tmp_path / "src"
    for name in ("a/s", "b/t", "d/deep/er"):
        (src / name).mkdir(parents=True)
    for name in ("a/s/x", "b/t/y!", "d/f", "d/deep/er/z!!", "f1", "f2+"):
        (src / name).write_text(name)
    for action in ACTIONS:
        (box / "trg" / action).mkdir(parents=True)

    def wait_for_targets(daemon: Daemon, after: str) -> None:
        def are_equal() -> bool:
            expected = snapshot(os.fsencode(src))
            try:
                return all(snapshot(os.fsencode(box / "trg" / action)) == expected for action in ACTIONS)
            except FileNotFoundError:  # a transfer is under way
                return False

        wait_until(are_equal, f"the targets to be like the source after {after}; it said:\n{daemon.said()[-3000:]}")

    lua = CONFIG.format(monitor=monitor) + "".join(SYNC.format(box=box, action=action) for action in ACTIONS)
    with Daemon(box, lua=lua) as daemon:
        wait_for_targets(daemon, "the start")
        for one, other in (("a", "b"), ("f1", "f2+"), ("d/deep", "f1"), ("f2+", "b")):
            exchange(src / one, src / other)
            wait_for_targets(daemon, f"the exchange of {one} and {other}")
        for directory, _, _ in os.walk(src):
            with open(os.path.join(directory, "new"), "w", encoding="ascii") as file:
                file.write(directory)
        wait_for_targets(daemon, "writing into every directory")
        exchange(src / "a", src / "f2+")
        exchange(src / "f2+", src / "a")
        exchange(src / "a", src / "f2+")
        (src / "a" / "newer").write_text("newer")
        wait_for_targets(daemon, "three exchanges at once")
