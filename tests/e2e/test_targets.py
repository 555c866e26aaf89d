"""What becomes of the target itself (spec 6 row 29), by the whole daemon: unmounted, replaced, unmarked."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_sources import OnDisk
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.rsyncd import RsyncDaemon
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from pathlib import Path

ACTIONS = ["rsync", "direct", "native"]


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    for name in ("src", "trg", "disk/src"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "src" / "old").write_text("x")
    return tmp_path


def sync(action: str, box: Path, target: str, more: str = "") -> str:
    keys = f'source = "{box}/src", target = "{target}", delay = 0.1, {more}'
    return f"settings{{insist = true}} sync{{default.{action}, {keys}}}"


@pytest.mark.row(29)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_new_directory_in_its_place_gets_everything(box: Path, action: str) -> None:
    with Daemon(box, lua=sync(action, box, f"{box}/trg")) as daemon:
        wait_until((box / "trg/old").exists, "the startup")
        daemon.wait_for("Startup of")
        (box / "new").mkdir()
        shutil.rmtree(box / "trg")
        (box / "new").rename(box / "trg")
        (box / "src/fresh").write_text("x")
        wait_until(lambda: {"old", "fresh"} <= set(os.listdir(box / "trg")), "everything")
    assert daemon.said().count("is another directory than before") == 1


@pytest.mark.row(29)
@pytest.mark.parametrize("action", ACTIONS)
def test_its_file_system_is_unmounted_and_mounted_again(box: Path, action: str) -> None:
    with OnDisk(box, lua=sync(action, box, f"{box}/disk/src")) as daemon:
        daemon.wait_for("Startup of")
        wait_until(lambda: daemon.shell("test -e disk/src/old"), "the startup")
        daemon.unmount()
        (box / "src/fresh").write_text("x")
        daemon.wait_for("lies on another file system than before")
        assert not os.listdir(box / "disk/src"), "the bare mount point is left alone"
        assert daemon.shell("mount -t tmpfs none disk; mkdir disk/src")
        daemon.wait_for("is back")
        wait_until(lambda: daemon.shell("test -e disk/src/fresh -a -e disk/src/old"), "everything")


@pytest.mark.row(29)
def test_a_target_on_another_machine_without_its_marker(box: Path) -> None:
    (box / "trg/kept").write_text("x")
    with (
        RsyncDaemon(box, box / "trg") as rsyncd,
        Daemon(
            box, lua=sync("rsync", box, f"rsync://127.0.0.1:{rsyncd.port}/m/", 'targetMarker = ".mounted"')
        ) as daemon,
    ):
        check_marker(box, daemon)


def check_marker(box: Path, daemon: Daemon) -> None:
    """Nothing arrives, and nothing is deleted, while the target has no marker: at the start, then while running."""
    daemon.wait_for("has no file .mounted; waiting for its return")
    assert os.listdir(box / "trg") == ["kept"]
    (box / "trg/.mounted").touch()
    daemon.wait_for("Startup of")
    assert sorted(os.listdir(box / "trg")) == [".mounted", "old"]
    (box / "trg/.mounted").unlink()
    (box / "src/old").unlink()
    (box / "src/fresh").write_text("x")
    daemon.wait_for("has no file .mounted; waiting for its return", 2)
    assert os.listdir(box / "trg") == ["old"]


@pytest.mark.row(29)
@pytest.mark.parametrize("action", ["rsync", "rsyncssh"])
def test_a_target_by_ssh_without_its_marker(box: Path, action: str) -> None:
    (box / "trg/kept").write_text("x")
    with Sshd(box) as sshd:
        login = f"{sshd.user}@127.0.0.1"
        options = f"-p {sshd.port} -i {sshd.key} -o UserKnownHostsFile={sshd.known_hosts} -o BatchMode=yes"
        place = {
            "rsync": f'target = "{login}:{box}/trg", rsync = {{rsh = "ssh {options}"}}',
            "rsyncssh": f"""host = "{login}", targetdir = "{box}/trg", ssh = {{port = {sshd.port},
                identityFile = "{sshd.key}", options = {{UserKnownHostsFile = "{sshd.known_hosts}"}}}}""",
        }[action]
        keys = f'source = "{box}/src", delay = 0.1, targetMarker = ".mounted", {place}'
        with Daemon(box, lua=f"settings{{insist = true}} sync{{default.{action}, {keys}}}").hurry(4) as daemon:
            check_marker(box, daemon)
            sshd.stop()
            daemon.wait_for("cannot be asked for .mounted; waiting for its return")
            (box / "trg/.mounted").touch()  # not before: a session that is open still would see it
            sshd.start()
            daemon.wait_for("is back", 2)
            wait_until(lambda: sorted(os.listdir(box / "trg")) == [".mounted", "fresh"], "what changed meanwhile")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('targetMarker = "a/b"', "must be the name of a file"),
        ('targetMarker = ".."', "must be the name of a file"),
        ('targetMarker = "m", rsync = {delete_excluded = true}', "does not go with rsync.delete_excluded"),
    ],
)
def test_a_marker_that_could_not_be_kept(box: Path, more: str, message: str) -> None:
    with Daemon(box, lua=sync("rsync", box, f"{box}/trg", more)) as daemon:
        assert daemon.wait() == 255
    assert message in daemon.said()
    assert "config.lua:1: " in daemon.said()
