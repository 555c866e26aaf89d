"""Into which parts a startup is divided."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.division import (
    BYTES_AN_ENTRY,
    LEAST,
    MOST_OPENED,
    MOST_SUBTREES,
    REST,
    Counted,
    Directory,
    Division,
    Size,
    divide,
)
from orchestrator.logic.event import ATTRIB, CREATE, DELETE, MODIFY


def tree(sizes: dict[bytes, int]) -> Directory:
    """A tree of directories, each with so many entries of its own."""
    counted = Counted()
    for path, entries in sizes.items():
        counted.place_for(b"/", path)
        counted.add(path, entries, 0)
    return counted.tree()


def divided(sizes: dict[bytes, int], processes: int) -> Division:
    division = divide(tree(sizes), processes)
    assert division is not None
    return division


def subtrees(division: Division) -> list[tuple[bytes, ...]]:
    return [part.subtrees for part in division.parts]


def test_equal_directories_are_shared_out_evenly() -> None:
    division = divided({b"/": 10, **{b"/%d/" % number: LEAST for number in range(8)}}, 2)
    assert division.parts[REST].left_out == tuple(b"/%d/" % number for number in range(8))
    assert subtrees(division) == [(), *((b"/%d/" % number,) for number in range(8))]
    assert division.size.entries == 10 + 8 * LEAST


def test_a_large_directory_is_opened() -> None:
    division = divided({b"/": 0, b"/a/": 5, b"/a/b/": 5, b"/a/b/c/": 3000, b"/a/b/d/": 3000, b"/e/": 3000}, 2)
    assert subtrees(division)[1:] == [(b"/a/b/c/",), (b"/a/b/d/",), (b"/e/",)]
    assert division.parts[REST].size.entries == 10, "its own entries are the rest's"


def test_one_with_many_entries_of_its_own_is_not() -> None:
    division = divided({b"/": 0, b"/a/": 9000, b"/a/b/": 900, b"/c/": 900}, 2)
    assert subtrees(division)[1:] == [(b"/a/",), (b"/c/",)]


def test_small_ones_go_together() -> None:
    division = divided({b"/": 0, b"/large/": 4000, **{b"/%03d/" % number: 20 for number in range(200)}}, 2)
    parts = division.parts[1:]
    assert len(parts) == 8
    assert parts[0].subtrees == (b"/large/",)
    assert {part.size.entries for part in parts[1:]} <= {560, 580, 600}


def test_content_weighs_too() -> None:
    counted = Counted()
    for path in (b"/a/", b"/b/"):
        counted.place_for(b"/", path)
        counted.add(path, 1, 2 * LEAST * BYTES_AN_ENTRY)
    division = divide(counted.tree(), 4)
    assert division is not None
    assert len(division.parts) == 3


def test_what_is_not_worth_it() -> None:
    small = {b"/": 0, b"/a/": LEAST, b"/b/": LEAST - 1}
    assert divide(tree(small), 8) is None, "too little"
    assert divide(tree({b"/": 9999, b"/a/": 9999}), 8) is None, "all in one place"
    assert divide(tree({b"/": 0, b"/a/": 9999, b"/b/": 9999}), 1) is None, "one process"
    assert divide(tree({}), 8) is None


def test_names_that_no_list_can_hold_stay_with_the_rest() -> None:
    names = [b"/a/", b"/b/", b"/c\nd/", b"/e\r/"]
    division = divided({b"/": 0, **dict.fromkeys(names, 1000)}, 2)
    assert subtrees(division)[1:] == [(b"/a/",), (b"/b/",)]
    assert division.parts[REST].size.entries == 2000


def test_bounds() -> None:
    many = divided({b"/": 0, **{b"/%d/" % number: 2 for number in range(MOST_SUBTREES + 500)}}, 4)
    assert len(many.parts[REST].left_out) == MOST_SUBTREES
    assert many.parts[REST].size.entries == 1000
    deep = {b"/": 0, **{b"/%d/" % number: 0 for number in range(200)}}
    deep.update({b"/%d/%s/" % (number, name): 9000 for number in range(200) for name in (b"a", b"b")})
    opened = {path.rsplit(b"/", 2)[0] for path in divided(deep, 64).parts[REST].left_out if path.count(b"/") > 2}
    assert len(opened) == MOST_OPENED - 1


def test_below_a_depth_only_sums_are_kept() -> None:
    counted = Counted(deepest=2, most=4)
    assert counted.place_for(b"/", b"/a/") == b"/a/"
    assert counted.place_for(b"/a/", b"/a/b/") == b"/a/b/"
    assert counted.place_for(b"/a/b/", b"/a/b/c/") == b"/a/b/", "too deep"
    assert counted.place_for(b"/", b"/d/") == b"/d/"
    assert counted.place_for(b"/", b"/e/") == b"/", "too many"
    counted.add(b"/a/b/", 7, 70)
    found = counted.tree()
    assert found.whole == Size(7, 70)
    assert sorted(child.path for child in found.children) == [b"/a/", b"/d/"]


def test_the_parts_that_a_change_concerns() -> None:
    division = divided({b"/": 0, b"/a/": 0, b"/a/b/": 900, b"/a/c/": 900, b"/d/": 900}, 2)
    number = {part.subtrees[0]: part.number for part in division.parts[1:]}
    b, c, d = number[b"/a/b/"], number[b"/a/c/"], number[b"/d/"]
    for path in (b"/a/b/f", b"/a/b/x/y/", b"/a/b/", b"/a/b"):
        assert list(division.concerned(MODIFY, path)) == [b]
        assert list(division.concerned(ATTRIB, path)) == [b]
    assert list(division.concerned(CREATE, b"/a/bf")) == []
    assert list(division.concerned(CREATE, b"/new/")) == []
    assert set(division.concerned(DELETE, b"/a/")) == {b, c}
    assert set(division.concerned(CREATE, b"/a")) == {b, c}, "a file in the place of a directory"
    assert set(division.concerned(DELETE, b"/")) == {b, c, d}
    assert list(division.concerned(ATTRIB, b"/a/")) == list(division.concerned(ATTRIB, b"/")) == []
    assert division.number_of(b"/a/f") == REST


NAMES = st.sampled_from([b"a", b"b", b"c d", b"e\nf"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: b"/" + b"".join(name + b"/" for name in names))


@given(st.dictionaries(PATHS, st.integers(0, 5000), max_size=30), st.integers(2, 9))
def test_every_directory_is_in_one_part_and_every_entry_counted_once(sizes: dict[bytes, int], processes: int) -> None:
    counted = Counted()
    for path in {b"/" + b"/".join(path[1:].split(b"/")[:depth]) + b"/" for path in sizes for depth in range(1, 5)}:
        if b"//" not in path:
            counted.place_for(b"/", path)
    for path, entries in sizes.items():
        counted.add(path, entries, 0)
    division = divide(counted.tree(), processes)
    if division is None:
        return
    found = dict.fromkeys(range(len(division.parts)), 0)
    for path, entries in sizes.items():
        found[division.number_of(path + b"f")] += entries
    assert found == {part.number: part.size.entries for part in division.parts}
    assert all(part.subtrees for part in division.parts[1:])
    assert sorted(one for part in division.parts for one in part.subtrees) == list(division.parts[REST].left_out)
