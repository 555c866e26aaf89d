"""default.rsync with the real rsync: what happens in the source arrives, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.overflow import stopped
from tests.kit.processes import descendants
from tests.kit.trees import HOSTILE, snapshot

CONFIG = """
settings{{insist = true, {settings}}}
sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = {delay}, rsync = {{archive = true}}, {more}}}
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    return tmp_path


def config(box: Path, more: str = "", settings: str = "", delay: float = 0.2) -> str:
    return CONFIG.format(box=box, more=more, settings=settings, delay=delay)


def tree(path: Path) -> dict[bytes, bytes | None]:
    return snapshot(os.fsencode(path))


def wait_equal(box: Path, daemon: Daemon) -> None:
    wait_until(lambda: tree(box / "src") == tree(box / "trg"), f"equal trees; it said:\n{daemon.said()}")


def test_startup_makes_the_target_equal_and_deletes_what_is_extra(box: Path) -> None:
    (box / "src/d/e").mkdir(parents=True)
    (box / "src/d/e/f").write_text("deep")
    (box / "src/link").symlink_to("nowhere")
    (box / "trg/extra").write_text("old")
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        assert tree(box / "src") == tree(box / "trg")
        assert f"recursive startup rsync: {box}/src/ -> {box}/trg/" in daemon.said()


def test_every_kind_of_change_arrives(box: Path) -> None:
    (box / "src/old").mkdir()
    (box / "src/old/file").write_text("1")
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/new").write_text("new")
        (box / "src/a/b/c").mkdir(parents=True)
        (box / "src/a/b/c/deep").write_text("deep")
        wait_equal(box, daemon)
        (box / "src/new").write_text("changed")
        (box / "src/old").rename(box / "src/renamed")
        (box / "src/a/b/c/deep").rename(box / "src/up")
        wait_equal(box, daemon)
        (box / "src/up").chmod(0o640)
        wait_until(lambda: (box / "trg/up").stat().st_mode & 0o777 == 0o640, "the new mode")
        subprocess.run(["rm", "-r", box / "src/a", box / "src/renamed"], check=True)
        (box / "src/new").unlink()
        wait_equal(box, daemon)
        assert tree(box / "trg") == {b"up": b"deep"}


def test_a_file_in_place_of_a_directory_and_back(box: Path) -> None:
    (box / "src/x").mkdir()
    (box / "src/x/in").write_text("1")
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        subprocess.run(["rm", "-r", box / "src/x"], check=True)
        (box / "src/x").write_text("file")
        wait_equal(box, daemon)
        (box / "src/x").unlink()
        (box / "src/x").mkdir()
        (box / "src/x/again").write_text("2")
        wait_equal(box, daemon)


def test_excluded_and_filtered_paths_stay_home(box: Path) -> None:
    more = 'exclude = {"*.tmp", "/cache/"}, filter = {"+ /logs/keep", "- /logs/d*"}'
    (box / "trg/theirs.tmp").write_text("spared")
    (box / "src/cache").mkdir()
    (box / "src/logs").mkdir()
    with Daemon(box, lua=config(box, more)) as daemon:
        daemon.wait_for("Startup of")
        for name in ("cache/c", "a.tmp", "logs/keep", "logs/drop", "sent"):
            (box / "src" / name).write_text(name)
        wait_until(lambda: (box / "trg/sent").exists() and (box / "trg/logs/keep").exists(), "what is not excluded")
        (box / "src/last").write_text("")
        wait_until(lambda: (box / "trg/last").exists(), "the last file")
        assert set(tree(box / "trg")) == {b"theirs.tmp", b"logs", b"logs/keep", b"sent", b"last"}


@pytest.mark.parametrize(
    ("delete", "at_startup", "later"),
    [("true", True, True), ("false", False, False), ('"startup"', True, False), ('"running"', False, True)],
)
def test_delete_when_it_is_asked_to(box: Path, delete: str, at_startup: bool, later: bool) -> None:
    (box / "trg/extra").write_text("")
    (box / "src/goes").write_text("")
    with Daemon(box, lua=config(box, f"delete = {delete}")) as daemon:
        daemon.wait_for("Startup of")
        assert (box / "trg/extra").exists() is not at_startup
        (box / "src/goes").unlink()
        (box / "src/marker").write_text("")
        wait_until(lambda: (box / "trg/marker").exists(), "the marker")
        daemon.wait_for("Finished a list")
        assert (box / "trg/goes").exists() is not later


@pytest.mark.row(11)
def test_hostile_names_arrive_and_nothing_else_is_touched(box: Path) -> None:
    for name in (b"x", b"a", b"q", b"zz"):
        Path(os.fsdecode(os.fsencode(box / "src") + b"/" + name)).write_text("decoy")
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        root = os.fsencode(box / "src") + b"/"
        for name in HOSTILE:
            with open(root + name, "wb") as file:
                file.write(b"hostile")
            os.makedirs(root + b"dirs/" + name)
            with open(root + b"dirs/" + name + b"/" + name, "wb") as file:
                file.write(b"inside")
        wait_equal(box, daemon)
        for name in HOSTILE[::2]:
            os.unlink(root + name)
            os.rename(root + b"dirs/" + name, root + b"dirs/moved" + name[:100])
        wait_equal(box, daemon)
        log_times = [line for line in daemon.said().split("\n") if line[:1].isdigit()]
        assert all(line[8:].startswith((" Normal: ", " Warn: ")) for line in log_times)


