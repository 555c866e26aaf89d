"""Faults of lsyncd that must not come back (spec 6), each on the whole daemon with real programs.

`row(N)` names the row of the table; tests/unit/test_rows.py sees to it that none is without a test. Those of larger
matters stand with their kind: overflow and unmounting with the monitors, failing transfers with theirs.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.overflow import stopped
from tests.kit.trees import snapshot, text_of


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    return tmp_path


def script(box: Path, name: str, text: str) -> Path:
    path = box / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def rsync(box: Path, more: str = "", settings: str = "", delay: float = 0.1) -> str:
    return f"""settings{{insist = true, {settings}}}
    sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = {delay}, {more}}}"""


def user(box: Path, more: str, settings: str = "") -> str:
    """A sync with handlers of the user's own."""
    return f'settings{{insist = true, {settings}}}\nsync{{source = "{box}/src", {more}}}'


def trees(box: Path) -> tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]]:
    return snapshot(os.fsencode(box / "src")), snapshot(os.fsencode(box / "trg"))


def wait_equal(box: Path, daemon: Daemon) -> None:
    def is_equal() -> bool:
        source, target = trees(box)
        return source == target

    wait_until(is_equal, f"equal trees; it said:\n{daemon.said()}")


@pytest.mark.row(28)
def test_no_name_and_no_pattern_keeps_other_syncs_waiting(box: Path) -> None:
    """Fifty such names cost a backtracking matcher minutes; the deadline of a wait is seconds."""
    others = f"""sync{{default.rsync, source = "{box}/src2", target = "{box}/trg2", delay = 0}}"""
    (box / "src2").mkdir()
    (box / "trg2").mkdir()
    rules = "exclude = {'*-*-*-*-*.log', '**/-**-**/-**.o'}"
    with Daemon(box, lua=f"{rsync(box, rules)}\n{others}") as daemon:
        daemon.wait_for("Startup of", times=2)
        for number in range(50):
            (box / f"src/{'-' * (200 + number)}").touch()
        (box / "src2/f").write_text("x")
        wait_until((box / "trg2/f").exists, "the other sync's file")
        wait_equal(box, daemon)


@pytest.mark.row(1)
def test_a_file_written_a_thousand_times_travels_once(box: Path) -> None:
    with Daemon(box, lua=rsync(box, delay=1)) as daemon:
        daemon.wait_for("Startup of")
        with stopped(daemon):
            for number in range(1000):
                (box / "src/f").write_text(f"{number}")
        wait_equal(box, daemon)
        (box / "src/last").write_text("")
        wait_equal(box, daemon)
        assert daemon.said().count("\n/f\n") == 1


@pytest.mark.row(1)
def test_handlers_of_the_users_own_see_each_kind_of_change_once(box: Path) -> None:
    handlers = ", ".join(f'on{kind} = "echo {kind} >>{box}/seen"' for kind in ("Create", "Modify", "Attrib"))
    with Daemon(box, lua=user(box, f"delay = 1, {handlers}")) as daemon:
        daemon.wait_for_watches(1)
        with stopped(daemon):
            for number in range(100):
                (box / "src/f").write_text(f"{number}")
                (box / "src/f").chmod(0o600 + number % 2)
        daemon.wait_for("Finished", 3)
        assert sorted(text_of(box / "seen").split()) == ["Attrib", "Create", "Modify"]


@pytest.mark.row(3)
def test_a_killed_rsync_is_run_again(box: Path) -> None:
    slow = script(box, "slow", f'test -e {box}/fast && exec rsync "$@"\nexec rsync --bwlimit=4 "$@"')
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{slow}"}}')) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/f").write_bytes(os.urandom(200_000))
        wait_until(lambda: list((box / "trg").glob(".f.*")), "the transfer")
        (box / "fast").touch()
        for child in Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        daemon.wait_for(f"Retrying a list after exitcode = {128 + signal.SIGKILL}")
        wait_equal(box, daemon)


@pytest.mark.row(4)
@pytest.mark.parametrize(
    "mistake", ["sync{ default.rsync, nosuch = 1 }", "settings{ nosuch = 1 }", "sync{ default.nosuch }", "nosuch()"]
)
def test_a_mistake_is_one_line_that_says_where(box: Path, mistake: str) -> None:
    with Daemon(box, lua=f"-- a line\n{mistake}") as daemon:
        assert daemon.wait() == 255
        assert "config.lua:2: " in daemon.said()
        assert daemon.said().count("\n") == 1


