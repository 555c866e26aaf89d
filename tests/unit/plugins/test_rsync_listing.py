"""`rsync.listed`: what changed travels by its name alone, where that costs less than a filter list (spec 4.2)."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.filterlist import ChangedPath
from orchestrator_rsync.listing import is_large
from tests.kit.inlet import FakeInlet
from tests.kit.need import missing
from tests.kit.trees import HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = 5000
"""So many that their directory has more than 64 KiB on any file system: tmpfs counts 20 bytes for each."""


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    pair = Pair(tmp_path)
    os.mkdir(pair.source + b"d")
    return pair


def inlet_of(pair: Pair, listed: object = True, extra: tuple[str, ...] = (), **config: Any) -> FakeInlet:
    rsync = {"listed": listed, "_extra": list(extra), **config.pop("rsync", {})}
    return FakeInlet(Rsync(), pair.config(rsync=rsync, **config), source=pair.source)


def fill(directory: bytes, count: int = ENTRIES) -> None:
    """Hard links are made faster than files."""
    os.makedirs(directory, exist_ok=True)
    write(directory + b"/first")
    for number in range(count):
        if number % 1000 == 0:
            lead = directory + b"/%d" % number
            write(lead)
        os.link(lead, lead + b"-name-%d" % number)


def answer(inlet: FakeInlet, exit_code: int = 0) -> None:
    """The dry run that asks whether names can be deleted ends; it is forgotten, and what waited for it goes."""
    (question,) = inlet.spawned
    assert b"--dry-run" in question.argv
    assert b"--delete-missing-args" in question.argv
    inlet.spawned.clear()
    assert inlet.end(question, exit_code) == "ok"
    inlet.turn()


def is_listed(inlet: FakeInlet, number: int = -1) -> bool:
    words = inlet.spawned[number].argv
    assert (b"--files-from=-" in words) != (b"--include-from=-" in words)
    return b"--files-from=-" in words


def test_what_is_there_is_listed_by_exact_names(pair: Pair) -> None:
    write(pair.source + b"d/*new")
    inlet = inlet_of(pair)
    inlet.change("Attrib", b"/d/")
    inlet.change("Create", b"/d/*new")
    inlet.turn()
    (run,) = inlet.spawned
    assert run.argv == [
        *(b"rsync", b"-lst", b"--no-r", b"--dirs", b"--from0", b"--ignore-missing-args"),
        *(b"--files-from=-", pair.source, pair.target),
    ]
    assert run.stdin == b"./d\0./d/*new\0"


def test_the_log_has_the_lines_of_a_filter_list(pair: Pair) -> None:
    write(pair.source + b"d/f")
    found = []
    for listed in (True, False):
        inlet = inlet_of(pair, listed)
        inlet.change("Create", b"/d/f")
        inlet.settle()
        found.append(inlet.lines("Normal"))
    assert found[0] == found[1]
    assert found[0][0] == "Calling rsync with filter-list of new/modified files/dirs\n/d/f\n/d/\n/"


@pytest.mark.parametrize("place", [b"", b"d/", b"d/e/"])
def test_of_itself_only_in_a_large_directory(pair: Pair, place: bytes) -> None:
    """Any directory that rsync would have to read counts: that of the change, and those above it."""
    os.mkdir(pair.source + b"d/e")
    write(pair.source + b"d/e/f")
    inlet = inlet_of(pair, "auto")
    inlet.change("Modify", b"/d/e/f")
    inlet.turn()
    assert inlet.spawned[0].stdin == b"/d/e/f\0/d/e/\0/d/\0/"
    inlet.end(inlet.spawned[0], 0)
    fill(pair.source + place)
    inlet.change("Modify", b"/d/e/f")
    inlet.turn()
    assert inlet.spawned[1].stdin == b"./d/e/f\0"


def test_many_changes_are_listed_wherever_they_are(pair: Pair) -> None:
    """rsync compares each name that it reads with each entry of a filter list."""
    few = [ChangedPath(b"/d/%d" % number) for number in range(4999)]
    assert not is_large(pair.source, few)
    assert is_large(pair.source, [*few, ChangedPath(b"/d/last")])


def test_many_small_directories_are_not_large(pair: Pair) -> None:
    for number in range(100):
        os.mkdir(pair.source + b"d/%d" % number)
    assert not is_large(pair.source, [ChangedPath(b"/d/%d/f" % number) for number in range(100)])


def test_small_directories_do_not_make_up_for_a_large_one(pair: Pair) -> None:
    """On tmpfs an empty directory has 40 bytes, less than any block."""
    if not os.path.ismount("/dev/shm"):
        missing("a tmpfs at /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as box:
        source = os.fsencode(box) + b"/"
        fill(source + b"large")
        for number in range(40):
            os.mkdir(source + b"%d" % number)
        changes = [ChangedPath(b"/%d/f" % number) for number in range(40)]
        assert not is_large(source, changes)
        assert is_large(source, [*changes, ChangedPath(b"/large/f")])


def test_what_is_gone_goes_by_a_filter_list_of_its_own(pair: Pair) -> None:
    write(pair.source + b"d/new")
    write(pair.target + b"d/gone")
    inlet = inlet_of(pair)
    inlet.change("Create", b"/d/new")
    inlet.change("Delete", b"/d/gone")
    inlet.turn()
    answer(inlet, 2)
    assert inlet.spawned[0].stdin == b"./d/new\0"
    inlet.execute(inlet.spawned[0])
    inlet.turn()
    assert inlet.spawned[1].stdin == b"/d/gone\0/d/\0/"
    inlet.execute(inlet.spawned[1])
    assert snapshot(pair.target) == {b"d": None, b"d/new": b"data"}


def test_the_first_in_the_queue_goes_first(pair: Pair) -> None:
    write(pair.source + b"d/new")
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/d/gone")
    inlet.change("Create", b"/d/new")
    inlet.turn()
    answer(inlet, 2)
    assert inlet.spawned[0].stdin == b"/d/gone\0/d/\0/"


@pytest.mark.parametrize("can_delete", [0, 2])
@pytest.mark.parametrize("names", [(b"Name", b"name"), ("caf\u00e9".encode(), "cafe\u0301".encode())], ids=repr)
def test_names_that_the_target_may_take_for_one_go_by_one_run(
    pair: Pair, names: tuple[bytes, bytes], can_delete: int
) -> None:
    """It deletes before it writes: else the new name would be deleted with the old one."""
    old, new = names
    write(pair.source + b"d/" + new)
    write(pair.source + b"d/other")
    inlet = inlet_of(pair)
    inlet.change("Create", b"/d/other")
    inlet.change("Delete", b"/d/" + old)
    inlet.change("Create", b"/d/" + new)
    inlet.turn()
    answer(inlet, can_delete)
    assert inlet.spawned[0].stdin == b"./d/other\0"
    inlet.end(inlet.spawned[0], 0)
    inlet.turn()
    assert inlet.spawned[1].stdin == b"\0".join([b"/d/" + old, b"/d/", b"/", b"/d/" + new])


def test_what_is_gone_is_listed_where_rsync_can_delete_it(pair: Pair) -> None:
    """Debian's 3.2.7 cannot; whichever rsync is here, the target becomes equal."""
    write(pair.source + b"d/new")
    for name in (b"d/gone", b"d/e/f/g", b"d/e/h", b"d/kept/x"):
        write(pair.target + name)
    inlet = inlet_of(pair)
    inlet.change("Create", b"/d/new")
    inlet.change("Delete", b"/d/gone")
    for path in (b"/d/e/f/g", b"/d/e/f/", b"/d/e/h", b"/d/e/"):
        inlet.change("Delete", path)
    inlet.settle()
    assert snapshot(pair.target) == {b"d": None, b"d/new": b"data", b"d/kept": None, b"d/kept/x": b"data"}
    assert inlet.lines("Warn") == []


