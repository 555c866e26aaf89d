"""The list of what changed: order and entries as lsyncd 2.2.3 gives them, escaping as rsync needs it."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_rsync.filterlist import ChangedPath, escape, filterlist, guarded, temporaries
from orchestrator_rsync.patterns import below

RECORDED = [
    ([b"/a/x", b"/a/y", b"/n"], [b"/a/x", b"/a/", b"/", b"/a/y", b"/n"]),
    ([b"/a/b/c/f", b"/a/x", b"/top"], [b"/a/b/c/f", b"/a/b/c/", b"/a/b/", b"/a/", b"/", b"/a/x", b"/top"]),
    ([b"/q/", b"/q/r/", b"/q/r/z"], [b"/q/", b"/", b"/q/r/", b"/q/r/z"]),
    ([b"/e/", b"/a/x"], [b"/e/", b"/", b"/a/x", b"/a/"]),
    ([b"-/e/", b"/e/"], [b"/e/***", b"/e/", b"/"]),
    (
        [b"/a/b/c/f", b"-/a/b/c/", b"-/a/b/", b"/a/x", b"/a/y", b"-/a/"],
        [
            *(b"/a/b/c/f", b"/a/b/c/", b"/a/b/", b"/a/", b"/", b"/a/b/c/***", b"/a/b/***", b"/a/x", b"/a/y"),
            b"/a/***",
        ],
    ),
    (
        [b"-/a/b/", b"/e/b2/", b"/e/b2/c/", b"/e/b2/c/f"],
        [b"/a/b/***", b"/a/b/", b"/a/", b"/", b"/e/b2/", b"/e/", b"/e/b2/c/", b"/e/b2/c/f"],
    ),
]
"""(paths, a deleted directory with `-` in front; what lsyncd 2.2.3 sent)."""


def changes_of(paths: list[bytes]) -> list[ChangedPath]:
    return [ChangedPath(path.removeprefix(b"-"), path.startswith(b"-")) for path in paths]


@pytest.mark.parametrize(("paths", "expected"), RECORDED)
def test_entries_and_order_are_lsyncds(paths: list[bytes], expected: list[bytes]) -> None:
    assert filterlist(changes_of(paths)) == expected


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        (b"/b\\s", b"/b\\s"),
        (b"/]", b"/]"),
        (b"/[x]", b"/\\[x]"),
        (b"/b\\*s", b"/b\\\\\\*s"),
        (b"/?\\", b"/\\?\\\\"),
        (b"/a b\n\xff#;-", b"/a b\n\xff#;-"),
    ],
)
def test_escaping(path: bytes, entry: bytes) -> None:
    assert escape(path) == entry


def test_a_parents_entry_is_escaped_by_its_own_name() -> None:
    assert filterlist([ChangedPath(b"/b\\s/[x]")]) == [b"/b\\\\s/\\[x]", b"/b\\s/", b"/"]


def test_below_a_deleted_directory_its_backslash_is_an_escape() -> None:
    assert filterlist([ChangedPath(b"/b\\s/", whole=True)]) == [b"/b\\\\s/***", b"/b\\s/", b"/"]


def test_the_root_is_never_whole() -> None:
    assert filterlist([ChangedPath(b"/", whole=True)]) == [b"/"]


segments = st.binary(min_size=1, max_size=3).filter(lambda name: b"/" not in name and b"\0" not in name)
paths = st.tuples(st.lists(segments, min_size=1, max_size=4), st.booleans()).map(
    lambda parts: b"/" + b"/".join(parts[0]) + (b"/" if parts[1] else b"")
)
changes = st.lists(
    st.tuples(paths, st.booleans()).map(lambda pair: ChangedPath(pair[0], pair[1] and pair[0].endswith(b"/")))
)


@given(changes)
def test_every_path_has_its_parents_and_nothing_comes_twice(found: list[ChangedPath]) -> None:
    entries = filterlist(found)
    assert len(entries) == len(set(entries))
    expected = {escape(change.path) for change in found}
    for change in found:
        parts = change.path.rstrip(b"/").split(b"/")[:-1]
        expected |= {escape(b"/".join(parts[: depth + 1]) + b"/") for depth in range(len(parts))}
    assert {entry for entry in entries if not entry.endswith(b"/***")} == expected


def test_cost_grows_with_the_number_of_paths() -> None:
    def seconds(count: int) -> float:
        found = [ChangedPath(b"/dir%d/sub%d/file%d" % (n % 50, n % 2000, n)) for n in range(count)]
        begin = time.process_time()
        filterlist(found)
        return time.process_time() - begin

    small = min(seconds(20_000) for _ in range(3))
    assert seconds(200_000) < 30 * small + 0.5


def test_exclude_rules_come_first() -> None:
    assert guarded([ChangedPath(b"/d/", whole=True)], [b"- /x", b"- *.tmp"]) == [
        b"- /x", b"- *.tmp", b"/d/***", b"/d/", b"/",
    ]  # fmt: skip


def test_an_include_rule_is_cut_down_to_the_deleted_directory() -> None:
    assert guarded([ChangedPath(b"/f"), ChangedPath(b"/d/", whole=True)], [b"+ /d/x/*", b"+ *.c", b"- *.o"]) == [
        b"/f", b"/", b"/d/", b"+ /d/x/*", b"+ /d/*.c", b"+ /d/**/*.c", b"- *.o", b"/d/***",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "directory", "rests"),
    [
        (b"/a/b", b"/a/", [b"b"]),
        (b"/a/b", b"/c/", []),
        (b"/a*/b?/c", b"/ax/bb/", [b"c"]),
        (b"/a*/c", b"/a/b/", []),
        (b"/a/**", b"/a/b/", [b"**"]),
        (b"/a/***", b"/a/b/", [b"***"]),
        (b"/**/x", b"/a/b/", [b"**/x", b"x"]),
        (b"x/y", b"/a/x/", [b"x/y", b"y", b"**/x/y"]),
        (b"[ab]/y", b"/b/", [b"[ab]/y", b"y", b"**/[ab]/y"]),
        (b"/[!ab]/y", b"/b/", []),
        (b"/\\*/y", b"/*/", [b"y"]),
        (b"/\\*/y", b"/b/", []),
    ],
)
def test_what_a_pattern_asks_below_a_directory(pattern: bytes, directory: bytes, rests: list[bytes]) -> None:
    assert sorted(below(pattern, directory)) == sorted(rests)


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (b"/d/f", b"/d/.f.aB3xYz"),
        (b"/.hidden", b"/.hidden.000000"),
        (b"/d*/[x]\\", b"/d*/.[x]\\.aaaaaa"),
        (b"/" + b"n" * 255, b"/." + b"n" * 246 + b".aaaaaa"),
        (b"/" + b"n" * 245 + b"\xc3\xa4" * 5, b"/." + b"n" * 245 + b".aaaaaa"),
    ],
)
def test_what_a_killed_rsync_leaves_beside_a_file(path: bytes, left: bytes) -> None:
    assert fnmatch.fnmatchcase(
        left.decode("latin-1"), re.sub(r"\\(.)", r"[\1]", temporaries([path])[0].decode("latin-1"))
    )
