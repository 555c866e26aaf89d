"""What is nobody's content: attributes of the source itself, and times that are set and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.fanotify import needs_fanotify
from tests.kit.mirrors import differences

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings{{ monitor = "{monitor}", pollInterval = 0.2, inotifyMode = "CloseWrite or Modify" }}
sync{{ default.native, source = "{box}/source", target = "{box}/native", delay = 0.2 }}
sync{{ default.rsync, source = "{box}/source", target = "{box}/rsync", delay = 0.2, rsync = {{ archive = true }} }}
"""


@pytest.mark.parametrize("monitor", ["inotify", "fanotify", "poll"])
def test_attributes_alone(tmp_path: Path, monitor: str) -> None:
    if monitor == "fanotify":
        needs_fanotify()
    source = tmp_path / "source"
    (source / "d/e").mkdir(parents=True)
    (source / "l").symlink_to("nowhere")
    (source / "d/l").symlink_to("nowhere")

    def wait_equal(what: str) -> None:
        for name in ("native", "rsync"):
            target = os.fsencode(tmp_path / name)
            wait_until(lambda: not differences(os.fsencode(source), target), f"{name} to be equal ({what})")  # noqa: B023

    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path, monitor=monitor)) as daemon:
        daemon.wait_for("/native/ finished.")
        daemon.wait_for("/rsync/ finished.")
        source.chmod(0o710)
        wait_equal("mode of the source")
        for path in ("l", "d/l", "d", "d/e"):
            status = (source / path).lstat()
            os.utime(source / path, ns=(status.st_atime_ns, 10**18 + len(path)), follow_symlinks=False)
        wait_equal("times")


def test_actions_that_carry_none_hear_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    config = f'sync{{ default.direct, source = "{source}", target = "{tmp_path}/target", delay = 0 }}'
    with Daemon(tmp_path, lua=config) as daemon:
        daemon.wait_for("finished: 0")
        source.chmod(0o710)
        (source / "f").write_text("f")
        wait_until((tmp_path / "target/f").exists, "the file that came after it")
        assert "Attrib" not in daemon.said()