@pytest.mark.row(5)
def test_what_is_done_out_of_order_makes_nothing_forgotten(box: Path) -> None:
    """The first of many changes is the last to be done with."""
    work = f"""[[
        case ^pathname in 0|7) while ! test -e {box}/go; do sleep 0.02; done;; esac
        echo ^pathname >>{box}/done
    ]]"""
    with Daemon(box, lua=user(box, f"maxProcesses = 4, onCreate = {work}")) as daemon:
        daemon.wait_for_watches(1)
        for number in range(20):
            os.mkfifo(box / f"src/{number}")
        wait_until(lambda: len(text_of(box / "done").split()) == 18, "all but two")
        (box / "go").touch()
        wait_until(lambda: sorted(map(int, text_of(box / "done").split())) == list(range(20)), "all of them")


@pytest.mark.row(6)
def test_a_directory_moved_out_is_not_heard_of_any_more(box: Path) -> None:
    (box / "src/d/e").mkdir(parents=True)
    told = " ".join(f'on{kind} = "echo {kind} ^pathname >>{box}/seen",' for kind in ("Create", "Modify", "Delete"))
    with Daemon(box, lua=user(box, told)) as daemon:
        daemon.wait_for_watches(3)
        (box / "src/d").rename(box / "out")
        wait_until(lambda: text_of(box / "seen") == "Delete d\n", "the deletion")
        (box / "out/e/f").write_text("not ours")
        (box / "out/g").write_text("not ours")
        os.mkfifo(box / "src/last")
        wait_until(lambda: text_of(box / "seen") == "Delete d\nCreate last\n", "the last change, and no other")
        info = "".join(path.read_text() for path in Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir())
        inodes = {f"ino:{path.stat().st_ino:x} " for path in (box / "out", box / "out/e")}
        assert not [inode for inode in inodes if inode in info]


@pytest.mark.row(7, 22)
@pytest.mark.parametrize("how", ["deleted", "moved away", "replaced"])
def test_a_source_that_goes_empties_no_target(box: Path, how: str) -> None:
    (box / "src/d").mkdir()
    (box / "src/d/f").write_text("precious")
    with Daemon(box, lua=rsync(box)) as daemon:
        daemon.wait_for("Startup of")
        if how == "deleted":
            shutil.rmtree(box / "src")
            (box / "src").mkdir()
        else:
            (box / "src").rename(box / "away")
            if how == "moved away":
                daemon.wait_for("Error: source ")
                assert (box / "trg/d/f").read_text() == "precious"
            (box / "src").mkdir()
        (box / "src/new").write_text("new")
        daemon.wait_for(f"Error: source {box}/src/ of Sync1 is gone")
        daemon.wait_for("of Sync1 is back.")
        wait_equal(box, daemon)
        (box / "src/newer").write_text("watched again")
        wait_equal(box, daemon)


@pytest.mark.row(10)
def test_the_status_file_shows_excludes(box: Path) -> None:
    settings = f'statusFile = "{box}/status", statusInterval = 0'
    with Daemon(box, lua=rsync(box, 'exclude = {"*.tmp", "/cache/"}', settings)) as daemon:
        daemon.wait_for("Startup of")
        wait_until(lambda: "\nFrom excludes:\n- *.tmp\n- /cache/\n" in text_of(box / "status"), "the excludes")


@pytest.mark.row(13)
def test_a_target_that_does_not_answer_is_tried_less_and_less_often_and_nobody_waits_for_it(box: Path) -> None:
    failing = f'test "$(wc -l 2>/dev/null <{box}/tries)" = 3 && exec rsync "$@"'
    down = script(box, "down", f"{failing}\ndate +%s.%N >>{box}/tries; exit 12")
    other = f'sync{{default.rsync, source = "{box}/src", target = "{box}/other", delay = 0.1}}'
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{down}"}}') + "\n" + other) as daemon:
        wait_until(lambda: len(text_of(box / "tries").split()) >= 2, "a second try")
        (box / "src/f").write_text("")
        wait_until(lambda: (box / "other/f").exists(), "the other target to get it meanwhile")
        wait_until(lambda: len(text_of(box / "tries").split()) == 3, "a third try")
        first, second, third = map(float, text_of(box / "tries").split())
        assert second - first >= 1
        assert third - second >= 2
        daemon.wait_for("Normal: Retrying startup of", 3)
        assert daemon.said().count("Normal: Retrying startup of") == 3
        wait_equal(box, daemon)


