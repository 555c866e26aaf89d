"""A startup in parts, turn by turn: all of the daemon is real but its machine."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.division import BYTES_AN_ENTRY, LEAST_FAR
from tests.kit.turns import TERMINATED, Script, TurnedDaemon, turn

if TYPE_CHECKING:
    from pathlib import Path

DIED = 255
DONE = "Startup of {source}/ -> host:/trg/ finished."


@pytest.fixture(name="source")
def fixture_source(tmp_path: Path) -> Path:
    """Four directories that are worth a part each, and a file beside them."""
    source = tmp_path / "src"
    for name in "abcd":
        (source / name).mkdir(parents=True)
        with (source / name / "large").open("wb") as file:
            file.truncate(LEAST_FAR * BYTES_AN_ENTRY)
    (source / "beside").write_text("x")
    return source


def config(source: Path, more: str = "startupProcesses = 2", settings: str = "") -> str:
    return f'settings{{{settings}}}\nsync{{default.rsync, source = "{source}", target = "host:/trg", {more}}}\n'


def look(daemon: TurnedDaemon) -> None:
    """The job that looks through the tree does so, or the one that counts what would be deleted."""
    for started in daemon.running:
        if started.job is not None:
            daemon.system.end(started, started.job(threading.Event()))


def runs(daemon: TurnedDaemon) -> list[str]:
    """Of each rsync that runs: `rest`, the letters of its part, `all`, or the paths of a batch."""
    found = []
    for started in daemon.running:
        rules = (started.stdin or b"").decode()
        lines = rules.split("\n")
        if started.job is not None:
            found.append("look")
        elif "--from0" in [word.decode() for word in started.child.argv]:
            found.append(" ".join(path for path in rules.split("\0") if not path.endswith("/")))
        elif "- /a/" in lines:
            found.append("rest")
        else:
            found.append("".join(line[3] for line in lines if line.startswith("+ /")) or "all")
    return found


def part_of(daemon: TurnedDaemon, letter: str, exit_code: int = 0, stderr: bytes = b"") -> None:
    """The run for that directory ends."""
    for started in daemon.running:
        if f"+ /{letter}/".encode() in (started.stdin or b""):
            daemon.system.end(started, exit_code, stderr)


def begin(daemon: TurnedDaemon) -> Script:
    """Up to the first parts."""
    yield
    assert runs(daemon) == ["look"]
    look(daemon)
    yield
    assert runs(daemon) == ["rest"]
    daemon.end(0)
    yield
    assert runs(daemon) == ["a", "b"]


def test_so_many_at_a_time_one_start_and_one_finish(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        part_of(daemon, "b")
        yield
        assert runs(daemon) == ["a", "c"]
        part_of(daemon, "a")
        part_of(daemon, "c")
        yield
        assert runs(daemon) == ["d"]
        assert daemon.plugin.states == {"Sync1": "starting"}
        assert not [line for line in daemon.lines() if "finished" in line]
        assert daemon.plugin.full_runs == []
        part_of(daemon, "d")
        yield
        assert daemon.plugin.full_runs == [(True, "ok")]
        assert daemon.plugin.states == {"Sync1": "in sync"}
        lines = daemon.lines("Normal")
        assert lines[1:] == [f"recursive startup rsync: {source}/ -> host:/trg/", DONE.format(source=source)]

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_changes_below_a_finished_part_go_at_once(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.change(*(f"{source}/{path}" for path in ("a/f", "b/f", "c/f", "beside")))
        look(daemon)
        yield 60
        assert runs(daemon) == ["rest"], "all changes wait for it"
        daemon.end(0)
        yield
        assert runs(daemon) == ["a", "b", "/beside"]
        daemon.end(0)
        yield
        assert runs(daemon) == ["b", "/beside", "c"]
        daemon.end_all()
        yield
        assert runs(daemon) == ["d", "/a/f /b/f /c/f"]
        daemon.change(f"{source}/d/f", f"{source}/b/g")
        yield 60
        assert runs(daemon) == ["d", "/a/f /b/f /c/f"], "maxProcesses is 1"
        daemon.end_all()
        yield
        assert daemon.lines("Normal").count(DONE.format(source=source)) == 1

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_the_limit_of_changes_is_beside_that_of_parts(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        part_of(daemon, "a")
        yield
        daemon.change(f"{source}/a/f")
        yield 20
        assert runs(daemon) == ["b", "c", "/a/f"]
        daemon.change(f"{source}/a/g")
        yield 20
        assert runs(daemon) == ["b", "c", "/a/f"], "maxProcesses is 1"
        part_of(daemon, "b")
        yield
        assert runs(daemon) == ["c", "/a/f", "d"]

    assert turn(tmp_path, script, config(source)) == TERMINATED


@pytest.mark.parametrize("settings", ["", "insist = true"])
def test_a_part_that_fails_is_tried_again_alone(tmp_path: Path, source: Path, settings: str) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        daemon.change(f"{source}/a/f", f"{source}/c/f")
        part_of(daemon, "a", 11, b"rsync: no such thing\n")
        yield
        assert runs(daemon) == ["b", "c"], "the next one takes its place"
        part_of(daemon, "b")
        part_of(daemon, "c")
        yield
        assert runs(daemon) == ["d"]
        yield 14
        assert runs(daemon) == ["d"]
        yield 1
        assert runs(daemon) == ["d", "a", "/c/f"]
        part_of(daemon, "a", 11)
        yield 29
        assert runs(daemon) == ["d", "/c/f"]
        daemon.end_all()
        yield 1
        assert runs(daemon) == ["a"]
        assert daemon.plugin.states == {"Sync1": "retrying"}
        assert [line for line in daemon.lines() if "etrying" in line] == [
            f"Retrying startup of {source}/ -> host:/trg/: 11"
        ] * 2
        part_of(daemon, "a")
        yield
        assert runs(daemon) == ["/a/f"]
        assert daemon.lines("Normal").count(DONE.format(source=source)) == 1

    assert turn(tmp_path, script, config(source, settings=settings)) == TERMINATED


def test_with_onepass_and_without_insist_it_ends_the_daemon(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        part_of(daemon, "a", 11)

    assert turn(tmp_path, script, config(source), onepass=True) == DIED


def test_with_onepass_it_ends_after_the_last_part(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        part_of(daemon, "a")
        part_of(daemon, "b")
        yield
        assert runs(daemon) == ["c", "d"]
        part_of(daemon, "d")
        yield
        part_of(daemon, "c")

    assert turn(tmp_path, script, config(source), onepass=True) == 0


def test_the_rest_comes_first_and_is_tried_again_as_a_whole_startup(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        look(daemon)
        yield
        for pause in (15, 30):
            assert runs(daemon) == ["rest"]
            daemon.end(12)
            yield pause - 0.1
            assert runs(daemon) == []
            yield 0.1
        assert runs(daemon) == ["rest"]

    assert turn(tmp_path, script, config(source, settings="insist = true")) == TERMINATED


def test_progress(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        yield 10
        part_of(daemon, "a")
        yield 10
        daemon.end_all()
        yield
        daemon.end_all()
        yield 60
        assert [line for line in daemon.lines("Normal") if "parts of" in line] == [
            "Sync1: 1 of 5 parts of the startup done, 5 of 9 files, 1 bytes of 1.3 GB.",
            "Sync1: 2 of 5 parts of the startup done, 6 of 9 files, 327.7 MB of 1.3 GB.",
        ]

    assert turn(tmp_path, script, config(source)) == TERMINATED


@pytest.mark.parametrize("is_looking", [True, False])
def test_a_signal_in_the_midst_of_it(tmp_path: Path, source: Path, is_looking: bool) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        if is_looking:
            yield
        else:
            yield from begin(daemon)
        daemon.end_all()
        daemon.send(signal.SIGTERM)

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_a_reload_while_the_tree_is_looked_through(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        (before,) = daemon.running
        daemon.send(signal.SIGHUP)
        yield
        assert before.child.stop is not None
        assert before.child.stop.is_set(), "nobody needs to know any more"
        look(daemon)
        yield
        assert runs(daemon) == ["rest"]

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_a_host_that_cannot_be_reached_for_a_while(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        daemon.end_all(255)
        yield 14
        assert runs(daemon) == [], "the other parts wait with them"
        yield 1
        daemon.end_all(255)
        yield 30
        assert runs(daemon) != []
        daemon.end_all()
        yield
        daemon.end_all()
        yield
        daemon.end_all()
        yield
        assert daemon.plugin.states == {"Sync1": "in sync"}
        assert daemon.lines("Normal").count(DONE.format(source=source)) == 1

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_a_part_that_is_held(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        look(daemon)
        yield
        daemon.plugin.allows = lambda argv: False
        daemon.end(0)
        yield 60
        assert runs(daemon) == []
        assert daemon.plugin.states == {"Sync1": "held"}
        daemon.plugin.allows = lambda argv: True
        yield 1
        assert "a" in runs(daemon)
        while runs(daemon):
            daemon.end_all()
            yield 1
        assert daemon.plugin.states == {"Sync1": "in sync"}

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_a_reload_begins_anew(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        daemon.send(signal.SIGHUP)
        daemon.end_all()
        yield
        yield from begin(daemon)

    assert turn(tmp_path, script, config(source)) == TERMINATED


def test_a_source_that_is_gone_for_a_while(tmp_path: Path, source: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        daemon.lose(f"{source}/")
        daemon.end_all()
        yield 60
        assert runs(daemon) == []
        daemon.give_back(f"{source}/")
        yield
        assert sorted(runs(daemon)) == ["all", "c", "d"], "the parts go on, and a full run finds the rest"

    assert turn(tmp_path, script, config(source)) == TERMINATED


@pytest.mark.parametrize("is_far", [True, False])
def test_one_run_where_that_is_enough(tmp_path: Path, source: Path, is_far: bool) -> None:
    for name in "abcd" if is_far else "bcd":
        os.truncate(source / name / "large", 1000 * BYTES_AN_ENTRY)
    if not is_far:
        (source / "a").rename(tmp_path / "large")
        for name in "bcd":
            os.truncate(source / name / "large", 300 * BYTES_AN_ENTRY)

    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ["look"]
        look(daemon)
        yield
        assert runs(daemon) == ["all"]
        daemon.end(0)
        yield
        assert daemon.plugin.states == {"Sync1": "in sync"}
        assert len([line for line in daemon.lines() if "finished" in line]) == 1

    lua = config(source) if is_far else config(source).replace("host:/trg", f"{tmp_path}/trg")
    assert turn(tmp_path, script, lua) == TERMINATED


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("rsync = {hard_links = true}", "rsync's --hard-links goes for the whole tree"),
        ("rsync = {_extra = {'-avH'}}", "rsync's --hard-links goes for the whole tree"),
        ("rsync = {_extra = {'--exclude=/a'}}", "rsync's --exclude goes for the whole tree"),
        ("delete = false, rsync = {delete_excluded = true}", "rsync's --delete-excluded goes for the whole tree"),
        ("init = function(event) default.rsync.init(event) end", "it has an init of its own"),
    ],
)
def test_one_run_where_parts_would_not_be_the_same(tmp_path: Path, source: Path, more: str, reason: str) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ["all"]
        assert daemon.lines("Warn") == [f"Sync1: the startup is one run, whatever startupProcesses says: {reason}."]

    assert turn(tmp_path, script, config(source, f"startupProcesses = 2, {more}")) == TERMINATED


@pytest.mark.parametrize("more", ["", "startupProcesses = 1", "startupProcesses = 2, init = false"])
def test_nothing_is_looked_through_for_nothing(tmp_path: Path, source: Path, more: str) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ([] if "init" in more else ["all"])

    assert turn(tmp_path, script, config(source, more)) == TERMINATED


@pytest.mark.parametrize("value", ["0", "'x'", "{}", "math.huge"])
def test_a_number_that_is_none(tmp_path: Path, source: Path, value: str) -> None:
    said: list[TurnedDaemon] = []

    def script(daemon: TurnedDaemon) -> Script:
        said.append(daemon)
        return iter(())

    assert turn(tmp_path, script, config(source, f"startupProcesses = {value}")) == DIED
    assert len(said[0].lines("Error")) == 1
    assert "startupProcesses" in said[0].lines("Error")[0]


def test_max_startups_counts_the_look_and_the_parts_as_one(tmp_path: Path, source: Path) -> None:
    (tmp_path / "other").mkdir()
    other = f'sync{{default.rsync, source = "{tmp_path}/other", target = "other:/trg"}}\n'

    def script(daemon: TurnedDaemon) -> Script:
        yield from begin(daemon)
        daemon.end_all()
        yield
        assert runs(daemon) == ["c", "d"]
        daemon.end_all()
        yield
        assert runs(daemon) == ["all"]

    assert turn(tmp_path, script, config(source, settings="maxStartups = 1") + other) == TERMINATED
