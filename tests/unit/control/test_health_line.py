"""`orchestrator health`: its verdict, and a line in the form that monitors read."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.control.answer import status_of
from orchestrator.control.health import Limits, judge, line_of

NOW = 1_800_000_000.0


def sync(name: str = "web1", **changed: Any) -> dict[str, Any]:
    return {"name": name, "state": "in sync", "waiting": 0} | changed


def health(*syncs: dict[str, Any], state: str = "running", **limits: Any) -> tuple[int, str]:
    answer = status_of({"daemon": {"pid": 7, "time": NOW, "state": state}, "syncs": list(syncs)})
    verdict = judge(answer, Limits(**limits))
    return verdict.code, line_of(verdict, Limits(**limits))


class Figure(NamedTuple):
    value: float
    unit: str
    warning: str
    critical: str
    least: str


RANGE = r"@?(?:~|-?\d+(?:\.\d+)?)?:?(?:-?\d+(?:\.\d+)?)?"
FIGURE = re.compile(
    r"(?P<label>'(?:[^'=]|'')+'|[^'=\s]+)=(?P<value>-?\d+(?:\.\d+)?)(?P<unit>s|us|ms|%|B|KB|MB|TB|c)?"
    rf"(?:;(?P<warning>{RANGE}))?(?:;(?P<critical>{RANGE}))?(?:;(?P<least>-?\d+(?:\.\d+)?)?)?(?:;(?P<most>[\d.]*))?"
)


def parsed(line: str) -> tuple[str, str, dict[str, Figure]]:
    """By the guidelines for monitoring plugins: SERVICE STATUS: text | perfdata, on one line."""
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Zl", "Zp", "Cs"}
    assert len(line) < 4096
    text, bar, perfdata = line.partition("|")
    assert bar
    assert "|" not in perfdata
    head = re.fullmatch(r"([A-Z]+) (OK|WARNING|CRITICAL|UNKNOWN) - (.+?) ", text)
    assert head, text
    figures = {}
    for word in perfdata.split():
        match = FIGURE.fullmatch(word)
        assert match, word
        figures[match["label"]] = Figure(
            float(match["value"]), match["unit"] or "", match["warning"], match["critical"], match["least"]
        )
    return head[2], head[3], figures


def test_all_is_well() -> None:
    code, line = health(sync(waiting=3, oldest=NOW - 5), sync("web2"))
    assert code == 0
    assert line == (
        "LSYNCD OK - 2 syncs, 3 changes wait | "
        "waiting=3;;;0 oldest=5s;;;0 retrying=0;;;0 transfers=0;;;0 syncs=2;;;0 troubled=0;;;0"
    )


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"state": "syncing"}, 0, "1 sync, 0 changes wait"),
        ({"state": "starting"}, 0, "1 sync, 0 changes wait"),
        ({"state": "paused"}, 0, "1 sync, 1 paused, 0 changes wait"),
        ({"state": "retrying"}, 1, "web1 retrying"),
        ({"retrying": 2}, 1, "web1 in sync (2 paths are tried again)"),
        ({"unreachable": {"host": "h", "next_try": NOW + 9}}, 1, "web1 in sync (h cannot be reached, next try in 9s)"),
        ({"verified": {"is_equal": False, "differences": 1}}, 1, "web1 in sync (verify found 1 difference)"),
        ({"conflicts": 1}, 1, "web1 in sync (1 conflict)"),
        ({"state": "suspended"}, 2, "web1 suspended"),
        ({"state": "left alone"}, 2, "web1 left alone"),
        ({"state": "stopped"}, 2, "web1 stopped"),
        ({"state": "syncing", "stuck": "pid 12 moves nothing"}, 2, "web1 stuck (pid 12 moves nothing)"),
    ],
)
def test_the_states(changed: dict[str, Any], code: int, said: str) -> None:
    got, line = health(sync(**changed))
    assert (got, parsed(line)[1]) == (code, said)
    assert parsed(line)[0] == ("OK", "WARNING", "CRITICAL")[code]


@pytest.mark.parametrize(
    ("age", "code"), [(60, 0), (60.5, 1), (300, 1), (301, 2)], ids=["at", "above", "at the second", "above it"]
)
def test_limits_of_the_age(age: float, code: int) -> None:
    got, line = health(sync(oldest=NOW - age, waiting=1), warning_age=60, max_age=300)
    assert got == code
    figure = parsed(line)[2]["oldest"]
    assert (figure.unit, figure.warning, figure.critical) == ("s", "60", "300")
    assert ("oldest change" in line) is bool(code)


@pytest.mark.parametrize(("waiting", "code"), [(10, 0), (11, 1), (100, 1), (101, 2)])
def test_limits_of_the_queue(waiting: int, code: int) -> None:
    got, line = health(sync(waiting=waiting), warning_delays=10, max_delays=100)
    assert got == code
    figure = parsed(line)[2]["waiting"]
    assert (figure.value, figure.warning, figure.critical) == (waiting, "10", "100")


def test_limits_hold_for_each_sync_and_not_for_their_sum() -> None:
    assert health(sync(waiting=60), sync("b", waiting=60), max_delays=100)[0] == 0


def test_the_worst_first_and_only_some_by_name() -> None:
    code, line = health(*(sync(f"s{number}", state="retrying") for number in range(9)), sync("dead", state="stopped"))
    assert code == 2
    assert parsed(line)[1].startswith("dead stopped; s0 retrying; ")
    assert parsed(line)[1].endswith("; and 5 more")
    assert parsed(line)[2]["troubled"].value == 10


@given(st.text(), st.text(), st.text())
def test_hostile_names_stay_text(name: str, state: str, cause: str) -> None:
    parsed(health(sync(f"n{name}", state=f"s{state}", stuck=f"c{cause}"))[1])


def test_passwords_are_masked() -> None:
    assert "pa55" not in health(sync("rsync://u:pa55@h/m", state="stopped"))[1]
