"""The status file: its text, its place, its time (spec 5.3)."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.delay import Delay
from orchestrator.logic.event import ACTIVE, BLOCK
from orchestrator.sync.statusfile import Report, StatusFile, SyncReport, Trouble, TunnelReport, render, write
from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WALL = 1_470_062_306.0  # Mon Aug  1 14:38:26 2016 in UTC
HEAD = b"Lsyncd status report at Mon Aug  1 14:38:26 2016\n\n"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def make_delay(status: str, etype: str, path: bytes, path2: bytes | None = None) -> Delay:
    delay = Delay(0, etype, 0.0, path, path2)
    delay.status = status
    return delay


# -- text


def test_as_lsyncd_writes_it() -> None:
    """The parts that 2.2.3 has as well, as it wrote them, but for the time."""
    delays = [
        make_delay(ACTIVE, "Move", b"/a", b"/b"),
        make_delay("wait", "Create", b"/d/"),
        make_delay(BLOCK, "Create", b"/d/x"),
    ]
    report = Report(
        wall=WALL,
        syncs=[
            SyncReport("one", b"/work/src/", delays, filters=[b"+ keep**", b"- drop**"]),
            SyncReport("two", b"/work/src/", []),
        ],
        watched=[b"/work/src/", b"/work/src/sub/"],
    )
    assert render(report) == HEAD + (
        b"one source=/work/src/\n"
        b"There are 3 delays\n"
        b"active Move /a -> /b\n"
        b"wait   Create /d/\n"
        b"block  Create /d/x\n"
        b"Filtering:\n"
        b"+ keep**\n"
        b"- drop**\n"
        b"\n\n"
        b"two source=/work/src/\n"
        b"There are 0 delays\n"
        b"Filtering:\n"
        b"  nothing.\n"
        b"\n\n"
        b"Inotify watching 2 directories\n"
        b"  1: /work/src/\n"
        b"  2: /work/src/sub/\n"
    )


def test_excludes_follow_filters() -> None:
    sync = SyncReport("one", b"/s/", [], filters=[b"+ a"], excludes=[b"*.tmp", b"/cache/"])
    assert b"Filtering:\n+ a\nFrom excludes:\n- *.tmp\n- /cache/\n\n\nInotify" in render(Report(WALL, [sync]))


def test_excludes_alone() -> None:
    sync = SyncReport("one", b"/s/", [], excludes=[b"*.tmp"])
    assert b"Filtering:\nFrom excludes:\n- *.tmp\n\n\nInotify" in render(Report(WALL, [sync]))


def test_tunnels_stand_before_the_watches() -> None:
    tunnel = TunnelReport("Tunnel1", "UP", [(17, "POOL", "12.5")])
    assert render(Report(WALL, [], [tunnel])) == HEAD + (
        b"Tunnel: name=Tunnel1 status=UP\nRunning processes: 1\n  pid=17 type=POOL started=12.5\n\n\n"
        b"Inotify watching 0 directories\n"
    )


def test_paths_of_the_retry_lane_are_counted() -> None:
    assert b"There are 0 delays\n3 paths wait to be tried again\nFiltering:" in render(
        Report(WALL, [SyncReport("one", b"/s/", [], retrying=3)])
    )


def test_a_sync_in_trouble_says_so_and_why() -> None:
    trouble = Trouble("retrying", WALL - 60, None, WALL, "no route\nto host")
    sync = SyncReport("one", b"/s/", [], retrying=3, trouble=trouble)
    stamp = HEAD.split(b" at ")[1].split(b"\n")[0]
    text = render(Report(WALL, [sync]))
    assert b"There are 0 delays\nState: retrying\nOldest change: " in text
    assert b"\nLast success: none\nLast error: " + stamp + b": no route\\x0ato host\n3 paths wait" in text
    sync = SyncReport("one", b"/s/", [], trouble=Trouble("stopped", last_success=WALL))
    assert b"State: stopped\nLast success: " + stamp + b"\nFiltering:" in render(Report(WALL, [sync]))


def test_names_are_bytes_and_stay_on_their_line() -> None:
    delays = [make_delay("wait", "Create", b"/\xff\xc3\xa4 x"), make_delay("wait", "Move", b"/a\nb", b"/\x1b[2K")]
    report = Report(WALL, [SyncReport("one\ntwo", b"/s\n/", delays, excludes=[b"x\ny"])], watched=[b"/s\n/"])
    text = render(report)
    assert b"wait   Create /\xff\xc3\xa4 x\nwait   Move /a\\x0ab -> /\\x1b[2K\n" in text
    assert b"one\\x0atwo source=/s\\x0a/\n" in text
    assert b"- x\\x0ay\n" in text
    assert text.endswith(b"  1: /s\\x0a/\n")


def test_delays_may_be_anything_that_can_be_walked_once() -> None:
    delays = (make_delay("wait", "Create", b"/%d" % number) for number in range(1000))
    text = render(Report(WALL, [SyncReport("one", b"/s/", delays)]))
    assert b"There are 1000 delays\nwait   Create /0\n" in text


# -- place


def test_a_new_file_is_as_any_program_s(tmp_path: Path) -> None:
    path = tmp_path / "status"
    write(os.fsencode(path), b"one\n")
    umask = os.umask(0)
    os.umask(umask)
    assert path.read_bytes() == b"one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert os.listdir(tmp_path) == ["status"]


def test_a_new_file_is_not_everybody_s_to_write(tmp_path: Path) -> None:
    umask = os.umask(0)
    write(os.fsencode(tmp_path / "status"), b"one\n")
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "status").stat().st_mode) == 0o664


def test_the_mode_that_it_was_given_stays(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.touch()
    path.chmod(0o640)
    write(os.fsencode(path), b"one\n")
    assert path.read_bytes() == b"one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "status")
    texts = {letter * 3_000_000 for letter in (b"a", b"b")}
    write(path, b"a" * 3_000_000)
    done = threading.Event()

    def write_on() -> None:
        for _ in range(10):
            for text in sorted(texts):
                write(path, text)
        done.set()

    thread = threading.Thread(target=write_on)
    thread.start()
    seen = set()
    while not done.is_set():
        with open(path, "rb") as file:
            seen.add(file.read())
    thread.join()
    assert seen <= texts


def test_what_a_killed_daemon_left_beside_it_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".status.new").write_text("half")
    write(os.fsencode(tmp_path / "status"), b"one\n")
    assert {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)} == {"status": "one\n"}


def test_a_directory_laid_beside_it_is_in_nobody_s_way(tmp_path: Path) -> None:
    """Who may write the directory stopped the status file for good."""
    (tmp_path / ".status.new/x").mkdir(parents=True)
    for text in (b"one\n", b"two\n"):
        write(os.fsencode(tmp_path / "status"), text)
        assert (tmp_path / "status").read_bytes() == text
    assert sorted(os.listdir(tmp_path)) == [".status.new", "status"]


def test_a_link_of_somebody_else_s_is_replaced(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("only root can make links of others")
    (tmp_path / "precious").write_text("precious")
    for name in ("status", "way"):
        (tmp_path / name).symlink_to("precious" if name == "status" else ".")
        os.lchown(tmp_path / name, 65534, 65534)
    write(os.fsencode(tmp_path / "status"), b"one\n")
    assert (tmp_path / "status").lstat().st_size == 4
    with pytest.raises(OSError, match="a link of somebody else's is on the way"):
        write(os.fsencode(tmp_path / "way/status"), b"two\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {
        "precious": "precious",
        "status": "one\n",
    }


def test_a_link_laid_beside_it_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".status.new").symlink_to("precious")
    write(os.fsencode(tmp_path / "status"), b"one\n")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_link_in_a_directory_of_everybody_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "status").symlink_to(tmp_path / "precious")
    write(os.fsencode(shared / "status"), b"one\n")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (shared / "status").read_text() == "one\n"
    assert not (shared / "status").is_symlink()


def test_a_link_of_the_administrator_s_is_followed(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "status").symlink_to("www/status.txt")
    for text in (b"one\n", b"two\n"):
        write(os.fsencode(tmp_path / "status"), text)
        assert (tmp_path / "www" / "status.txt").read_bytes() == text
    assert (tmp_path / "status").is_symlink()
    assert os.listdir(tmp_path / "www") == ["status.txt"]


def test_a_device(tmp_path: Path) -> None:
    write(b"/dev/null", b"one\n")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    (tmp_path / "null").symlink_to("/dev/null")
    write(os.fsencode(tmp_path / "null"), b"one\n")
    assert (tmp_path / "null").is_symlink()


def test_a_pipe_gets_it_and_nobody_waits_for_a_reader(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "pipe")
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        write(path, b"one\n")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(path, b"one\n")
    assert os.read(reader, 100) == b"one\n"
    os.close(reader)


def test_a_name_too_long_for_one_beside_it_is_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / ("s" * 255)
    for text in (b"longer than the next\n", b"one\n"):
        write(os.fsencode(path), text)
        assert path.read_bytes() == text
    assert os.listdir(tmp_path) == [path.name]


def test_a_directory_that_is_not_ours_to_write(tmp_path: Path) -> None:
    """Root may write anywhere, so the test becomes somebody else, in a process of its own."""
    directory = tmp_path / "theirs"
    directory.mkdir()
    path = directory / "status"
    path.write_text("something much longer\n")
    path.chmod(0o666)
    directory.chmod(0o555)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            # Opened while we may: a path below pytest's private directories is closed to others.
            os.chdir(directory)
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            write(b"./status", b"one\n")
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert path.read_text() == "one\n"


# -- time


class Said(list[str]):
    def __call__(self, category: str, *parts: str) -> None:
        self.append(f"{category}: {''.join(parts)}")


def report() -> Report:
    return Report(WALL, [])


def test_at_most_once_in_an_interval_and_then_what_fell_inside_it(tmp_path: Path) -> None:
    path = tmp_path / "status"
    file = StatusFile(str(path), 10, Said())
    assert file.alarm() is None
    file.touch()
    assert file.alarm() is not None
    assert file.write_if_due(100.0, report)
    assert file.alarm() is None  # nothing pending: nothing to wake up for
    path.unlink()
    file.touch()
    assert file.alarm() == 110.0
    assert not file.write_if_due(109.9, report)
    assert not path.exists()
    assert file.write_if_due(110.0, report)
    assert path.exists()


def test_nothing_changed_nothing_written(tmp_path: Path) -> None:
    def unwanted() -> Report:
        raise AssertionError("made for nothing")

    file = StatusFile(str(tmp_path / "status"), 0, Said())
    assert not file.write_if_due(100.0, unwanted)


def test_interval_0_is_every_turn(tmp_path: Path) -> None:
    file = StatusFile(str(tmp_path / "status"), 0, Said())
    for _ in range(3):
        file.touch()
        assert file.write_if_due(100.0, report)


def test_cannot_open_is_said_once_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "none" / "status"
    said = Said()
    file = StatusFile(str(path), 0, said)
    file.touch()
    for now in (100.0, 105.0, 110.0):
        file.touch()
        assert not file.write_if_due(now, report)
    assert said == [f'Error: Cannot open status file "{path}" :No such file or directory']
    assert file.alarm() == 120.0  # not at once, or the loop would never sleep
    path.parent.mkdir()
    assert file.write_if_due(120.0, report)
    assert path.exists()
    assert file.alarm() is None


def test_trouble_that_comes_back_is_said_again(tmp_path: Path) -> None:
    path = tmp_path / "dir" / "status"
    said = Said()
    file = StatusFile(str(path), 0, said)
    for now, there in ((100.0, False), (110.0, True), (111.0, False)):
        if there:
            path.parent.mkdir()
        elif path.exists():
            path.unlink()
            path.parent.rmdir()
        file.touch()
        assert file.write_if_due(now, report) is there
    assert len(said) == 2


def test_a_relative_path_is_of_the_directory_we_started_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = StatusFile("status", 0, Said())
    monkeypatch.chdir("/")
    file.touch()
    assert file.write_if_due(0.0, report)
    assert (tmp_path / "status").exists()


def test_one_that_is_gone_is_written_again_after_a_moment(tmp_path: Path) -> None:
    """Whoever took it away may be about to put another one there; and two daemons may have the same file."""
    status = StatusFile(str(tmp_path / "status"), 0, lambda *parts: None)
    status.touch()
    report = Report(WALL, [])
    assert status.write_if_due(100.0, lambda: report)
    (tmp_path / "status").unlink()
    status.has_gone(100.5)
    assert status.alarm() == 101.5
    assert not status.write_if_due(101.4, lambda: report)
    assert status.write_if_due(101.5, lambda: report)
    assert (tmp_path / "status").exists()
    assert status.alarm() is None


def test_a_heartbeat_writes_it_though_nothing_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "status"
    status = StatusFile(str(path), 10, lambda *parts: None, heartbeat=60)
    assert status.alarm() is None
    status.touch()
    assert status.write_if_due(100.0, report)
    path.unlink()
    assert status.alarm() == 160.0
    assert not status.write_if_due(159.9, report)
    assert status.write_if_due(160.0, report)
    assert path.exists()
    status.touch()
    assert status.alarm() == 170.0
    assert status.write_if_due(171.0, report)
    assert status.alarm() == 231.0  # counted from the last write, whatever it was for


def test_a_heartbeat_is_no_faster_than_the_interval(tmp_path: Path) -> None:
    status = StatusFile(str(tmp_path / "status"), 10, lambda *parts: None, heartbeat=1)
    status.touch()
    assert status.write_if_due(100.0, report)
    assert status.alarm() == 110.0


def test_a_heartbeat_waits_where_the_file_cannot_be_written(tmp_path: Path) -> None:
    status = StatusFile(str(tmp_path / "none" / "status"), 0, lambda *parts: None, heartbeat=1)
    status.touch()
    assert not status.write_if_due(100.0, report)
    assert status.alarm() == 110.0
