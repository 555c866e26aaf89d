"""native's pool: whose turn it is, how many work at a time, and what becomes of pieces that take long."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.process.jobs import PooledJob
from orchestrator_native import helper
from orchestrator_native.engine import MirrorSpec, Order, do, mirror, start
from orchestrator_native.memory import Memory
from orchestrator_native.pool import Pool
from orchestrator_native.quickcompare import LARGE, Part
from orchestrator_native.report import OK, STOPPED
from orchestrator_native.rules import identity, my_rule
from orchestrator_native.trees import OpenTree
from orchestrator_native.workerprocess import Unlike, WorkerProcess
from tests.kit.daemon import wait_until
from tests.kit.mirrors import differences

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Pieces:
    """Work: `walks` and `copies` are called one after the other. `done`: whose piece began, in that order."""

    def __init__(
        self,
        pool: Pool,
        done: list[str],
        name: str,
        walks: list[Callable[[], object]],
        copies: list[Callable[[], object]] | None = None,
    ) -> None:
        self.pool = pool
        self.done = done
        self.name = name
        self.walks = walks
        self.copies = copies or []
        self.left = len(walks) + len(self.copies)

    def walk(self) -> Callable[[], None] | None:
        return self._piece(self.walks.pop(0)) if self.walks else None

    def copy(self) -> Callable[[], None] | None:
        return self._piece(self.copies.pop(0)) if self.copies else None

    def _piece(self, work: Callable[[], object]) -> Callable[[], None]:
        self.done.append(self.name)

        def piece() -> None:
            try:
                work()
            finally:
                with self.pool.lock:
                    self.left -= 1
                    if not self.left:
                        self.pool.remove(self)

        return piece


def finish(pool: Pool, *works: Pieces) -> None:
    wait_until(lambda: not any(work.left for work in works), "the end of all pieces")
    pool.join()
    assert not pool.threads


def test_works_take_turns_whoever_has_more_to_do() -> None:
    pool, done, gate = Pool(size=4, long=60), [], threading.Event()
    first = Pieces(pool, done, "first", [gate.wait])
    pool.add(first)
    large = Pieces(pool, done, "large", [lambda: None] * 50)
    small = [Pieces(pool, done, f"small {number}", [lambda: None] * 2) for number in range(3)]
    with pool.lock:  # before anybody can take a second piece
        for work in (large, *small):
            pool.add(work)
        gate.set()
    finish(pool, first, large, *small)
    ends = [max(place for place, name in enumerate(done) if name == work.name) for work in small]
    assert max(ends) <= 1 + 2 * 4


def test_no_more_pieces_at_a_time_than_the_pool_has_places() -> None:
    pool, done = Pool(size=3, long=60), []
    together, most, now = threading.Barrier(3), 0, 0
    lock = threading.Lock()

    def copy() -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        together.wait(20)
        with lock:
            now -= 1

    works = [Pieces(pool, done, str(number), [], [copy] * 3) for number in range(5)]
    for work in works:
        pool.add(work)
    finish(pool, *works)
    assert most == 3


def test_a_piece_that_takes_long_is_in_nobodys_way() -> None:
    pool, done, gate = Pool(size=1), [], threading.Event()
    hung = Pieces(pool, done, "hung", [gate.wait])
    pool.add(hung)
    works = [Pieces(pool, done, "walks", [lambda: None] * 20), Pieces(pool, done, "copies", [], [lambda: None] * 20)]
    for work in works:
        pool.add(work)
    wait_until(lambda: not any(work.left for work in works), "the end of all other pieces")
    gate.set()
    finish(pool, hung, *works)


def test_helping_processes_go_round() -> None:
    pool = Pool(size=4, helpers=1)
    asked: list[str] = []
    holder, other = Pieces(pool, asked, "holder", [], []), Pieces(pool, asked, "other", [lambda: None])
    other.walks.clear()
    pool.add(other)
    with pool.lock:
        other.walks.append(lambda: None)
        assert pool.lend(holder)
        assert not pool.is_wanted(0.0, is_used=True), "nobody else wants it"
        assert not pool.lend(other)
        assert pool.is_wanted(0.0, is_used=True), "it has been lent for long"
        pool.give_back()
        assert pool.lend(other)
        assert not pool.is_wanted(0.0, is_used=True), "it has what it wanted"
        pool.give_back()
    wait_until(lambda: asked == ["other"], "the offer of the process that was given back")
    pool.join()


# ---- runs


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, Path]:
    """Source and target, equal: so many entries that they are compared in parts, beside a small directory."""
    source, target = tmp_path / "source", tmp_path / "target"
    for top in (source, target):
        (top / "small").mkdir(parents=True)
    names = ["small/inner"]
    while source.stat().st_size < LARGE:  # some file systems count names, others entries
        names += [f"{number}-".ljust(250, "n") for number in range(len(names), len(names) + 100)]
        for name in names[-101:]:
            for top in (source, target):
                (top / name).touch()
    for path in [*names, "small", "."]:
        for top in (source, target):
            os.utime(top / path, ns=(10**18, 10**18))
    return source, target


def brings(source: Path, target: Path, stop: threading.Event | None = None) -> int:
    """The exit code of a startup that has made them equal."""
    trees = MirrorSpec(os.fsencode(source) + b"/", os.fsencode(target) + b"/", threads=4)
    report = mirror(trees, Memory(), stop or threading.Event(), deletes=True)
    assert differences(os.fsencode(source), os.fsencode(target)) == []
    return report.exit_code


ENTRY = "77-".ljust(250, "n")


def answers(source: Path, target: Path) -> list[bytes]:
    """A helper's, for three parts of the root. It changes its working directory."""
    before = os.getcwd()
    here, there = OpenTree.at(os.fsencode(source)), OpenTree.at(os.fsencode(target))
    try:
        return [helper.answer(here, there, helper.question("", Part(number, 3)), my_rule())[:1] for number in range(3)]
    finally:
        here.close()
        there.close()
        os.chdir(before)


