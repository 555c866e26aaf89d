"""What becomes of the source itself (spec 6 rows 7, 18, 22), through the whole daemon: unmounted and mounted, covered,
moved away and back, closed to the daemon and opened.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.limits import LimitedDaemon
from tests.kit.need import missing, program
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
settings{{ insist = true, pollInterval = 0.1, monitor = "{monitor}" }}
sync{{ {action}, name = "it", source = "{box}/disk/src", target = "{box}/trg", delay = 0 }}
"""


def config(box: Path, monitor: str = "inotify", action: str = "default.native") -> str:
    return CONFIG.format(box=box, monitor=monitor, action=action)


INTO, MAPPED = ([], []) if os.geteuid() == 0 else (["--user"], ["--user", "--map-root-user"])
"""Who is not root may mount in a user name space of its own."""


@functools.cache
def can_mount() -> bool:
    command = ["unshare", "--mount", *MAPPED, "mount", "-t", "tmpfs", "none", "/mnt"]
    return not subprocess.run(command, check=False, capture_output=True).returncode


class OnDisk(Daemon):
    """Its `disk` is a file system of its own, in memory, mounted where nobody else sees it."""

    def command(self) -> list[str]:
        if not can_mount():
            missing("nothing can be mounted")
        script = 'mount -t tmpfs none disk && mkdir disk/src && exec "$@"'
        return ["unshare", "--mount", *MAPPED, "sh", "-c", script, "sh", *super().command()]

    def shell(self, script: str) -> bool:
        """Runs it where the daemon lives; whether all of it went well."""
        into = ["nsenter", "--mount", *INTO, "--target", str(self.process.pid), "sh", "-e", "-c"]
        return not subprocess.run([*into, f"cd {self.box}\n{script}"], check=False, capture_output=True).returncode

    def unmount(self, place: str = "disk") -> None:
        """A transfer, or a look at it, may keep it busy for a moment."""
        wait_until(lambda: self.shell(f"umount {place}"), f"{place} to be unmounted")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("disk", "trg"):
        (tmp_path / name).mkdir()
    return tmp_path


def wait_target(box: Path, daemon: Daemon, expected: dict[bytes, bytes | None]) -> None:
    def holds() -> bool:
        try:
            return snapshot(os.fsencode(box / "trg")) == expected
        except FileNotFoundError:  # a transfer is under way
            return False

    wait_until(holds, f"{expected} on the target; it said:\n{daemon.said()[-3000:]}")


@pytest.mark.row(7, 22)
class WithoutWatches(OnDisk, LimitedDaemon):
    """Not even the source itself is watched."""

    def __init__(self, box: Path, lua: str) -> None:
        super().__init__(box, lua=lua.replace("insist", 'watchLimit = "degrade", insist'), watches=0)


@pytest.mark.row(7, 22)
@pytest.mark.parametrize(
    ("monitor", "kind"), [("inotify", OnDisk), ("inotify", WithoutWatches), ("poll", OnDisk), ("poll", WithoutWatches)]
)
def test_a_disk_unmounted_and_mounted_again(box: Path, monitor: str, kind: type[OnDisk]) -> None:
    with kind(box, lua=config(box, monitor)) as daemon:
        daemon.wait_for("finished.")
        assert daemon.shell("mkdir disk/src/d; echo precious >disk/src/d/f")
        held = {b"d": None, b"d/f": b"precious\n"}
        wait_target(box, daemon, held)

        daemon.unmount()
        daemon.wait_for(f"Error: source {box}/disk/src/ of it is gone; waiting for its return.")
        (box / "disk/stray").write_text("in the empty mount point")
        assert daemon.shell("mkdir disk/src")  # as an init script may do: this is not the source
        (box / "disk/src/stray").write_text("stray")
        assert snapshot(os.fsencode(box / "trg")) == held

        assert daemon.shell("mount -t tmpfs none disk; mkdir -p disk/src/d; echo other >disk/src/d/g")
        daemon.wait_for(f"source {box}/disk/src/ of it is back.")
        wait_target(box, daemon, {b"d": None, b"d/g": b"other\n"})
        assert daemon.shell("echo watched >disk/src/d/h")
        wait_target(box, daemon, {b"d": None, b"d/g": b"other\n", b"d/h": b"watched\n"})
        assert daemon.said().count("recursive full") == 1


@pytest.mark.row(7, 22)
def test_another_disk_mounted_over_the_source(box: Path) -> None:
    with OnDisk(box, lua=config(box)) as daemon:
        daemon.wait_for("finished.")
        assert daemon.shell("echo precious >disk/src/f")
        wait_target(box, daemon, {b"f": b"precious\n"})
        assert daemon.shell("mount -t tmpfs none disk/src")
        daemon.wait_for("of it is gone; waiting for its return.")
        assert daemon.shell("echo other >disk/src/g")
        daemon.unmount("disk/src")
        assert daemon.shell("echo more >disk/src/more")
        daemon.wait_for("of it is back.")
        wait_target(box, daemon, {b"f": b"precious\n", b"more": b"more\n"})