def test_one_run_deletes_by_name(pair: Pair) -> None:
    write(pair.source + b"d/new")
    inlet = inlet_of(pair)
    inlet.change("Create", b"/d/new")
    inlet.change("Delete", b"/d/gone")
    inlet.turn()
    answer(inlet)
    (run,) = inlet.spawned
    assert run.stdin == b"./d/new\0./d/gone\0"
    assert run.argv[-4:-2] == [b"--delete-missing-args", b"--files-from=-"]
    assert b"--dry-run" not in run.argv
    inlet.end(run, 0)
    inlet.change("Modify", b"/d/new")
    inlet.turn()
    assert b"--ignore-missing-args" in inlet.spawned[1].argv


def test_deleted_directories_go_by_a_filter_list(pair: Pair) -> None:
    """That says what may be deleted in them."""
    for name in (b"d/e/kept.o", b"d/e/goes", b"d/gone"):
        write(pair.target + name)
    inlet = inlet_of(pair, exclude=["*.o"])
    for path in (b"/d/gone", b"/d/e/goes", b"/d/e/"):
        inlet.change("Delete", path)
    inlet.turn()
    answer(inlet)
    assert inlet.spawned[0].stdin == b"./d/gone\0"
    inlet.execute(inlet.spawned[0])
    inlet.settle()
    assert {b"d/e/kept.o", b"d/e/goes"} & set(snapshot(pair.target)) == {b"d/e/kept.o"}


