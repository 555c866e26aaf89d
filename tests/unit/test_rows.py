"""Every row of the table of what differs from lsyncd (spec 6) is proved by a test, and documented for users.

A test names its rows by `@pytest.mark.row(N, …)`, a differential case by `why = "page 6 row N…"`. They are looked for
in the sources: what is not selected, or needs a program that is missing, counts as well.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"

FIRST_WORDS = {
    "1": "several writes to a file that waits",
    "2": "many changes waiting",
    "3": "a transfer is killed",
    "4": "mistakes in the config",
    "5": "changes that are done with out of order",
    "6": "a directory is moved out of the source",
    "7": "the source is deleted, replaced or unmounted",
    "8": "more changes than the kernel can queue",
    "9": "HUP with a config that does not load",
    "10": "status file",
    "11": "names with `]`",
    "12": "`crontab`",
    "13": "a transfer fails again and again",
    "14": "configs with `settings = {…}`",
    "15": "status file",
    "16": "`onepass` with several syncs",
    "16b": "rsync ends with 23",
    "17": "an exit code that no table lists",
    "18": "a directory can't be watched",
    "19": "a half-written upload travels",
    "20": "the source lies on NFS, SMB",
    "21": "a big tree at the start",
    "22": "the source was emptied, or not mounted",
    "23": "pid file",
    "24": "`default.direct`",
    "25": "`maxProcesses` in `settings`",
    "27": "patterns like",
    "28": "an exclude with several stars",
    "34": "relative targets",
    "35": "HUP while a transfer hangs",
    "29": "the target's file system",
    "30": "the source lies inside the target",
    "26": "two daemons, or two syncs, that mirror each other",
    "31": "a link on the way to the source is switched",
    "32": "`default.direct`: somebody puts a symlink",
    "36": "one file changes in a large directory",
    "42": "a restart compares both trees",
    "44": "a startup that takes hours",
    "40": "each transfer over ssh logs in anew",
    "33": "somebody renames things faster than anybody can follow",
}
"""Row of the table → how its line in contrib/COMING-FROM-LSYNCD.md begins."""

CASE = re.compile(r"page 6 row (\d+b?)")


def marked(tree: ast.AST) -> set[str]:
    """The rows that the tests of a module are marked with."""
    return {
        str(argument.value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.row"
        for argument in decorator.args
        if isinstance(argument, ast.Constant)
    }


def named_by_cases(tree: ast.AST) -> set[str]:
    """The rows that a table of differential cases gives as reasons."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {match[1] for text in texts if (match := CASE.match(text))}


def proved() -> dict[str, set[str]]:
    """Row → where it is proved, by tests that run the whole daemon with real programs."""
    found: dict[str, set[str]] = {}
    for room, look in (("e2e", marked), ("differential", marked), ("differential", named_by_cases)):
        for path in (TESTS / room).glob("*.py"):
            for row in look(ast.parse(path.read_text())):
                found.setdefault(row, set()).add(f"{room}/{path.name}")
    return found


def test_every_row_has_a_test_and_no_other_is_named() -> None:
    assert sorted(proved()) == sorted(FIRST_WORDS)


def table_of(path: str, heading: str) -> list[str]:
    """The rows of the table below a heading, without its header."""
    part = (ROOT / path).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("row", FIRST_WORDS)
def test_every_row_is_documented_for_users(row: str) -> None:
    lines = table_of("contrib/COMING-FROM-LSYNCD.md", "What differs")
    assert [line for line in lines if line.startswith(f"| {FIRST_WORDS[row]}")], f"nothing is said of row {row}"


def test_the_readme_has_five_of_them() -> None:
    five = table_of("README.md", "Coming from lsyncd")
    assert len(five) == 5
    assert set(five) <= set(table_of("contrib/COMING-FROM-LSYNCD.md", "What differs"))