@pytest.mark.row(7)
@pytest.mark.parametrize("how", ["-t tmpfs none", "--bind disk/elsewhere"])
def test_a_disk_mounted_below_the_source(box: Path, how: str) -> None:
    with OnDisk(box, lua=config(box)) as daemon:
        daemon.wait_for("finished.")
        assert daemon.shell("mkdir -p disk/elsewhere disk/src/d/inner; echo f >disk/src/d/inner/f")
        wait_target(box, daemon, {b"d": None, b"d/inner": None, b"d/inner/f": b"f\n"})
        assert daemon.shell(f"mount {how} disk/src/d; mkdir disk/src/d/x; echo g >disk/src/d/x/g")
        daemon.wait_for("/d/x/g\n")
        assert daemon.shell("echo h >disk/src/d/x/h")
        wait_until(lambda: (box / "trg/d/x/h").exists(), f"what was written to the disk; it said:\n{daemon.said()}")
        daemon.unmount("disk/src/d")
        assert daemon.shell("echo i >disk/src/d/inner/i")
        wait_until(lambda: (box / "trg/d/inner/i").exists(), f"what is below it; it said:\n{daemon.said()}")
        assert (box / "trg/d/x/g").exists()


class Hidden(Daemon):
    """Some directories of its source are covered before it starts, as a service's unit may do."""

    def command(self) -> list[str]:
        if not can_mount():
            missing("nothing can be mounted")
        mounts = ("-t tmpfs -o mode=0 none modules", "-t tmpfs none tmp", "-t tmpfs none excluded", "--bind same same")
        script = "".join(f"mount {mount} && " for mount in mounts) + 'cd ../.. && exec "$@"'
        return ["unshare", "--mount", *MAPPED, "sh", "-c", f"cd disk/src && {script}", "sh", *super().command()]


def test_a_directory_that_only_this_process_sees_empty_is_warned_of(box: Path) -> None:
    """A unit with ProtectKernelModules= wiped the modules on the target, and nobody said a word."""
    for name in ("modules", "tmp", "excluded", "same", "plain"):
        (box / "disk/src" / name).mkdir(parents=True)
    with Hidden(box, lua=config(box).replace("delay = 0", 'delay = 0, exclude = {"/excluded"}')) as daemon:
        daemon.wait_for("finished.")
        warnings = [line.partition(" Warn: ")[2] for line in daemon.said().splitlines() if " Warn: " in line]
    covered = ["modules", "tmp"] if os.geteuid() == 0 else ["modules"]  # what the machine has, root may see
    assert [line.partition(": something was mounted over it that only this process sees")[0] for line in warnings] == [
        f"{box}/disk/src/{name}" for name in covered
    ]


@pytest.mark.row(7)
def test_a_source_moved_away_and_back_with_what_happened_meanwhile(box: Path) -> None:
    source = box / "disk/src"
    (source / "d/e").mkdir(parents=True)
    (source / "d/e/f").write_text("f")
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("finished.")
        for moved, times in ((source, 1), (source.parent, 2)):  # by itself, then with what is above it
            away = box / f"away{times}"
            moved.rename(away)
            daemon.wait_for("of it is gone; waiting for its return.", times)
            inside = away if moved is source else away / "src"
            assert (box / "trg/d/e/f").exists()
            (inside / f"new{times}").mkdir()
            (inside / f"new{times}/g").write_text("g")
            (inside / "d").rename(inside / "D")
            away.rename(moved)
            daemon.wait_for("of it is back.", times)
            wait_target(box, daemon, snapshot(os.fsencode(source)))
            (source / "D").rename(source / "d")
            (source / f"new{times}/h").write_text("h")
            wait_target(box, daemon, snapshot(os.fsencode(source)))
        assert daemon.said().count("recursive full") == 2


@pytest.mark.row(7)
def test_a_source_deleted_and_made_again_in_the_same_moment_again_and_again(box: Path) -> None:
    source = box / "disk/src"
    source.mkdir()
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("finished.")
        for number in range(30):
            shutil.rmtree(source)
            (source / f"d{number}/e").mkdir(parents=True)
            (source / f"d{number}/e/f").write_text(f"{number}")
        wait_target(box, daemon, snapshot(os.fsencode(source)))
        daemon.wait_for("of it is back.")
        (source / "d29/e/f").write_text("watched")
        wait_target(box, daemon, snapshot(os.fsencode(source)))


class Unprivileged(Daemon):
    """Run by root it has not root's right to read everything."""

    def command(self) -> list[str]:
        if os.geteuid() != 0:
            return super().command()
        rights = "-dac_override,-dac_read_search"
        return [program("setpriv"), f"--bounding-set={rights}", f"--inh-caps={rights}", *super().command()]


