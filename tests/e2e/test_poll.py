"""The poll monitor: a real daemon whose source tells nothing of its changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.kit.daemon import DEADLINE, ROOT, Daemon, wait_until
from tests.kit.mirrors import differences

CONFIG = """
settings{{ pollInterval = {interval}, monitor = "poll", statusFile = "{box}/status", statusInterval = 1 }}
sync{{ default.native, source = "{box}/src", target = "{box}/trg", delay = 0, exclude = "skipped" }}
"""


def config(box: Path, interval: float = 0.1) -> str:
    (box / "src").mkdir(exist_ok=True)
    (box / "trg").mkdir(exist_ok=True)
    return CONFIG.format(box=box, interval=interval)


def wait_equal(box: Path) -> None:
    source, target = os.fsencode(box / "src"), os.fsencode(box / "trg")
    wait_until(lambda: not differences(source, target, "--exclude=skipped"), "the target to equal the source")


def test_changes_of_all_kinds_arrive(tmp_path: Path) -> None:
    src = tmp_path / "src"
    (src / "d/e").mkdir(parents=True)
    (src / "d/e/f").write_text("old")
    (src / "skipped").mkdir()
    with Daemon(tmp_path, lua=config(tmp_path)) as daemon:
        daemon.wait_for("finished.")
        (src / "d/e/f").write_text("new")
        (src / "d/new/deep").mkdir(parents=True)
        (src / "d/new/deep/x\n").write_text("x")
        (src / "link").symlink_to("d")
        (src / "skipped/f").write_text("")
        wait_equal(tmp_path)
        (src / "d").rename(src / "D")
        (src / "D/e/f").chmod(0o600)
        wait_equal(tmp_path)
        shutil.rmtree(src / "D/new")
        (src / "link").unlink()
        (src / "link").mkdir()
        wait_equal(tmp_path)
        assert not (tmp_path / "trg/skipped").exists()


def test_a_lost_source_is_told_and_taken_up_again(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    (src / "f").write_text("f")
    with Daemon(tmp_path, lua=config(tmp_path)) as daemon:
        daemon.wait_for("finished.")
        src.rename(tmp_path / "away")
        daemon.wait_for("Error: ")
        assert (tmp_path / "trg/f").exists()
        (tmp_path / "away/g").write_text("g")
        (tmp_path / "away").rename(src)
        wait_equal(tmp_path)


MOUNTING = """
import os, select, subprocess, sys
from orchestrator_poll.monitor import PollMonitor

top = sys.argv[1]
source = os.fsencode(top) + b"/"
told = []

def until(ask):
    for _ in range(500):
        if found := ask():
            return found
        if select.select([monitor], [], [], 5)[0]:
            told.extend(monitor.read())
    raise SystemExit("never told")

def mount():
    subprocess.run(["mount", "-t", "tmpfs", "none", top], check=True)

mount()
for name in ("a", "b"):
    os.mkdir(f"{top}/{name}")
monitor = PollMonitor(lambda _: True, print, 0.02)
monitor.watch(source)
subprocess.run(["umount", "--lazy", top], check=True)  # a look may be going on
print("lost", until(monitor.lost_roots) == [source], monitor.watched(), told)
mount()
print("returned", until(monitor.returned_roots) == [source], monitor.watched() == [source], told)
os.mkdir(top + "/f")
until(lambda: told)
print("watching", [(change.etype, change.path == source + b"f/") for change in told])
monitor.close()
"""


def test_an_unmounted_source_is_no_empty_one(tmp_path: Path) -> None:
    run = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", MOUNTING, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert run.stdout.splitlines() == [
        "lost True [] []",
        "returned True True []",
        "watching [('Create', True)]",
    ], run.stderr
    assert not run.returncode, run.stderr


def test_it_sleeps_between_two_looks(tmp_path: Path) -> None:
    with Daemon(tmp_path, lua=config(tmp_path, 3600)) as daemon:
        daemon.wait_for("finished.")
        (tmp_path / "src/f").write_text("f")

        def switches() -> int:
            status = Path(f"/proc/{daemon.process.pid}/status").read_text()
            return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

        seen: list[int] = []

        def is_asleep() -> bool:
            seen.append(switches())
            return len(seen) > 25 and len(set(seen[-25:])) == 1

        wait_until(is_asleep, "half a second without a wake-up")
        assert not (tmp_path / "trg/f").exists()
