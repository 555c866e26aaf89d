"""default.rsyncssh over a real sshd: transfers and moves on the target."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.sshd import Sshd
from tests.kit.trees import HOSTILE, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    for name in ("rsync", "ssh", "sshd"):
        program(name)
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    with Sshd(tmp_path) as server:
        yield server


def config(sshd: Sshd) -> str:
    return f"""sync{{default.rsyncssh, source = "{sshd.box}/src", host = "{sshd.user}@127.0.0.1",
        targetdir = "{sshd.box}/trg", delay = 0.3, rsync = {{archive = true}},
        ssh = {{port = {sshd.port}, identityFile = "{sshd.key}",
               options = {{UserKnownHostsFile = "{sshd.known_hosts}", BatchMode = "yes"}}}}}}"""


def trees_equal(box: Path) -> bool:
    return snapshot(os.fsencode(box / "src")) == snapshot(os.fsencode(box / "trg"))


def test_changes_arrive_and_moves_are_moves_on_the_target(sshd: Sshd) -> None:
    box = sshd.box
    (box / "src/big").write_text("x" * 100_000)
    with Daemon(box, lua=config(sshd)) as daemon:
        daemon.wait_for("Startup of")
        assert trees_equal(box)
        inode = (box / "trg/big").stat().st_ino
        (box / "src/big").rename(box / "src/it's $(moved)")
        wait_until(lambda: trees_equal(box), "the move")
        assert (box / "trg/it's $(moved)").stat().st_ino == inode, "transferred instead of moved"
        assert "Moving big -> it's $(moved)" in daemon.said()
        (box / "src/d/e").mkdir(parents=True)
        (box / "src/d/e/f").write_text("deep")
        wait_until(lambda: trees_equal(box), "the new tree")
        (box / "src/d").rename(box / "src/moved")
        (box / "src/it's $(moved)").unlink()
        wait_until(lambda: trees_equal(box), "the moved tree")


def test_a_move_of_what_the_target_has_not_is_a_transfer(sshd: Sshd) -> None:
    box = sshd.box
    (box / "src/f").write_text("data")
    with Daemon(box, lua=config(sshd)) as daemon:
        daemon.wait_for("Startup of")
        (box / "trg/f").unlink()
        (box / "src/f").rename(box / "src/g")
        wait_until(lambda: trees_equal(box), f"the file; it said:\n{daemon.said()}")


def test_hostile_names_over_ssh(sshd: Sshd) -> None:
    box, root = sshd.box, os.fsencode(sshd.box / "src") + b"/"
    with Daemon(box, lua=config(sshd)) as daemon:
        daemon.wait_for("Startup of")
        for name in HOSTILE:
            with open(root + name, "wb") as file:
                file.write(b"hostile")
        wait_until(lambda: trees_equal(box), f"all names; it said:\n{daemon.said()}")
        for name in HOSTILE:
            os.rename(root + name, root + b"m" + name)
        wait_until(lambda: trees_equal(box), f"all moves; it said:\n{daemon.said()}")


RSYNC_ONLY = """#!/bin/sh
# what rrsync and scripts like it do
case "$SSH_ORIGINAL_COMMAND" in "rsync --server "*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;; esac
echo "Rejected"
"""


def test_an_account_that_may_run_rsync_only_keeps_no_old_name(sshd: Sshd) -> None:
    """It says of everything else that all is well."""
    box = sshd.box
    forced = sshd.home / "rsync-only"
    forced.write_text(RSYNC_ONLY)
    forced.chmod(0o755)
    public = sshd.home / "key.pub"
    public.write_text(f'command="{forced}" {public.read_text()}')
    (box / "src/d").mkdir()
    for name in ("f", "d/g"):
        (box / "src" / name).write_text(name)
    with Daemon(box, lua=config(sshd)) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/f").rename(box / "src/f2")
        (box / "src/d").rename(box / "src/d\n2")
        wait_until(lambda: trees_equal(box), f"the renames; it said:\n{daemon.said()}")
        (box / "src/f2").rename(box / "src/f3")
        wait_until(lambda: trees_equal(box), f"one more; it said:\n{daemon.said()}")
        assert daemon.said().count("lets us run neither sh nor mv") == 1