@pytest.mark.parametrize("delete", [True, False])
def test_a_directory_of_others_in_the_way_is_not_emptied(pair: Pair, delete: bool) -> None:
    """As with a filter list, which lets nothing be deleted but what changed."""
    write(pair.source + b"d/f")
    write(pair.target + b"d/f/theirs")
    inlet = inlet_of(pair, delete=delete)
    inlet.change("Create", b"/d/f")
    inlet.turn()
    inlet.execute(inlet.spawned[0])
    assert snapshot(pair.target) == {b"d": None, b"d/f": None, b"d/f/theirs": b"data"}
    assert "1 path is tried again" in inlet.lines("Warn")[0]


def test_a_file_in_place_of_a_deleted_directory_goes_by_a_filter_list(pair: Pair) -> None:
    write(pair.source + b"d/f")
    write(pair.target + b"d/f/old")
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/d/f/")
    inlet.change("Create", b"/d/f")
    inlet.settle()
    assert [run.stdin for run in inlet.spawned] == [b"/d/f/***\0/d/f/\0/d/\0/\0/d/f"]
    assert snapshot(pair.target) == {b"d": None, b"d/f": b"data"}


@pytest.mark.parametrize(("exit_code", "questions"), [(2, 1), (4, 1), (12, 3), (255, 3)])
def test_a_question_without_an_answer_is_put_again_but_not_for_ever(pair: Pair, exit_code: int, questions: int) -> None:
    """Where the host was down it is asked anew after a transfer that got through."""
    inlet = inlet_of(pair)
    asked = 0
    for number in range(6):
        inlet.change("Delete", b"/d/%d" % number)
        inlet.turn()
        run = inlet.spawned[-1]
        if b"--dry-run" in run.argv:
            asked += 1
            inlet.end(run, exit_code)
            inlet.turn()
        assert inlet.spawned[-1].stdin == b"/d/%d\0/d/\0/" % number
        inlet.end(inlet.spawned[-1], 0)
    assert asked == questions


def test_several_large_files_wait_for_no_question_twice(pair: Pair) -> None:
    """Runs beside the question take a filter list for what is gone."""
    write(pair.source + b"d/big", b"x" * 200)
    inlet = inlet_of(pair, batchSizeLimit=100, maxProcesses=3)
    inlet.change("Delete", b"/d/gone")
    inlet.change("Modify", b"/d/big")
    inlet.turn()
    assert [run.stdin for run in inlet.spawned[1:]] == [b"./d/big\0"]
    inlet.end(inlet.spawned[0], 0)
    inlet.turn()
    assert inlet.spawned[-1].stdin == b"./d/gone\0"


def test_with_backups_deletions_keep_filter_lists(pair: Pair) -> None:
    inlet = inlet_of(pair, rsync={"backup": True})
    inlet.change("Delete", b"/d/gone")
    inlet.turn()
    assert not is_listed(inlet)


def test_what_is_there_counts_and_not_the_event(pair: Pair) -> None:
    write(pair.source + b"d/back")
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/d/back")
    inlet.change("Modify", b"/d/gone")
    inlet.turn()
    answer(inlet, 2)
    assert inlet.spawned[0].stdin == b"./d/back\0"
    inlet.end(inlet.spawned[0], 0)
    inlet.turn()
    assert inlet.spawned[1].stdin == b"/d/gone\0/d/\0/"


