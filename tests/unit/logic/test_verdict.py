"""What the end of a process means, and the words for it, as lsyncd 2.2.3 says them (spec 3.7, 4.1, 4.3)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.logic.verdict import (
    AGAIN,
    COMMON,
    DIE,
    OK,
    RSYNC_EXIT_CODES,
    SHORT,
    SSH_EXIT_CODES,
    Judgement,
    classify,
    end_of,
    judge,
)  # fmt: skip

GIVES_UP = 'Terminating since "insist" is not set.'


def judged(kind: Any, exit_code: int, insist: bool = False, wording: Any = COMMON) -> Judgement:
    return judge(kind, "Create", b"/s//f", b"/s/", b"/t/", exit_code, RSYNC_EXIT_CODES, insist, wording)


@pytest.mark.parametrize(
    ("kind", "code", "insist", "verdict", "category", "message"),
    [
        ("init", 0, False, OK, "Normal", "Startup of /s/ -> /t/ finished."),
        ("init", 5, True, AGAIN, "Normal", "Retrying startup of /s/ -> /t/: 5"),
        ("init", 5, False, DIE, "Error", f"Temporary or permanent failure on startup of /s/ -> /t/. {GIVES_UP}"),
        ("init", 1, True, DIE, "Error", "Failure on startup of /s/ -> /t/."),
        ("init", 99, False, DIE, "Error", 'Unknown exitcode "99" on startup of /s/ -> /t/.'),
        ("init", 99, True, AGAIN, "Error", 'Unknown exitcode "99" on startup of /s/ -> /t/.'),
        ("list", 24, False, OK, "Normal", "Finished a list after exitcode: 24"),
        ("list", 5, False, AGAIN, "Normal", "Retrying a list after exitcode = 5"),
        ("list", 1, False, DIE, "Error", "Failure with a list with exitcode = 1"),
        ("list", 99, False, AGAIN, "Error", 'Unknown exitcode "99" with a list'),
        ("event", 0, False, OK, "Normal", "Finished Create on /s//f = 0"),
        ("event", 5, False, AGAIN, "Normal", "Retrying Create on /s//f = 5"),
        ("event", 1, False, DIE, "Error", "Failure with Create on /s//f = 1"),
        ("event", 99, False, AGAIN, "Normal", 'Unknown exitcode "99" with Create on /s//f = 99'),
    ],
)
def test_the_common_rule(kind: Any, code: int, insist: bool, verdict: str, category: str, message: str) -> None:
    judgement = judged(kind, code, insist)
    assert (judgement.verdict, judgement.category, judgement.message) == (verdict, category, message)
    assert judgement.unknown == (code == 99)


@pytest.mark.parametrize(
    ("kind", "code", "insist", "verdict", "message"),
    [
        ("init", 0, False, OK, 'Startup of "/s/" finished: 0'),
        ("init", 5, True, AGAIN, 'Retrying startup of "/s/": 5'),
        ("init", 5, False, DIE, f'Temporary or permanent failure on startup of "/s/". {GIVES_UP}'),
        ("init", 1, True, DIE, 'Failure on startup of "/s/": 1'),
        ("init", 99, False, DIE, 'Unknown exitcode on startup of "/s/: "99'),
        ("list", 0, False, OK, "Finished (list): 0"),
        ("list", 5, False, AGAIN, "Retrying (list): 5"),
        ("list", 1, False, DIE, "Failure (list): 1"),
        ("list", 99, False, AGAIN, "Unknown exitcode (list): 99"),
        ("event", 0, False, OK, "Finished Create /s//f: 0"),
        ("event", 5, False, AGAIN, "Retrying Create /s//f: 5"),
        ("event", 1, False, DIE, "Failure Create /s//f: 1"),
        ("event", 99, False, AGAIN, "Unknown exitcode Create /s//f: 99"),
    ],
)
def test_the_words_of_rsyncssh_and_direct(kind: Any, code: int, insist: bool, verdict: str, message: str) -> None:
    judgement = judged(kind, code, insist, SHORT)
    assert (judgement.verdict, judgement.message) == (verdict, message)


def test_which_ends_lsyncd_tells_without_critical_exitcode() -> None:
    assert judged("init", 5).at_once
    assert judged("init", 1).at_once
    assert not judged("list", 1).at_once
    assert not judged("init", 1, wording=SHORT).at_once
    assert judged("init", 5, wording=SHORT).at_once


def test_names_with_braces_and_bytes_stand_as_they_are() -> None:
    judgement = judge("event", "Create", b"/s//{x}\xff", b"/s/", b"", 0, None, False)
    assert judgement.message == "Finished Create on /s//{x}\udcff = 0"


@pytest.mark.parametrize("signum", [1, 9, 15, 64])
def test_death_by_a_signal_is_tried_again(signum: int) -> None:
    for table in (RSYNC_EXIT_CODES, SSH_EXIT_CODES, None, {}):
        assert classify(128 + signum, table) == AGAIN


def test_a_table_of_the_users_own_comes_first() -> None:
    assert classify(137, {137: DIE}) == DIE


def test_without_a_table_all_but_0_is_the_end() -> None:
    assert [classify(code, None) for code in (0, 1, 255)] == [OK, DIE, DIE]


def test_nonsense_in_a_table_is_as_if_it_were_not_listed() -> None:
    nonsense: Any = {3: "perhaps"}
    assert classify(3, nonsense) is None
    assert judge("list", "", b"", b"", b"", 3, nonsense, False).unknown


@pytest.mark.parametrize(
    ("judgement", "is_own", "end"),
    [
        (None, False, "daemon"),
        (None, True, "daemon"),
        (judged("init", 5), False, "daemon at once"),
        (judged("init", 1), False, "sync"),
        (judged("init", 1), True, "daemon at once"),
        (judged("init", 1, wording=SHORT), True, "daemon"),
        (judged("init", 77), False, "daemon"),
        (judged("list", 1), False, "sync"),
        (judged("list", 1), True, "daemon"),
    ],
)
def test_what_a_die_puts_an_end_to(judgement: Judgement | None, is_own: bool, end: str) -> None:
    """A code of the user's own table takes the daemon along, as does a startup that is given up (spec 6 row 17)."""
    assert end_of(judgement, is_own) == end
