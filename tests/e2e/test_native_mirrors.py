"""Two directories that native mirrors in both directions come to rest, equal, and nothing that was written is lost."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from tests.kit.daemon import Daemon, wait_until
from tests.kit.rest import are_at_rest
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings{{ controlSocket = "{box}/socket" }}
sync{{ default.native, source = "{box}/a", target = "{box}/b", delay = 0.3, delete = "running" }}
sync{{ default.native, source = "{box}/b", target = "{box}/a", delay = 0.3, delete = "running" }}
"""


def test_two_mirrors_of_each_other(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    (a / "gone").write_text("gone")
    (a / "linked").write_text("linked")
    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path)) as daemon:
        daemon.wait_for("finished.", 2)

        def runs() -> int:
            return daemon.said().count("Calling native")

        def rest(what: str, most: float) -> None:
            before = runs()
            wait_until(lambda: are_at_rest([tmp_path / "socket"]), f"rest ({what}); it said:\n{daemon.said()[-3000:]}")
            assert snapshot(os.fsencode(a)) == snapshot(os.fsencode(b)), what
            assert runs() - before <= most, what

        rest("startup", math.inf)  # what each finds of the other's depends on who is first
        (tmp_path / "old").write_text("old")
        os.utime(tmp_path / "old", (10**9, 10**9))
        (tmp_path / "old").rename(a / "old")
        rest("a file of an old date", 3)
        (b / "d").mkdir()
        (b / "d/f").write_text("f")
        rest("a directory with a file", 4)
        for name in ("new/f", "also"):  # deleted, renamed as soon as they have come: they do not come back
            (a / name).parent.mkdir(exist_ok=True)
            (a / name).write_text("new")
            wait_until((b / name).exists, f"{name} to arrive")
        (a / "new").rename(a / "renamed")
        (a / "also").unlink()
        rest("rename and deletion of what has just come", 5)
        assert sorted(snapshot(os.fsencode(a))) == [b"d", b"d/f", b"gone", b"linked", b"old", b"renamed", b"renamed/f"]
        (a / "renamed/f").unlink()
        (a / "renamed").rmdir()
        rest("deletions", 2)
        (a / "gone").unlink()
        (b / "d").rename(b / "e")
        (a / "linked").chmod(0o600)
        os.link(a / "linked", a / "link")
        rest("delete, rename, link, mode", 6)
        assert sorted(snapshot(os.fsencode(a))) == [b"e", b"e/f", b"link", b"linked", b"old"]
        for number in range(25):
            with (a / "log").open("a") as file:
                file.write(f"{number}\n")
            time.sleep(0.05)  # the writer's pace
        rest("appends", 100)
        assert (b / "log").read_text() == "".join(f"{number}\n" for number in range(25))
        (a / "both").write_text("first")
        (b / "both").write_text("second")
        rest("both write", 8)
        assert (a / "both").read_text() == "second"
