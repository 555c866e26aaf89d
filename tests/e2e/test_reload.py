"""A reload while the daemon is at work, with real transfers (spec 1.5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until

HANGING = """#!/bin/sh
[ -e {box}/hang ] && {{ echo $$ >>{box}/hung; kill -STOP $$; }}
exec rsync "$@"
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / "src" / name).mkdir(parents=True)
        (tmp_path / "trg" / name).mkdir(parents=True)
    (tmp_path / "rsync").write_text(HANGING.format(box=tmp_path))
    (tmp_path / "rsync").chmod(0o755)
    return tmp_path


def sync(box: Path, name: str, more: str = "") -> str:
    return (
        f'sync{{ default.rsync, name = "{name}", source = "{box}/src/{name}", target = "{box}/trg/{name}", delay = 0,'
        f" {more} }}\n"
    )


def hang(daemon: Daemon, box: Path, name: str) -> int:
    """Change a file of a sync whose rsync then stands still; its process id."""
    (box / "hang").touch()
    (box / "src" / name / "hung").write_text("hung")
    wait_until(lambda: (box / "hung").exists() and (box / "hung").read_text().endswith("\n"), "the transfer to hang")
    (box / "hang").unlink()
    return int((box / "hung").read_text())


@pytest.mark.row(35)
def test_a_hung_transfer_holds_up_its_own_sync_alone(box: Path) -> None:
    more = f'init = false, rsync = {{ binary = "{box}/rsync" }}'
    with Daemon(box, lua=sync(box, "one", more) + sync(box, "two")) as daemon:
        daemon.wait_for("finished.")
        pid = hang(daemon, box, "one")
        (box / "src/one/before").write_text("before")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("finished.", 2)
        (box / "src/one/after").write_text("after")
        (box / "src/two/after").write_text("after")
        wait_until((box / "trg/two/after").exists, "the other sync's transfer")
        assert not any((box / "trg/one").iterdir())
        os.kill(pid, signal.SIGCONT)
        for name in ("hung", "before", "after"):
            wait_until((box / "trg/one" / name).exists, f"{name} of the sync without a startup")


def watches(daemon: Daemon) -> list[str]:
    """What the kernel watches for the daemon, by instance and number: one that is set again has another number."""
    found = []
    for info in Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found += [f"{info.name} {line}" for line in info.read_text().splitlines() if line.startswith("inotify wd:")]
    return sorted(found)


@pytest.mark.parametrize("how", ["pid", "config"])
def test_only_what_has_changed_begins_anew(box: Path, how: str) -> None:
    names = [f"s{number}" for number in range(6)]
    for name in names:
        (box / "src" / name / "below").mkdir(parents=True)

    def text(more: str = "") -> str:
        syncs = "".join(sync(box, name, more if name == "s2" else "") for name in names)
        hanging = sync(box, "one", f'rsync = {{ binary = "{box}/rsync" }}')
        return f'settings{{ pidfile = "{box}/pid" }}\n{syncs}{hanging}'

    with Daemon(box, lua=text()) as daemon:
        daemon.wait_for("finished.", 7)
        pid = hang(daemon, box, "one")
        before = watches(daemon)
        config = box / "config.lua"
        config.write_text(text("maxDelays = 7"))
        arguments = ["--pid", str(daemon.process.pid)] if how == "pid" else [str(config)]
        command = "import sys; from orchestrator.start import orchestrator; sys.exit(orchestrator())"
        answer = subprocess.run(
            [sys.executable, "-c", command, "reload", *arguments], capture_output=True, text=True, check=False
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        assert f"lsyncd {daemon.process.pid} reads its config again" in answer.stdout
        daemon.wait_for("reload: 6 syncs go on; changed: s2.")
        daemon.wait_for("finished.", 8)
        assert watches(daemon) == before
        for name in names:
            (box / "src" / name / "below/after").write_text("after")
        for name in names:
            wait_until((box / "trg" / name / "below/after").exists, f"the change of {name}")
        assert not (box / "trg/one/hung").exists()
        os.kill(pid, signal.SIGCONT)
        wait_until((box / "trg/one/hung").exists, "the transfer that stood still")
        assert daemon.said().count("recursive startup rsync") == 8, "one full run"
