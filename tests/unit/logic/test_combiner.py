"""Two changes, one after the other: what the second becomes (spec 3.3, 3.4), and lsyncd's words for it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from orchestrator.logic.queue import Queue


class Case(NamedTuple):
    """`old` and `new`: changes as in the status file; `becomes`: the queue then, as there; `line`: what is logged.

    `sets`: told of a sync that works on sets of paths, or of one with handlers; None: of both.
    """

    description: str
    old: str
    new: str
    becomes: list[str]
    line: str
    sets: bool | None = None
    old_is_active: bool = False


def parts(change: str) -> tuple[str, bytes, bytes | None]:
    etype, _, path = change.partition(" ")
    here, _, there = path.partition(" -> ")
    return etype, here.encode(), there.encode() or None


def show(queue: Queue) -> list[str]:
    return [
        f"{d.status} {d.etype} {d.path.decode()}" + (f" -> {d.path2.decode()}" if d.path2 is not None else "")
        for d in queue
    ]


BOTH = None

CASES = [
    # the same file, a sync that works on sets of paths: the whole matrix
    Case("attributes twice", "Attrib /a", "Attrib /a", ["wait Attrib /a"], "Attrib: /a absorbed by Attrib: /a", BOTH),
    Case("attributes, written", "Attrib /a", "Modify /a", ["wait Modify /a"], "Modify: /a replaces Attrib: /a", True),
    Case("attributes, created", "Attrib /a", "Create /a", ["wait Create /a"], "Create: /a replaces Attrib: /a", True),
    Case("attributes, deleted", "Attrib /a", "Delete /a", ["wait Delete /a"], "Delete: /a replaces Attrib: /a", True),
    Case("written, attributes", "Modify /a", "Attrib /a", ["wait Modify /a"],
         "Attrib: /a absorbed by Modify: /a", True),
    Case("written twice", "Modify /a", "Modify /a", ["wait Modify /a"], "Modify: /a absorbed by Modify: /a", BOTH),
    Case("written, created", "Modify /a", "Create /a", ["wait Create /a"], "Create: /a replaces Modify: /a", True),
    Case("written, deleted", "Modify /a", "Delete /a", ["wait Delete /a"], "Delete: /a replaces Modify: /a", True),
    Case("created, attributes", "Create /a", "Attrib /a", ["wait Create /a"],
         "Attrib: /a absorbed by Create: /a", True),
    Case("created, written", "Create /a", "Modify /a", ["wait Create /a"], "Modify: /a absorbed by Create: /a", True),
    Case("created twice", "Create /a", "Create /a", ["wait Create /a"], "Create: /a absorbed by Create: /a", BOTH),
    Case("created, deleted", "Create /a", "Delete /a", ["wait Delete /a"], "Delete: /a replaces Create: /a", True),
    Case("deleted, attributes", "Delete /a", "Attrib /a", ["wait Delete /a"],
         "Attrib: /a absorbed by Delete: /a", True),
    Case("deleted, written", "Delete /a", "Modify /a", ["wait Delete /a"], "Modify: /a absorbed by Delete: /a", True),
    Case("deleted, created", "Delete /a", "Create /a", ["wait Create /a"], "Create: /a replaces Delete: /a", BOTH),
    Case("deleted twice", "Delete /a", "Delete /a", ["wait Delete /a"], "Delete: /a absorbed by Delete: /a", BOTH),
    # the same file, user-written handlers: each kind of change is seen
    *(
        Case(f"{old}, then {new}", f"{old} /a", f"{new} /a", [f"wait {old} /a", f"wait {new} /a"],
             f"New {new}: /a", False)
        for old, new in [
            ("Attrib", "Modify"),
            ("Attrib", "Create"),
            ("Attrib", "Delete"),
            ("Modify", "Attrib"),
            ("Modify", "Create"),
            ("Modify", "Delete"),
            ("Create", "Attrib"),
            ("Create", "Modify"),
            ("Create", "Delete"),
        ]
    ),
    *(
        Case(
            f"back without a Create: {new} comes after the Delete, not before it",
            "Delete /a",
            f"{new} /a",
            ["wait Delete /a", f"block {new} /a"],
            f"{new}: /a blocked by Delete: /a",
            False,
        )
        for new in ("Attrib", "Modify")
    ),
    # the same file while it is transferred: another transfer after it
    *(
        Case(
            f"{new} while {old} is transferred",
            f"{old} /a",
            f"{new} /a",
            [f"active {old} /a", f"block {new} /a"],
            f"{new}: /a blocked by {old}: /a",
            BOTH,
            old_is_active=True,
        )
        for old in ("Attrib", "Modify", "Create", "Delete")
        for new in ("Attrib", "Modify", "Create", "Delete")
    ),
    # the same directory
    Case("a directory's attributes twice", "Attrib /d/", "Attrib /d/", ["wait Attrib /d/"],
         "Attrib: /d/ absorbed by Attrib: /d/"),
    *(
        Case(f"directory: {old}, then {new}", f"{old} /d/", f"{new} /d/", [f"wait {old} /d/", f"block {new} /d/"],
             f"{new}: /d/ blocked by {old}: /d/")
        for old in ("Attrib", "Create", "Delete")
        for new in ("Attrib", "Create", "Delete")
        if (old, new) != ("Attrib", "Attrib")
    ),
    # a directory and what is below it
    Case("into a new directory", "Create /d/", "Create /d/f", ["wait Create /d/", "block Create /d/f"],
         "Create: /d/f blocked by Create: /d/"),
    Case("far below", "Create /d/", "Create /d/e/f/g", ["wait Create /d/", "block Create /d/e/f/g"],
         "Create: /d/e/f/g blocked by Create: /d/"),
    Case("a directory goes after what is in it", "Delete /d/f", "Delete /d/", ["wait Delete /d/f", "block Delete /d/"],
         "Delete: /d/ blocked by Delete: /d/f"),
    Case("the root concerns everything", "Attrib /", "Create /a", ["wait Attrib /", "block Create /a"],
         "Create: /a blocked by Attrib: /"),
    Case("everything concerns the root", "Create /a/b", "Attrib /", ["wait Create /a/b", "block Attrib /"],
         "Attrib: / blocked by Create: /a/b"),
    Case("a name that begins like another", "Create /d/", "Create /db", ["wait Create /d/", "wait Create /db"],
         "New Create: /db"),
    Case("neighbours", "Create /d/a", "Create /d/b", ["wait Create /d/a", "wait Create /d/b"], "New Create: /d/b"),
    # a file gives way to a directory of its name, and back (lsyncd lets both run side by side)
    Case("a directory where a file was", "Delete /a", "Create /a/", ["wait Delete /a", "block Create /a/"],
         "Create: /a/ blocked by Delete: /a"),
    Case("a file where a directory was", "Delete /a/", "Create /a", ["wait Delete /a/", "block Create /a"],
         "Create: /a blocked by Delete: /a/"),
    Case("into a directory where a file was", "Delete /a", "Create /a/b", ["wait Delete /a", "block Create /a/b"],
         "Create: /a/b blocked by Delete: /a"),
    Case("a file where things were in a directory", "Delete /a/b", "Create /a", ["wait Delete /a/b", "block Create /a"],
         "Create: /a blocked by Delete: /a/b"),
    # an old Move
    Case("new at a Move's origin", "Move /a -> /b", "Create /a", ["wait Move /a -> /b", "block Create /a"],
         "Create: /a blocked by Move: /a"),
    Case("below a Move's origin", "Move /d/ -> /e/", "Create /d/f", ["wait Move /d/ -> /e/", "block Create /d/f"],
         "Create: /d/f blocked by Move: /d/"),
    Case("written at a Move's destination", "Move /a -> /b", "Modify /b", ["wait Move /a -> /b", "block Modify /b"],
         "Modify: /b blocked by Move: /a"),
    Case("attributes at a Move's destination", "Move /a -> /b", "Attrib /b", ["wait Move /a -> /b", "block Attrib /b"],
         "Attrib: /b blocked by Move: /a"),
    Case("below a Move's destination", "Move /d/ -> /e/", "Delete /e/f", ["wait Move /d/ -> /e/", "block Delete /e/f"],
         "Delete: /e/f blocked by Move: /d/"),
    Case("moved and deleted", "Move /a -> /b", "Delete /b", ["wait Delete /a", "block Delete /b"],
         "Delete: /b turns Move: /a -> /b into Delete: /a"),
    Case("moved and made anew", "Move /a -> /b", "Create /b", ["wait Delete /a", "block Create /b"],
         "Create: /b turns Move: /a -> /b into Delete: /a"),
    Case("deleted while it is moved", "Move /a -> /b", "Delete /b", ["active Move /a -> /b", "block Delete /b"],
         "Delete: /b blocked by Move: /a", old_is_active=True),
    Case("a Move elsewhere", "Move /a -> /b", "Create /c", ["wait Move /a -> /b", "wait Create /c"], "New Create: /c"),
    # a new Move
    Case("a Move by itself", "Create /c", "Move /a -> /b", ["wait Create /c", "wait Move /a -> /b"],
         "New Move: /a -> /b"),
    Case("created and moved", "Create /a", "Move /a -> /b", ["wait Delete /a", "wait Create /b"],
         "Move: /a -> /b splits on Create: /a", True),
    Case("moved onto what was deleted", "Delete /b", "Move /a -> /b", ["wait Create /b", "wait Delete /a"],
         "Move: /a -> /b splits on Delete: /b"),
    Case("moved into a new directory", "Create /d/", "Move /a -> /d/a",
         ["wait Create /d/", "wait Delete /a", "block Create /d/a"], "Move: /a -> /d/a splits on Create: /d/"),
    Case("a directory moved from above a change", "Create /d/f", "Move /d/ -> /e/",
         ["wait Create /d/f", "block Delete /d/", "wait Create /e/"], "Move: /d/ -> /e/ splits on Create: /d/f"),
    Case("moved on", "Move /a -> /b", "Move /b -> /c", ["wait Delete /a", "block Delete /b", "wait Create /c"],
         "Move: /b -> /c splits on Move: /a"),
    Case("moved to where the first came from", "Move /a -> /b", "Move /c -> /a",
         ["wait Move /a -> /b", "wait Delete /c", "block Create /a"], "Move: /c -> /a splits on Move: /a"),
    Case("two Moves that do not meet", "Move /a -> /b", "Move /c -> /d", ["wait Move /a -> /b", "wait Move /c -> /d"],
         "New Move: /c -> /d"),
    # what concerns the whole tree
    Case("behind the startup", "Init ", "Create /a", ["wait Init ", "block Create /a"], "Create: /a blocked by Init: "),
    Case("a Move behind a Blanket", "Blanket ", "Move /a -> /b", ["wait Blanket ", "block Move /a -> /b"],
         "Move: /a->/b blocked by Blanket: "),
    Case("a Full bothers nobody", "Full ", "Create /a", ["wait Full ", "wait Create /a"], "New Create: /a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "sets"),
    [
        pytest.param(case, sets, id=f"{case.description}-{'sets' if sets else 'handlers'}")
        for case in CASES
        for sets in (True, False)
        if case.sets in (BOTH, sets)
    ],
)
def test_what_a_second_change_becomes(case: Case, sets: bool) -> None:
    lines: list[str] = []
    queue = Queue(sets=sets, on_move=True, report=lines.append)
    etype, path, path2 = parts(case.old)
    if etype in ("Init", "Blanket", "Full"):
        queue.append(etype, 0.0, path, stacked=False)
    else:
        queue.add(etype, 0.0, path, path2)
    if case.old_is_active:
        queue.activate(queue.select(None))
    lines.clear()

    etype, path, path2 = parts(case.new)
    queue.add(etype, 0.0, path, path2)

    assert show(queue) == case.becomes
    assert lines[0] == case.line


def test_without_on_move_every_move_is_two_changes() -> None:
    lines: list[str] = []
    queue = Queue(sets=True, on_move=False, report=lines.append)
    assert queue.add("Move", 0.0, b"/a", b"/b")
    assert show(queue) == ["wait Delete /a", "wait Create /b"]
    assert lines == ["splitting Move into Delete & Create", "New Delete: /a", "New Create: /b"]


def test_a_split_move_tells_that_its_contents_must_be_created() -> None:
    queue = Queue(sets=True, on_move=True)
    assert not queue.add("Move", 0.0, b"/d/", b"/e/")
    assert queue.add("Move", 0.0, b"/e/", b"/f/")


def test_absorbing_and_replacing_keep_place_and_alarm() -> None:
    queue = Queue(sets=True, on_move=True)
    queue.add("Attrib", 1.0, b"/a")
    queue.add("Create", 2.0, b"/b")
    queue.add("Modify", 3.0, b"/a")
    queue.add("Modify", 4.0, b"/a")
    assert show(queue) == ["wait Modify /a", "wait Create /b"]
    assert [delay.alarm for delay in queue] == [1.0, 2.0]


def test_the_same_kind_is_absorbed_past_other_kinds() -> None:
    """A sync with handlers sees each kind once, however often the file is written."""
    queue = Queue(sets=False, on_move=True)
    for etype in ["Create", "Attrib", "Modify"] * 1000:
        queue.add(etype, 0.0, b"/a")
    assert show(queue) == ["wait Create /a", "wait Attrib /a", "wait Modify /a"]


@pytest.mark.parametrize("sets", [True, False], ids=["sets", "handlers"])
def test_a_file_that_comes_and_goes_does_not_fill_the_queue(sets: bool) -> None:
    queue = Queue(sets=sets, on_move=True)
    for _ in range(1000):
        queue.add("Create", 0.0, b"/lock")
        queue.add("Modify", 0.0, b"/lock")
        queue.add("Delete", 0.0, b"/lock")
    queue.add("Create", 0.0, b"/lock")
    assert len(queue) <= 2


def test_what_waits_for_a_running_transfer_is_combined_too() -> None:
    queue = Queue(sets=True, on_move=True)
    queue.add("Modify", 0.0, b"/a")
    queue.activate(queue.select(None))
    for _ in range(3):
        queue.add("Modify", 0.0, b"/a")
    queue.add("Delete", 0.0, b"/a")
    assert show(queue) == ["active Modify /a", "block Delete /a"]


def test_names_that_are_not_text_are_told_without_loss() -> None:
    lines: list[str] = []
    queue = Queue(sets=True, on_move=True, report=lines.append)
    queue.add("Create", 0.0, b"/\xff\n")
    assert lines[0].encode("utf-8", "surrogateescape") == b"New Create: /\xff\n"


# ---- where Moves are chained

CHAINS = [
    # what waits; the Move; what becomes of it: True where it stays one, and what it waits for
    (["Create /d/"], "Move /a -> /d/a", "Create /d/"),
    (["Create /d/", "Create /d/e/"], "Move /a/ -> /d/e/a/", "Create /d/e/"),
    (["Attrib /d/"], "Move /d/a -> /b", "Attrib /d/"),
    (["Move /a -> /b"], "Move /b -> /c", "Move /a -> /b"),
    (["Move /a -> /t"], "Move /b -> /a", "Move /a -> /t"),
    (["Move /a -> /t", "Move /b -> /a"], "Move /t -> /b", "Move /b -> /a"),
    (["Move /big -> /n/big"], "Move /n/ -> /m/", "Move /big -> /n/big"),
    (["Move /n/ -> /m/"], "Move /m/big -> /big", "Move /n/ -> /m/"),
    (["Move /n/big -> /big"], "Move /n/ -> /m/", "Move /n/big -> /big"),
    (["Modify /a"], "Move /a -> /b", None),
    (["Create /a"], "Move /a -> /b", None),
    (["Attrib /a"], "Move /a -> /b", None),
    (["Modify /d/f"], "Move /d/ -> /e/", None),
    (["Attrib /d/"], "Move /d/ -> /e/", None),
    (["Delete /b"], "Move /a -> /b", None),
    (["Modify /b"], "Move /a -> /b", None),
    (["Delete /d/"], "Move /a -> /d/a", None),
    (["Modify /a", "Create /d/"], "Move /a -> /d/a", None),
    (["Create /d/", "Modify /a"], "Move /a -> /d/a", None),
    (["Create /d"], "Move /a -> /d/a", None),
    (["Move /d/a -> /x", "Create /x"], "Move /d/ -> /e/", None),  # the first has become the Delete of /d/a
    (["Move /d/a/b -> /x", "Move /y -> /d/a/c"], "Move /d/ -> /e/", "Move /y -> /d/a/c"),
]


@pytest.mark.parametrize(("waiting", "move", "behind"), CHAINS, ids=str)
@pytest.mark.parametrize("sets", [True, False], ids=["sets", "handlers"])
def test_a_move_waits_where_it_can_and_is_split_where_it_must(
    waiting: list[str], move: str, behind: str | None, sets: bool
) -> None:
    queue = Queue(sets=sets, on_move=True, chains_moves=True)
    for change in waiting:
        etype, path, path2 = parts(change)
        queue.add(etype, 0.0, path, path2)
    etype, path, path2 = parts(move)
    assert queue.add(etype, 0.0, path, path2) == (behind is None)
    assert (f"block {move}" in show(queue)) == (behind is not None)
    if behind is not None:
        blocker = list(queue)[-1].blocker
        assert blocker is not None
        assert show(queue)[[delay.seq for delay in queue].index(blocker.seq)].endswith(behind)


@pytest.mark.parametrize("first", [0, 1])
def test_one_that_meets_something_at_either_end_waits_for_both(first: int) -> None:
    queue = Queue(sets=False, on_move=True, chains_moves=True)
    queue.add("Move", 0.0, b"/x", b"/a")
    queue.add("Create", 0.0, b"/d/")
    queue.add("Move", 0.0, b"/a", b"/d/a")
    running = queue.select(lambda delay: delay.status == "wait")
    queue.activate(running)
    queue.remove(running[first])
    assert show(queue)[-1] == "block Move /a -> /d/a"
    queue.remove(running[1 - first])
    assert show(queue) == ["wait Move /a -> /d/a"]


def test_it_is_not_taken_with_one_of_them_alone() -> None:
    queue = Queue(sets=True, on_move=True, chains_moves=True)
    queue.add("Create", 0.0, b"/d/")
    queue.add("Move", 0.0, b"/x", b"/a")
    queue.add("Move", 0.0, b"/a", b"/d/a")
    assert [delay.path for delay in queue.select(lambda delay: delay.etype == "Move")] == [b"/x"]
    assert len(queue.select(None)) == 3


def test_moves_to_and_fro_do_not_fill_the_queue() -> None:
    queue = Queue(sets=False, on_move=True, chains_moves=True)
    for _ in range(1000):
        queue.add("Move", 0.0, b"/a", b"/b")
        queue.add("Move", 0.0, b"/b", b"/a")
    assert len(queue) < 40


def test_those_that_wait_for_a_move_are_known() -> None:
    queue = Queue(sets=False, on_move=True, chains_moves=True)
    queue.add("Move", 0.0, b"/a/", b"/b/")
    queue.add("Attrib", 0.0, b"/b/")
    queue.add("Move", 0.0, b"/b/x", b"/c")
    queue.add("Move", 0.0, b"/y", b"/z")
    first = next(iter(queue))
    assert [delay.path for delay in queue.moves_behind(first)] == [b"/b/x"]


NEW = ["Create /d/", "Move /a -> /d/a"]

CARRIED = [
    (NEW, ["wait Create /e/", "block Move /a -> /e/a"]),
    (["Attrib /", *NEW, "Attrib /d/"], None),
    (["Create /d/", "Create /d/f", "Move /a/ -> /d/a/", "Move /d/a/b -> /c"], None),
]

STAYS = [
    ["Create /d/", "Create /d/f"],  # nothing is saved
    ["Delete /d/", *NEW],  # the target has had one
    ["Modify /d", *NEW],
    [*NEW, "Create /e/"],
    [*NEW, "Modify /e/x"],
    ["Move /a -> /d/a"],  # it is on the target already
]


@pytest.mark.parametrize(("waiting", "becomes"), CARRIED, ids=str)
def test_a_new_directory_takes_along_what_is_moved_into_it(waiting: list[str], becomes: list[str] | None) -> None:
    lines: list[str] = []
    queue = Queue(sets=True, on_move=True, chains_moves=True, report=lines.append)
    for change in waiting:
        etype, path, path2 = parts(change)
        queue.add(etype, 0.0, path, path2)
    before = show(queue)
    assert not queue.add("Move", 0.0, b"/d/", b"/e/"), "it is not split"
    expected = [line.replace("/d/", "/e/") for line in before] if becomes is None else becomes
    assert show(queue)[:-1] == expected
    assert show(queue)[-1].endswith("Delete /d/")
    assert "Move: /d/ -> /e/ renames Create: /d/ and all that waits below it" in lines
    queue.activate(list(queue))
    for delay in list(queue):
        queue.remove(delay)
    assert queue.places_held() == 0


@pytest.mark.parametrize("waiting", STAYS, ids=str)
def test_it_does_not_where_that_would_save_nothing_or_not_be_right(waiting: list[str]) -> None:
    queue = Queue(sets=True, on_move=True, chains_moves=True)
    for change in waiting:
        etype, path, path2 = parts(change)
        queue.add(etype, 0.0, path, path2)
    before = show(queue)
    queue.add("Move", 0.0, b"/d/", b"/e/")
    assert show(queue)[: len(before)] == before


def test_it_does_not_when_something_of_it_is_under_way_or_has_failed() -> None:
    for step in ("activate", "fail"):
        queue = Queue(sets=True, on_move=True, chains_moves=True)
        for change in NEW:
            etype, path, path2 = parts(change)
            queue.add(etype, 0.0, path, path2)
        first = next(iter(queue))
        queue.activate([first])
        if step == "fail":
            queue.retry(first, 5.0)
        queue.add("Move", 0.0, b"/d/", b"/e/")
        assert first.path == b"/d/"


def chained(*changes: str) -> Queue:
    queue = Queue(sets=True, on_move=True, chains_moves=True)
    for change in changes:
        etype, path, path2 = parts(change)
        queue.add(etype, 0.0, path, path2)
    return queue


@pytest.mark.parametrize(
    ("waiting", "move", "is_carried"),
    [
        (["Create /p/", "Create /p/d/", "Move /a -> /p/d/a"], "Move /p/d/ -> /e/", True),
        (["Create /p/d/", "Move /a -> /p/d/a", "Attrib /p/"], "Move /p/d/ -> /p/e/", True),
        (["Create /p/d/", "Move /a -> /p/d/a", "Create /p/"], "Move /p/d/ -> /e/", False),
        ([*NEW, "Create /p/"], "Move /d/ -> /p/e/", False),
        (["Create /p/", *NEW], "Move /d/ -> /p/e/", False),
        ([*NEW, "Attrib /p"], "Move /d/ -> /p/e/", False),
    ],
)
def test_what_waits_above_either_end_is_in_the_way_unless_nobody_has_to_wait_for_it(
    waiting: list[str], move: str, is_carried: bool
) -> None:
    queue = chained(*waiting, move)
    assert (parts(move)[1] not in [delay.path for delay in queue if delay.etype == "Create"]) == is_carried


def test_what_was_carried_keeps_its_place_among_others() -> None:
    queue = chained(*NEW, "Modify /p/x", "Move /d/ -> /p/e/", "Delete /p/")
    blocker = list(queue)[-1].blocker
    assert blocker is not None
    assert blocker.path == b"/p/x", "the newest below"