def test_what_is_gone_leaves_its_directory_to_list_where_nothing_is_deleted(pair: Pair) -> None:
    inlet = inlet_of(pair, delete=False)
    inlet.change("Delete", b"/d/gone")
    inlet.turn()
    assert inlet.spawned[0].stdin == b"./d\0"


def test_what_vanishes_before_rsync_reads_it_is_no_failure(pair: Pair) -> None:
    write(pair.source + b"d/f")
    write(pair.target + b"d/f", b"old")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/d/f")
    inlet.turn()
    shutil.rmtree(pair.source + b"d")
    assert inlet.execute(inlet.spawned[0]) == "ok"
    assert inlet.lines("Warn") == []
    inlet.change("Delete", b"/d/")
    inlet.settle()
    assert snapshot(pair.target) == {}


def test_what_became_a_directory_in_between_is_tried_again(pair: Pair) -> None:
    """rsync is told of a file below what is a file by then."""
    write(pair.source + b"d/f")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/d/f")
    inlet.turn()
    shutil.rmtree(pair.source + b"d")
    write(pair.source + b"d")
    inlet.execute(inlet.spawned[0])
    inlet.change("Delete", b"/d/")
    inlet.change("Create", b"/d")
    inlet.settle()
    assert snapshot(pair.target) == {b"d": b"data"}


def test_hostile_names_arrive_and_nothing_else_is_touched(pair: Pair) -> None:
    os.rmdir(pair.source + b"d")
    inlet = inlet_of(pair, rsync={"archive": True})
    added: dict[bytes, bytes | None] = {}
    for name in HOSTILE:
        write(pair.source + name, b"new")
        write(pair.source + b"in " + name[:100] + b"/" + name, b"new")
        inlet.change("Modify", b"/" + name)
        inlet.change("Create", b"/in " + name[:100] + b"/")
        inlet.change("Create", b"/in " + name[:100] + b"/" + name)
        added |= {name: b"new", b"in " + name[:100]: None, b"in " + name[:100] + b"/" + name: b"new"}
        write(pair.target + b"kept/" + name, b"kept")
        added |= {b"kept": None, b"kept/" + name: b"kept"}
    inlet.settle()
    assert snapshot(pair.target) == added
    assert is_listed(inlet, 0)


def test_a_listed_directory_is_not_read(pair: Pair) -> None:
    """What is in it has events of its own, and what the target has there besides stays."""
    write(pair.source + b"d/unsaid")
    write(pair.target + b"d/theirs")
    os.chmod(pair.source + b"d", 0o710)
    inlet = inlet_of(pair, rsync={"perms": True}, extra=("-r", "-a"))
    inlet.change("Attrib", b"/d/")
    inlet.settle()
    assert is_listed(inlet)
    assert snapshot(pair.target) == {b"d": None, b"d/theirs": b"data"}
    assert os.stat(pair.target + b"d").st_mode & 0o777 == 0o710


@pytest.mark.parametrize(
    "word",
    [
        *("--filter=- *.o", "--exclude=x", "--include-from=f", "-F", "-C", "--one-file-system", "-x", "-m"),
        *(
            "--delete",
            "--delete-after",
            "--del",
            "--force",
            "--max-delete=5",
            "--no-relative",
            "--no-implied-dirs",
            "--iconv=.",
        ),
    ],
)
def test_options_that_do_not_go_with_a_list_are_said_once(pair: Pair, word: str) -> None:
    inlet = inlet_of(pair, extra=(word,))
    for name in (b"one", b"two"):
        write(pair.source + b"d/" + name)
        inlet.change("Create", b"/d/" + name)
        inlet.turn()
        assert inlet.spawned[-1].stdin == b"/d/%s\0/d/\0/" % name
        inlet.end(inlet.spawned[-1], 0)
    (line,) = [line for line in inlet.lines("Debug") if "filter lists" in line]
    assert line.startswith("rsync gets filter lists for Sync1: --")


def test_in_small_directories_nothing_is_said_of_it(pair: Pair) -> None:
    write(pair.source + b"d/f")
    inlet = inlet_of(pair, "auto", extra=("--exclude=x",))
    inlet.change("Create", b"/d/f")
    inlet.turn()
    assert not [line for line in inlet.lines("Debug") if "filter lists" in line]