@pytest.mark.row(14)
def test_a_config_of_lsyncd_2_0_runs(box: Path) -> None:
    lua = f"""settings = {{ insist = true, statusFile = "{box}/status" }}
    sync{{
        source = "{box}/src",
        init = function(inlet)
            local event = inlet.createBlanketEvent()
            spawn(event, "/bin/sh", "-c", unpack{{ "echo startup >>{box}/seen" }})
        end,
        action = function(inlet)
            local elist = inlet.getEvents()
            spawn(elist, "/bin/sh", "-c", "echo " .. table.getn(elist.getPaths()) .. " changes >>{box}/seen")
        end
    }}"""
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Warn: ")
        wait_until(lambda: text_of(box / "seen") == "startup\n", "the startup")
        daemon.wait_for_watches(1)
        os.mkfifo(box / "src/f")
        wait_until(lambda: text_of(box / "seen") == "startup\n1 changes\n", "the change")


@pytest.mark.row(15)
def test_nobody_ever_reads_half_a_status_file(box: Path) -> None:
    for number in range(200):
        (box / f"src/directory-{number}").mkdir()
    settings = f'statusFile = "{box}/status", statusInterval = 0'
    with Daemon(box, lua=user(box, "delay = 0, onCreate = 'true'", settings)) as daemon:
        daemon.wait_for_watches(201)
        wait_until(lambda: (box / "status").exists(), "the first report")
        seen = set()
        for number in range(2000):
            if number % 20 == 0:
                os.mkfifo(box / f"src/{number}")
            report = (box / "status").read_text()
            assert report.startswith("Lsyncd status report at ")
            assert report.endswith(f" {box}/src/directory-{sorted(map(str, range(200)))[-1]}/\n") or "201: " in report
            seen.add(report)
        assert len(seen) > 5, "it was written meanwhile"


@pytest.mark.row("16b")
def test_what_rsync_could_not_transfer_is_tried_again_and_holds_up_nothing(box: Path) -> None:
    """A directory of the target is closed to rsync, which may be root's: so without what makes it root."""
    for name in ("src/d", "trg/d"):
        (box / name).mkdir()
    (box / "trg/d").chmod(0o555)
    mortal = script(box, "mortal", 'exec setpriv --bounding-set=-dac_override,-dac_read_search rsync "$@"')
    settings = f'statusFile = "{box}/status", statusInterval = 0'
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{mortal}"}}', settings)) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/d/f").write_text("f")
        daemon.wait_for("Warn: rsync could not transfer everything; ")
        daemon.wait_for("Permission denied")
        wait_until(lambda: " to be tried again" in text_of(box / "status"), "their number in the status")
        (box / "src/g").write_text("g")
        wait_until((box / "trg/g").exists, "another change")
        (box / "trg/d").chmod(0o755)
        wait_equal(box, daemon)


@pytest.mark.row(19)
def test_a_half_written_upload_stays_home(box: Path) -> None:
    with Daemon(box, lua=rsync(box, settings='inotifyMode = "CloseWrite only"')) as daemon:
        daemon.wait_for("Startup of")
        with (box / "src/upload").open("w") as upload:
            upload.write("half")
            upload.flush()
            (box / "src/whole").write_text("whole")
            wait_until(lambda: (box / "trg/whole").exists(), "what was written whole")
            daemon.wait_for("Finished a list")
            assert not (box / "trg/upload").exists()
            upload.write(" and half")
        wait_equal(box, daemon)


class OnOtherFileSystem(Daemon):
    """Its source seems to lie on a file system that others write to: so the kernel's table says."""

    def command(self) -> list[str]:
        mounts = f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {self.box}/src rw - nfs4 server:/x rw\n"
        (self.box / "mounts").write_text(mounts)
        shell = f'mount --bind {self.box}/mounts /proc/$$/mountinfo && exec "$@"'
        return ["unshare", "-r", "-m", "sh", "-c", shell, "sh", *super().command()]


@pytest.mark.row(20)
def test_a_source_that_others_write_to_is_warned_of(box: Path) -> None:
    with OnOtherFileSystem(box, lua=rsync(box)) as daemon:
        daemon.wait_for(f"Warn: {box}/src/ lies on nfs4: changes made by other machines go unnoticed")
        daemon.wait_for("Startup of")