def test_each_entry_is_in_one_part(large: tuple[Path, Path]) -> None:
    source, target = large
    assert answers(source, target) == [b"="] * 3
    (target / ENTRY).write_text("changed")
    assert sorted(answers(source, target)) == [b"-", b"=", b"="]
    (target / ENTRY).unlink()
    assert sorted(answers(source, target)) == [b"-", b"=", b"="]
    (source / ENTRY).unlink()
    assert answers(source, target) == [b"="] * 3
    (target / "only here").touch()
    assert sorted(answers(source, target)) == [b"-", b"=", b"="]


def test_a_helper_reads_the_root_from_a_place_of_its_own(tmp_path: Path) -> None:
    inherited = os.open(tmp_path, os.O_RDONLY)
    tree = helper.reopened(inherited)
    try:
        assert os.path.sameopenfile(tree.root, inherited)
        os.set_blocking(tree.root, False)
        assert os.get_blocking(inherited), "what belongs to an open file, as its offset, is not shared"
    finally:
        tree.close()
        os.close(inherited)


def test_attributes_of_an_equal_root_are_brought(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for top in (source, target):
        top.mkdir()
        (top / "f").write_text("x")
        os.utime(top / "f", ns=(10**18, 10**18))
    source.chmod(0o750)
    os.utime(source, ns=(10**18, 10**18))
    assert brings(source, target) == OK
    assert target.stat().st_mode == source.stat().st_mode
    assert target.stat().st_mtime_ns == 10**18


def test_processes_that_compare_the_root_at_once_do_not_disturb_each_other(large: tuple[Path, Path]) -> None:
    source, target = (OpenTree.at(os.fsencode(top)) for top in large)
    processes = [WorkerProcess(source, target, my_rule()) for _ in range(2)]
    try:
        assert processes[0].ask([""], threading.Event()) == [Unlike.LARGE]
        wanted = tuple(identity(os.fstat(tree.root)) for tree in (source, target))
        for _ in range(3):
            asked = [helper.question("", Part(number, 2)) for number in range(2)]
            found: list[object] = []

            def ask(process: WorkerProcess, question: str, found: list[object] = found) -> None:
                found.extend(process.ask([question], threading.Event()))

            threads = [threading.Thread(target=ask, args=pair) for pair in zip(processes, asked, strict=True)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert {answer[:2] for answer in found if isinstance(answer, tuple)} == {wanted}
            assert len(found) == 2
    finally:
        for process in processes:
            process.close()
        source.close()
        target.close()


@pytest.mark.parametrize("interpreter", [sys.executable, "/bin/false", ""])
def test_a_large_directory_is_made_equal_with_and_without_helpers(
    large: tuple[Path, Path], interpreter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = large
    monkeypatch.setattr(sys, "executable", interpreter)
    (source / ENTRY).write_text("changed")
    (source / "small/inner").write_text("changed")
    (target / "only here").touch()
    os.utime(target, ns=(0, 0))
    os.chmod(source, 0o750)
    assert brings(source, target) == OK
    assert brings(source, target) == OK


def test_a_stop_ends_a_run_whose_helper_does_not_answer(
    large: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = large
    mute = tmp_path / "mute"
    mute.write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/pids\nexec sleep 1000\n")
    mute.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(mute))
    stop, pool = threading.Event(), Pool()
    codes: list[int] = []
    order = Order(MirrorSpec(os.fsencode(source), os.fsencode(target)), Memory(), True)
    start(order, pool, stop, lambda result: codes.append(result().exit_code))
    wait_until((tmp_path / "pids").exists, "a helper")
    stop.set()
    wait_until(lambda: codes == [STOPPED], "the end")
    pool.join()
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def test_many_runs_need_no_more_threads_than_the_pool_has(tmp_path: Path) -> None:
    pool, most = Pool(size=2, long=60), 0
    ended: list[int] = []

    def note(result: Callable[[], object]) -> None:
        nonlocal most
        most = max(most, sum(thread.name == "native" for thread in threading.enumerate()))
        result()
        ended.append(1)

    for number in range(30):
        source = tmp_path / f"source {number}"
        (source / "d").mkdir(parents=True)
        (source / "d/f").write_text("x")
        (tmp_path / f"target {number}").mkdir()
    with pool.lock:  # so that there is work all the time
        for number in range(30):
            trees = MirrorSpec(*(os.fsencode(tmp_path / f"{kind} {number}") for kind in ("source", "target")))
            start(Order(trees, Memory(), True), pool, threading.Event(), note)
    wait_until(lambda: len(ended) == 30, "the end of all runs")
    pool.join()
    assert most <= 3, "one more watches over the others"
    for number in range(30):
        assert (tmp_path / f"target {number}/d/f").read_text() == "x"


def test_runs_of_several_trees_stop_each_for_itself(tmp_path: Path) -> None:
    pool, stopped = Pool(), threading.Event()
    stopped.set()
    (tmp_path / "source").mkdir()
    (tmp_path / "source/f").write_text("x")
    trees = MirrorSpec(os.fsencode(tmp_path / "source"), os.fsencode(tmp_path / "target"))
    assert do(Order(trees, Memory(), True), stopped, pool).exit_code == STOPPED
    assert not (tmp_path / "target").exists()
    assert do(Order(trees, Memory(), True), threading.Event(), pool).exit_code == OK
    assert (tmp_path / "target/f").read_text() == "x"


def test_a_pooled_job_can_be_done_as_any_other() -> None:
    def begin(stop: threading.Event, ended: Callable[[Callable[[], int]], None]) -> None:
        """count"""
        threading.Thread(target=ended, args=(lambda: 7,)).start()

    job = PooledJob(begin)
    assert job(threading.Event()) == 7
    assert job.__doc__ == "count"
