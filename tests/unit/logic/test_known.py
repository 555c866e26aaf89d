"""The comparison of what is recorded with what is there (spec 6 "Beyond", Restart)."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from orchestrator.logic.known import (
    DIRECTORY,
    FILE,
    Moment,
    Record,
    checksum,
    checksum_of,
    ctime_of,
    differences,
    is_directory,
    status_of,
    unchanged,
    without_attributes,
)


def status(kind: int = stat.S_IFREG, inode: int = 7, size: int = 1, mtime: int = 2, ctime: int = 3) -> bytes:
    class Found:
        st_mode, st_ino, st_size, st_mtime_ns, st_ctime_ns = kind | 0o644, inode, size, mtime, ctime

    found: Any = Found
    return status_of(found)


PLAIN, OTHER, LINK = status(), status(ctime=4), status(stat.S_IFLNK)
HERE, TOUCHED, ANOTHER = (
    status(stat.S_IFDIR, 9),
    status(stat.S_IFDIR, 9, ctime=5),
    status(stat.S_IFDIR, 10),
)

CASES = {
    "the same": (Record(FILE, PLAIN), PLAIN, []),
    "changed": (Record(FILE, PLAIN), OTHER, ["Modify x"]),
    "same size and mtime, written nevertheless": (Record(FILE, PLAIN), status(ctime=9), ["Modify x"]),
    "replaced by an older file": (Record(FILE, PLAIN), status(inode=8), ["Modify x"]),
    "a link in its place": (Record(FILE, PLAIN), LINK, ["Create x"]),
    "new": (None, PLAIN, ["Create x"]),
    "begun": (Record(FILE), PLAIN, ["Create x"]),
    "gone": (Record(FILE, PLAIN), None, ["Delete x"]),
    "begun and gone": (Record(FILE), None, ["Delete x"]),
    "a directory in its place": (Record(FILE, PLAIN), HERE, ["Delete x", "Create x/"]),
    "a file in a directory's place": (Record(DIRECTORY, HERE, 5), PLAIN, ["Delete x/", "Create x"]),
    "a directory": (Record(DIRECTORY, HERE, 5), HERE, []),
    "its attributes": (Record(DIRECTORY, HERE, 5), TOUCHED, ["Attrib x/"]),
    "its attributes begun": (Record(DIRECTORY, without_attributes(HERE), 5), HERE, ["Attrib x/"]),
    "another one of the name": (Record(DIRECTORY, HERE, 5), ANOTHER, ["Delete x/", "Create x/"]),
    "a directory begun": (Record(DIRECTORY, None, 5), HERE, ["Delete x/", "Create x/"]),
    "a new directory": (None, HERE, ["Create x/"]),
    "a directory gone": (Record(DIRECTORY, HERE, 5), None, ["Delete x/"]),
    "either of the two, gone": (Record(FILE | DIRECTORY, None, 5), None, ["Delete x", "Delete x/"]),
}


@pytest.mark.parametrize("case", CASES)
def test_one_name(case: str) -> None:
    record, now, expected = CASES[case]
    records = {} if record is None else {b"x": record}
    found, _ = differences(records, {} if now is None else {b"x": now}, is_known=True)
    assert [f"{etype} {name.decode()}" for etype, name in found] == expected


def test_what_lies_in_another_directory_than_before_is_new() -> None:
    records = {b"x": Record(FILE, PLAIN), b"d": Record(DIRECTORY, HERE, 5)}
    found, descents = differences(records, {b"x": PLAIN, b"d": HERE}, is_known=False)
    assert found == [("Create", b"x"), ("Delete", b"d/"), ("Create", b"d/")]
    assert [(descent.name, descent.is_known) for descent in descents] == [(b"d", False)]


def test_descents_know_where_their_records_are() -> None:
    records = {b"d": Record(DIRECTORY, HERE, 5, 77), b"e": Record(DIRECTORY, HERE, 6)}
    _, descents = differences(records, {b"d": TOUCHED, b"e": ANOTHER, b"n": HERE}, is_known=True)
    assert descents == [(b"d", 5, 77, True), (b"e", 6, 0, False), (b"n", None, 0, False)]


def test_a_status_is_of_the_file_itself(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "f")
    with open(path, "w") as file:
        file.write("x")
    found = os.lstat(path)
    assert ctime_of(status_of(found)) == found.st_ctime_ns
    assert not is_directory(status_of(found))
    assert is_directory(status_of(os.lstat(tmp_path)))
    assert ctime_of(without_attributes(HERE)) < 0
    assert without_attributes(HERE)[:25] == HERE[:25]


def test_a_checksum_tells_of_lost_and_renamed_records_and_of_numbers() -> None:
    records = {b"a": Record(FILE, PLAIN), b"d": Record(DIRECTORY, HERE, 5)}
    whole = checksum_of(records)
    assert whole == checksum(b"a", records[b"a"]) ^ checksum(b"d", records[b"d"])
    assert checksum_of({b"a": records[b"a"]}) != whole
    assert checksum_of({b"b": records[b"a"], b"d": records[b"d"]}) != whole
    assert checksum_of({b"a": records[b"a"], b"d": Record(DIRECTORY, HERE, 6)}) != whole
    assert checksum_of({b"a": Record(FILE | DIRECTORY, PLAIN), b"d": records[b"d"]}) != whole


def test_a_clock_that_was_set_back_makes_a_moment_earlier() -> None:
    assert Moment(1000, 50).seen_from(Moment(2000, 50)) == 1000
    assert Moment(1000, 50).seen_from(Moment(2000, 60)) == 1000
    assert Moment(1000, 50).seen_from(Moment(900, -350)) == 600


def test_a_directory_in_which_all_is_as_it_was() -> None:
    records = {b"x": Record(FILE, PLAIN), b"d": Record(DIRECTORY, HERE, 5, 77)}
    entries = {b"d": HERE, b"x": PLAIN}
    assert unchanged(records, entries) == [(b"d", 5, 77, True)] == differences(records, entries, is_known=True)[1]
    for name, other in ((b"x", OTHER), (b"d", TOUCHED), (b"new", PLAIN)):
        assert unchanged(records, {**entries, name: other}) is None
    assert unchanged(records, {b"d": HERE}) is None
    assert unchanged({**records, b"v": Record(FILE)}, entries) is None