@pytest.mark.row(21)
def test_a_big_tree_tells_how_far_it_is(box: Path) -> None:
    for number in range(3000):
        (box / f"src/{number}").mkdir()
    with Daemon(box, lua=rsync(box)).hurry(10_000) as daemon:
        daemon.wait_for(" directories so far", 2)
        daemon.wait_for("Startup of")


@pytest.mark.row(24)
def test_directories_moved_onto_one_another_and_swapped(box: Path) -> None:
    for name in ("a", "b", "c"):
        (box / f"src/{name}").mkdir()
        (box / f"src/{name}/{name}").write_text(name)
    (box / "src/empty").mkdir()
    direct = f'sync{{default.direct, source = "{box}/src", target = "{box}/trg", delay = 0.2}}'
    with Daemon(box, lua=direct) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/a").rename(box / "src/empty")
        wait_equal(box, daemon)
        (box / "src/b").rename(box / "src/t")
        (box / "src/c").rename(box / "src/b")
        (box / "src/t").rename(box / "src/c")
        wait_equal(box, daemon)
        assert trees(box)[1] == {b"empty": None, b"empty/a": b"a", b"b": None, b"b/c": b"c", b"c": None, b"c/b": b"b"}


@pytest.mark.row(32)
def test_direct_follows_no_link_and_waits_for_no_fifo(box: Path) -> None:
    for name in ("d", "e"):
        (box / f"src/{name}").mkdir()
        (box / f"src/{name}/f").write_text("old")
    (box / "others").mkdir()
    (box / "others/f").write_text("not yours")
    direct = f'sync{{default.direct, source = "{box}/src", target = "{box}/trg", delay = 0.5}}'
    with Daemon(box, lua=direct) as daemon:
        daemon.wait_for("Startup of")
        (box / "trg/d").rename(box / "was d")
        (box / "trg/d").symlink_to(box / "others")
        (box / "src/d/f").write_text("new")
        (box / "src/e/f").unlink()
        os.mkfifo(box / "src/e/f")
        (box / "src/g").write_text("after it")
        daemon.wait_for("is a symlink, and a directory in the source: it is not followed")
        wait_equal(box, daemon)
        assert (box / "others/f").read_text() == "not yours"


@pytest.mark.row(30)
@pytest.mark.parametrize("action", ["rsync", "direct", "native"])
def test_a_source_inside_its_target_is_refused(box: Path, action: str) -> None:
    source = box / "trg" / "src"
    source.mkdir()
    (source / "f").write_text("x")
    (box / "link").symlink_to(box / "trg")
    lua = f'sync{{default.{action}, source = "{source}", target = "{box}/link"}}'
    with Daemon(box, lua=lua) as daemon:
        assert daemon.wait() == 255
    assert "lies inside the target" in daemon.said()
    assert (source / "f").read_text() == "x"


@pytest.mark.row(30)
@pytest.mark.parametrize("action", ["rsync", "direct", "native"])
def test_a_target_inside_its_source_is_left_out(box: Path, action: str) -> None:
    source, target = box / "src", box / "src" / "bak"
    (source / "old").write_text("x")
    lua = f'sync{{default.{action}, source = "{source}", target = "{target}", delay = 0.1}}'
    with Daemon(box, lua=lua) as daemon:
        wait_until(lambda: (target / "old").exists(), "the startup")
        (source / "new").write_text("x")
        wait_until(lambda: (target / "new").exists(), "a change")
        os.utime(source)
        (source / "last").write_text("x")
        wait_until(lambda: (target / "last").exists(), "one more change")
    assert sorted(path.name for path in target.iterdir()) == ["last", "new", "old"]
    assert daemon.said().count("it is left out") == 1


@pytest.mark.row(36)
def test_one_change_in_a_large_directory_has_rsync_read_that_file_alone(box: Path) -> None:
    for tree in ("src", "trg"):
        (box / tree / "d").mkdir()
        first = box / tree / "d" / ("name " * 8)
        first.touch()
        os.utime(first, (0, 0))
        for number in range(5000):
            os.link(first, f"{first}{number}")
    binary = script(box, "rsync", f'rsync -vv "$@" >>"{box}/looked"')
    with Daemon(box, lua=rsync(box, f'rsync = {{binary = "{binary}"}}')) as daemon:
        daemon.wait_for("Startup of")
        (box / "looked").unlink()
        (box / "src/d/changed").write_text("new")
        wait_until(lambda: text_of(box / "trg/d/changed") == "new", "the change")
        daemon.wait_for("Finished a list")
        looked = text_of(box / "looked")
        assert "hiding" not in looked
        assert "d/changed" in looked