@pytest.mark.row(18)
@pytest.mark.row(18)
@pytest.mark.parametrize("action", ["default.native", "default.rsync, rsync = { perms = true }"])
def test_what_was_closed_is_carried_over_when_it_is_opened(box: Path, action: str) -> None:
    source = box / "disk/src"
    (source / "closed/inner").mkdir(parents=True)
    (source / "closed/inner/f").write_text("f")
    (source / "file").write_text("secret")
    for path in ("closed/inner", "closed", "file"):
        (source / path).chmod(0)
    with Unprivileged(box, lua=config(box, action=action)) as daemon:
        daemon.wait_for(f"Warn: Cannot watch {source}/closed/: Permission denied. Trying again when its attributes")
        (source / "open").write_text("open")
        wait_until((box / "trg/open").exists, "what is open")
        (source / "late").mkdir(0)
        daemon.wait_for("Permission denied. Trying again when its attributes change.", 2)
        for path in ("closed", "file", "late", "closed/inner"):
            (source / path).chmod(0o755)
        wait_target(box, daemon, snapshot(os.fsencode(source)))
        for path in ("closed", "closed/inner", "late"):
            (source / path / "new").mkdir()
            (source / path / "new/g").write_text("watched now")
        wait_target(box, daemon, snapshot(os.fsencode(source)))


@pytest.mark.parametrize("monitor", ["inotify", "poll", "fanotify"])
def test_with_insist_a_source_that_is_not_there_is_waited_for(box: Path, monitor: str) -> None:
    if monitor == "fanotify" and os.geteuid() != 0:
        pytest.skip("fanotify needs root")
    (box / "other").mkdir()
    (box / "other" / "f").write_text("x")
    lua = f"""
        settings{{ insist = true, monitor = "{monitor}", pollInterval = 0.2 }}
        sync{{ default.rsync, source = "{box}/late/src", target = "{box}/trg", delay = 0.1, name = "it" }}
        sync{{ default.rsync, source = "{box}/other", target = "{box}/disk", delay = 0.1 }}
    """
    (box / "trg" / "kept").write_text("x")
    with Daemon(box, lua=lua) as daemon:
        wait_until((box / "disk/f").exists, "the other sync's startup")
        daemon.wait_for(f"Error: source {box}/late/src/ of it is gone; waiting for its return.")
        assert (box / "trg/kept").exists()
        (box / "late/src").mkdir(parents=True)
        (box / "late/src/new").write_text("x")
        daemon.wait_for(f"source {box}/late/src/ of it is back.")
        wait_target(box, daemon, {b"new": b"x"})
        (box / "late/src/more").write_text("x")
        wait_target(box, daemon, {b"new": b"x", b"more": b"x"})


def test_without_insist_it_is_an_error(box: Path) -> None:
    with Daemon(box, lua=f'sync{{ default.rsync, source = "{box}/late", target = "{box}/trg" }}') as daemon:
        assert daemon.wait() == 255
    assert "Cannot access source directory" in daemon.said()


class OnOverlay(OnDisk):
    """Its source is an overlay: what is in it at the start lies in the lower layer, which nobody writes to."""

    def command(self) -> list[str]:
        command = super().command()
        script = """mount -t tmpfs none disk && cd disk && mkdir src lower upper work && cd lower &&
            for name in written appended chmod renamed linked kept; do echo old >$name; done &&
            ln linked link && mkdir d e d/sub && echo old >d/f && echo old >d/sub/f && echo old >e/gone && cd ../.. &&
            mount -t overlay -o lowerdir=disk/lower,upperdir=disk/upper,workdir=disk/work none disk/src && exec "$@"
        """
        return [*command[: command.index("-c") + 1], script, *command[command.index("-c") + 2 :]]


@pytest.mark.parametrize("monitor", ["inotify", "poll"])
def test_files_and_directories_that_an_overlay_copies_up(box: Path, monitor: str) -> None:
    with OnOverlay(box, lua=config(box, monitor)) as daemon:
        daemon.wait_for("Startup of")
        wait_until(lambda: (box / "trg/d/sub/f").exists(), "the startup")
        assert daemon.shell(
            """cd disk/src
            printf new | dd of=written conv=notrunc; echo more >>appended; chmod 600 chmod; echo more >>chmod
            mv renamed e/there; echo more >>e/there; echo more >>link; chmod 700 d; echo more >>d/f
            echo more >>d/sub/f; touch d/sub/new; rm e/gone; mkdir e/gone; echo x >e/gone/f"""
        )
        more = b"old\nmore\n"
        expected: dict[bytes, bytes | None] = {
            b"written": b"new\n", b"appended": more, b"chmod": more, b"linked": b"old\n", b"link": more,
            b"kept": b"old\n", b"d": None, b"d/f": more, b"d/sub": None, b"d/sub/f": more, b"d/sub/new": b"",
            b"e": None, b"e/there": more, b"e/gone": None, b"e/gone/f": b"x\n",
        }  # fmt: skip
        wait_target(box, daemon, expected)