def test_several_syncs_of_one_source_share_its_watches(box: Path) -> None:
    (box / "src/d").mkdir()
    (box / "two").mkdir()
    text = config(box) + f'sync{{default.rsync, source = "{box}/src", target = "{box}/two", delay = 0.2}}\n'
    with Daemon(box, lua=text) as daemon:
        daemon.wait_for("Startup of", 2)
        (box / "src/d/f").write_text("both")
        wait_until(lambda: (box / "trg/d/f").exists() and (box / "two/d/f").exists(), "the file on both targets")
        instances = [fd for fd in Path(f"/proc/{daemon.process.pid}/fd").iterdir() if "inotify" in os.readlink(fd)]
        assert len(instances) == 1, "within one instance the kernel holds one watch for a directory"


def stub(box: Path, text: str, name: str = "stub") -> str:
    path = box / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f'rsync = {{binary = "{path}"}}'


def starts(box: Path) -> list[float]:
    try:
        return [float(line) for line in (box / "starts").read_text().split()]
    except FileNotFoundError:
        return []


def test_a_delay_gathers_what_comes_within_it(box: Path) -> None:
    more = stub(box, f"cat >/dev/null; date +%s.%N >>{box}/starts")
    with Daemon(box, lua=config(box, more, delay=2).replace("rsync = {archive = true}, ", "")) as daemon:
        daemon.wait_for("Startup of")
        begun = os.times().elapsed
        with stopped(daemon):
            for number in range(20):
                (box / f"src/{number}").write_text("")
        daemon.wait_for("Finished a list")
        assert os.times().elapsed - begun >= 1.9
        assert len(starts(box)) == 2, "one startup, one batch"


def test_many_changes_do_not_wait_for_the_delay(box: Path) -> None:
    more = stub(box, "cat >/dev/null") + ", maxDelays = 10"
    with Daemon(box, lua=config(box, more, delay=3600).replace("rsync = {archive = true}, ", "")) as daemon:
        daemon.wait_for("Startup of")
        for number in range(10):
            (box / f"src/{number}").write_text("")
        daemon.wait_for("Finished a list")


@pytest.mark.row(25)
def test_under_the_limit_every_sync_has_its_turn(box: Path) -> None:
    """While one transfer runs, all three sources change: whoever is asked first would always be busy."""
    names, order = ("one", "two", "three"), box / "order"
    syncs = ""
    for name in names:
        (box / name).mkdir()
        touched = " ".join(f"{box}/{other}/$n" for other in names)
        text = f"""cat >/dev/null; echo {name} >>{order}; n=$(wc -l <{order}); test $n -ge 27 || touch {touched}"""
        stubbed = stub(box, text, f"rsync-{name}")
        syncs += f'sync{{default.rsync, source = "{box}/{name}", target = "{box}/trg", delay = 0, {stubbed}}}\n'
    with Daemon(box, lua=f"settings{{insist = true, maxProcesses = 1}}\n{syncs}"):
        wait_until(lambda: order.exists() and len(order.read_text().split()) >= 27, "27 transfers")
    turns = order.read_text().split()
    for begin in range(20):
        assert set(turns[begin : begin + 5]) == set(names), f"each within five: {turns}"


@pytest.mark.parametrize(("setting", "most"), [("", 3), ("maxProcesses = 1", 1)])
def test_no_more_processes_run_than_allowed(box: Path, setting: str, most: int) -> None:
    held = box / "held"
    held.mkdir()
    syncs = "".join(
        f'sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = 0, {stub(box, hold(held))}}}\n'
        for _ in range(3)
    )
    with Daemon(box, lua=f"settings{{insist = true, {setting}}}\n{syncs}") as daemon:
        wait_until(lambda: len(list(held.iterdir())) == most, f"{most} running")
        (box / "src/more").write_text("")
        daemon.wait_for_watches(1)
        assert len(list(held.iterdir())) == most
        (box / "go").write_text("")
        daemon.wait_for("Startup of", 3)
        daemon.wait_for("Finished a list", 3)


def hold(held: Path) -> str:
    """A transfer that runs until the file `go` is there."""
    return f"cat >/dev/null; touch {held}/$$; while [ ! -e {held.parent}/go ]; do sleep 0.05; done; rm {held}/$$"


@pytest.mark.row(2)
def test_forty_thousand_new_files_are_transferred(box: Path) -> None:
    with Daemon(box, lua=config(box, delay=0.5)) as daemon:
        daemon.wait_for("Startup of")
        for number in range(40):
            (box / f"src/{number}").mkdir()
            for file in range(1000):
                os.close(os.open(box / f"src/{number}/{file}", os.O_CREAT | os.O_WRONLY))
        wait_until(
            lambda: len(list((box / "trg").glob("*/*"))) == 40_000, f"all files; it said:\n{daemon.said()[-2000:]}", 90
        )
        wait_equal(box, daemon)


def test_nothing_is_left_of_an_rsync_that_was_killed_in_the_midst_of_a_file(box: Path) -> None:
    """Its receiver, that is: what the rest of rsync does then leaves half a file on the target, under another name."""
    binary = stub(box, f'test -e {box}/fast && exec rsync "$@"; exec rsync --bwlimit=100 "$@"').partition(" = ")[2]
    lua = config(box, delay=0).replace("archive = true", f"archive = true, {binary.strip('{}')}")
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/big").write_bytes(os.urandom(8_000_000))
        wait_until(lambda: any(name.startswith(".big.") for name in os.listdir(box / "trg")), "half a file")
        (box / "fast").touch()
        receiver = descendants(daemon.process.pid)[-1]
        os.kill(receiver, signal.SIGKILL)
        wait_equal(box, daemon)
        daemon.wait_for("Retrying a list")
    assert os.listdir(box / "trg") == ["big"]