def test_a_link_in_the_way_is_not_followed(pair: Pair, tmp_path: Path) -> None:
    write(os.fsencode(tmp_path) + b"/secret/f", b"secret")
    write(pair.target + b"way/f", b"old")
    os.symlink(tmp_path / "secret", pair.source + b"way")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/way/f")
    inlet.turn()
    assert not is_listed(inlet)


@pytest.mark.parametrize(("listed", "is_so"), [("auto", False), (True, True)])
def test_where_others_may_put_a_link_in_the_way_root_lists_only_if_told(
    pair: Pair, listed: object, is_so: bool
) -> None:
    if os.geteuid() != 0:
        missing("root, whom this is about")
    write(pair.source + b"d/e/f")
    fill(pair.source + b"d")
    inlet = inlet_of(pair, listed)
    os.chmod(pair.source + b"d/e", 0o777)  # what is in it is never followed
    inlet.change("Modify", b"/d/e/f")
    inlet.turn()
    assert is_listed(inlet)
    inlet.end(inlet.spawned[0], 0)
    for mode, owner in ((0o775, 0), (0o757, 0), (0o755, 12345)):
        os.chmod(pair.source + b"d", mode)
        os.chown(pair.source + b"d", owner, -1)
        inlet.change("Modify", b"/d/e/f")
        inlet.turn()
        assert is_listed(inlet) is is_so, (oct(mode), owner)
        inlet.end(inlet.spawned[-1], 0)


def test_links_that_rsync_follows_are_never_listed(pair: Pair) -> None:
    write(pair.source + b"d/f")
    os.symlink("d", pair.source + b"link")
    inlet = inlet_of(pair, rsync={"copy_links": True})
    inlet.change("Create", b"/link")
    inlet.change("Modify", b"/d/f")
    inlet.settle()
    assert [run.stdin for run in inlet.spawned] == [b"/link/***\0/link\0/", b"./d/f\0"]
    assert snapshot(pair.target) == {b"d": None, b"d/f": b"data", b"link": None, b"link/f": b"data"}


def test_the_root_comes_with_any_name(pair: Pair) -> None:
    write(pair.source + b"f")
    os.utime(pair.source, (1, 1))
    inlet = inlet_of(pair)
    inlet.change("Attrib", b"/")
    inlet.change("Modify", b"/f")
    inlet.settle()
    assert [run.stdin for run in inlet.spawned] == [b"./f\0"]
    assert os.stat(pair.target).st_mtime == 1
    inlet.change("Attrib", b"/")
    inlet.turn()
    assert inlet.spawned[-1].stdin == b"/"


def test_half_a_file_of_a_killed_rsync_is_removed_all_the_same(pair: Pair) -> None:
    write(pair.source + b"d/f")
    inlet = FakeInlet(Rsync(), {"target": "host:/trg", "delete": False, "rsync": {"listed": True}}, source=pair.source)
    inlet.change("Modify", b"/d/f")
    inlet.turn()
    assert is_listed(inlet)
    inlet.end(inlet.spawned[0], 137)
    inlet.advance(60)
    inlet.turn()
    assert b"R /d/.f." in (inlet.spawned[1].stdin or b"")


def test_thousands_of_names_go_at_once(pair: Pair) -> None:
    fill(pair.source + b"d", 5_000)
    inlet = inlet_of(pair, "auto", rsync={"hard_links": True})
    for name in os.listdir(pair.source + b"d"):
        inlet.change("Create", b"/d/" + name)
    inlet.settle()
    assert is_listed(inlet, 0)
    assert len(inlet.spawned) == 1
    assert snapshot(pair.target) == snapshot(pair.source)


@pytest.mark.parametrize("value", ["yes", "Auto", 1])
def test_other_values_are_refused(pair: Pair, value: object) -> None:
    with pytest.raises(ConfigError, match=r'Parameter "rsync.listed" must be true, false or "auto"\.'):
        inlet_of(pair, value)


def test_false_lists_nothing(pair: Pair) -> None:
    fill(pair.source + b"d")
    inlet = inlet_of(pair, False)
    inlet.change("Modify", b"/d/first")
    inlet.turn()
    assert not is_listed(inlet)
