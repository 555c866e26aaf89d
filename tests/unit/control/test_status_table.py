"""The table that `orchestrator status` prints, from an answer to its lines."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.control.answer import NotOurs, status_of
from orchestrator.control.table import table
from orchestrator.logic import words

NOW = 1_800_000_000.0

SYNC: dict[str, Any] = {
    "name": "web1", "number": 1, "action": "rsync", "source": "/srv/www/", "target": "/mnt/mirror/www/",
    "state": "in sync", "stuck": None, "waiting": 0, "settling": 0, "retrying": 0, "oldest": None, "held_by": "",
    "unreachable": None, "startup": None, "transfers": [], "last_success": NOW - 3, "last_error": None,
    "verified": None, "conflicts": None,
}  # fmt: skip


def answer(*syncs: dict[str, Any], **daemon: Any) -> dict[str, Any]:
    known = {"pid": 7, "time": NOW, "config": "/etc/lsyncd.conf", "state": "running", "processes": 0, "watches": 1}
    return {"daemon": known | {"polled": 0, "overflows": 0, "ssh": []} | daemon, "syncs": list(syncs)}


def lines(*syncs: dict[str, Any], columns: int | None = None, coloured: bool = False, **daemon: Any) -> list[str]:
    return list(table(status_of(answer(*syncs, **daemon)), columns, is_coloured=coloured))


def test_a_row_for_each_sync_and_a_summary() -> None:
    error = {"time": NOW - 25, "exit_code": 12, "cause": "no route to host"}
    retrying = {"name": "web2", "state": "retrying", "waiting": 12, "oldest": NOW - 840, "retrying": 2}
    assert lines(SYNC, SYNC | retrying | {"last_error": error}, processes=1) == [
        "SYNC  STATE     TARGET            WAITING  OLDEST  LAST SUCCESS  TROUBLE",
        "web1  in sync   /mnt/mirror/www/        0       -        3s ago",
        "web2  retrying  /mnt/mirror/www/       12     14m        3s ago  2 paths are tried again",
        "",
        "lsyncd 7: 2 syncs: 1 in sync, 1 retrying",
        "12 changes wait, 1 transfer running, 1 directory watched",
    ]


def trouble_of(**changed: Any) -> str:
    row = lines(SYNC | changed)[1]
    return row.partition("ago  ")[2]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"stuck": "held by plugin x"}, "held by plugin x"),
        ({"unreachable": {"host": "h", "next_try": NOW + 20}}, "h cannot be reached, next try in 20s"),
        ({"unreachable": {"host": "h", "next_try": None}}, "h cannot be reached"),
        ({"unreachable": {"host": "h", "next_try": NOW - 5}}, "h cannot be reached, next try in 0s"),
        (
            {"stuck": "h cannot be reached, next try in 9 s", "unreachable": {"host": "h", "next_try": NOW}},
            "h cannot be reached, next try in 9 s",
        ),
        ({"held_by": "onBatchStart"}, "held by onBatchStart"),
        ({"retrying": 1}, "1 path is tried again"),
        ({"last_error": {"time": NOW - 1, "exit_code": 12, "cause": "no route"}}, "no route (1s ago)"),
        ({"last_error": {"time": NOW - 1, "exit_code": 12, "cause": ""}}, "exit code 12 (1s ago)"),
        ({"last_error": {"time": NOW - 9, "exit_code": 12, "cause": "before the last success"}}, ""),
        ({"verified": {"is_equal": False, "differences": 3}}, "verify found 3 differences"),
        ({"verified": {"is_equal": True, "differences": 0}}, ""),
        ({"verified": {"is_equal": False, "differences": 0, "error": "unreachable"}}, ""),
        ({"conflicts": ["a", "b"]}, "2 conflicts"),
    ],
)
def test_trouble_in_words(changed: dict[str, Any], said: str) -> None:
    assert trouble_of(**changed) == said


@pytest.mark.parametrize(
    ("startup", "said"),
    [
        ({"parts_done": 3, "parts": 8}, "starting 3/8"),
        ({"parts_done": 0, "parts": 1}, "starting "),
        ({"files_done": 5, "files": 20, "bytes_done": None, "bytes": None}, "starting 25%"),
        ({"files_done": 5, "files": 20, "bytes_done": 1, "bytes": 2}, "starting 50%"),
        ({"bytes_done": 3, "bytes": 2}, "starting 100%"),
        ({"since": NOW}, "starting "),
    ],
)
def test_progress_of_a_startup(startup: dict[str, Any], said: str) -> None:
    assert lines(SYNC | {"state": "starting", "startup": startup})[1].startswith(f"web1  {said.ljust(9)} ")


def test_colour_is_the_only_difference() -> None:
    syncs = SYNC, SYNC | {"state": "stopped"}, SYNC | {"state": "paused"}, SYNC | {"state": "syncing"}
    coloured = lines(*syncs, coloured=True)
    assert [re.sub("\x1b\\[\\d*m", "", line).rstrip() for line in coloured] == lines(*syncs)
    # each of the four is seen at a glance
    assert len({re.search("\x1b\\[\\d\\dm", line)[0] for line in coloured[1:5]}) == 4  # type: ignore[index]


def test_a_stuck_sync_is_as_bad_as_a_stopped_one() -> None:
    shades = [
        re.findall("\x1b\\[\\d\\dm", line)
        for line in lines(SYNC | {"stuck": "x", "state": "syncing"}, SYNC | {"state": "stopped"}, coloured=True)[1:3]
    ]
    assert shades[0] == shades[1] != []


NARROW = 40
"""Columns below which no table fits."""


@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": st.text(max_size=30), "target": st.text(max_size=60), "stuck": st.none() | st.text(max_size=90)}
        ),
        max_size=4,
    ),
    st.integers(76, 200),
)
def test_no_row_is_wider_than_the_terminal_and_none_is_lost(syncs: list[dict[str, Any]], columns: int) -> None:
    shown = lines(*(SYNC | sync for sync in syncs), columns=columns)
    for line in shown[: shown.index("")] if syncs else ():
        assert words.width(line) <= columns
        assert line.isprintable() or not set(line) & {chr(code) for code in [*range(32), *range(127, 160)]}
    assert sum("/mnt" in line or " ago" in line for line in shown) >= len(syncs)


def test_a_long_trouble_goes_below_its_row() -> None:
    shown = lines(SYNC | {"stuck": "a transfer of /a/b (pid 12) has moved nothing for 14 min"}, columns=80)
    assert shown[2] == "  a transfer of /a/b (pid 12) has moved nothing for 14 min"


def test_names_steer_no_terminal_and_forge_no_row() -> None:
    name = "a\x1b[2J\u202e\x9b\nweb2"
    for line in lines(SYNC | {"name": name, "target": name, "state": name, "held_by": name}, state=name):
        assert not set(line) & set("\x1b\u202e\x9b\n")
    assert lines(SYNC | {"name": name})[1].startswith("a\\x1b[2J\\u202e\\x9b\\nweb2  ")


def test_passwords_are_masked() -> None:
    said = "".join(lines(SYNC | {"name": "rsync://u:pa55@h/m", "target": "rsync://u:pa55@h/m", "stuck": "u:pa55@h::m"}))
    assert "pa55@h/m" not in said


JUNK = {
    "nothing": None,
    "a list": [1, 2],
    "no syncs": {"daemon": {"pid": 1, "time": NOW}},
    "syncs of another kind": answer() | {"syncs": 3},
    "a text for a sync": answer() | {"syncs": ["x"]},
    "no name": answer({"state": "in sync"}),
    "a list for a state": answer(SYNC | {"state": ["x"]}),
    "a text for a time": answer(SYNC | {"last_success": "x"}),
    "a time that is none": answer(SYNC | {"oldest": 1e300}),
    "infinite": answer(SYNC | {"oldest": float("inf")}),
    "not a number": answer(time=float("nan")),
    "true for a number": answer(SYNC | {"waiting": True}),
    "a huge number": answer(SYNC | {"waiting": 1 << 80}),
    "no cause": answer(SYNC | {"last_error": {"cause": "x"}}),
    "a host of another kind": answer(SYNC | {"unreachable": {"host": 3}}),
    "a connection of another kind": answer(ssh=[3]),
}


@pytest.mark.parametrize("case", JUNK)
def test_what_no_daemon_answers(case: str) -> None:
    with pytest.raises(NotOurs):
        status_of(JUNK[case])


def test_an_older_daemon_leaves_fields_out() -> None:
    shown = list(
        table(
            status_of({"daemon": {"pid": 7, "time": NOW}, "syncs": [{"name": "a", "state": "in sync"}]}),
            None,
            is_coloured=False,
        )
    )
    assert shown[1].split() == ["a", "in", "sync", "-", "0", "-", "-"]


def test_ages_and_sizes() -> None:
    assert [words.age(seconds) for seconds in (0, 0.9, 59.9, 60, 3599, 7200, 86400 * 12)] == [
        "0s", "0s", "59s", "1m", "59m", "2h", "12d",
    ]  # fmt: skip
    sizes = [0, 999, 999.6, 1000, 12_345, 999_499, 999_500, 4e9, 5e18]
    assert [words.size(count) for count in sizes] == [
        "0 B", "999 B", "1.00 kB", "1.00 kB", "12.3 kB", "999 kB", "1.00 MB", "4.00 GB", "5000 PB",
    ]  # fmt: skip
