"""Each citation of the contract ("spec 3.4", "page 4", "row 16b") leads to a part of tests/spec/, or to a row there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import orchestrator
from orchestrator import commandline
from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.settings import SETTINGS
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "tests" / "spec"
SUFFIXES = {".py", ".lua", ".md", ".sh", ".toml"}
TOPS = ("orchestrator", "plugins", "configs", "contrib", "tests")

GLUE = r"(?:,\s+and\s+|,\s+|\s+and\s+|\s+to\s+|;\s+)"
PART = r"[1-9]\d*(?:\.\d+)?"
# `spec 3.3 to 3.5, 2.4`; a version ("2.2.3") or the years of a date are none
PARTS = re.compile(rf"\b(?:spec|[Pp]ages?) ({PART}(?![\d.]*\d)(?:{GLUE}{PART}(?![\d.]*\d|\s+rows?\b))*)")
ROW = r"[1-9]\d*b?\b"
ROWS = re.compile(rf"\brows? ({ROW}(?:{GLUE}{ROW})*)")


def parts_and_rows() -> tuple[set[str], set[str]]:
    """The numbers of all pages and headings, and of the rows in the table of page 6."""
    parts: set[str] = set()
    for page in SPEC.glob("*.md"):
        parts |= set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", page.read_text(), flags=re.M))
    (differ,) = SPEC.glob("6-*.md")
    return parts, set(re.findall(r"^\| (\d+b?) \|", differ.read_text(), flags=re.M))


KNOWN_PARTS, KNOWN_ROWS = parts_and_rows()


def citations(text: str) -> Iterator[tuple[str, str]]:
    """`("spec", "3.4")`, `("row", "16b")` for everything cited."""
    for match in PARTS.finditer(text):
        yield from (("spec", number) for number in re.findall(PART, match[1]))
    for match in ROWS.finditer(text):
        yield from (("row", number) for number in re.findall(ROW, match[1]))


def sources() -> list[Path]:
    found = [path for top in TOPS for path in sorted((ROOT / top).rglob("*")) if path.suffix in SUFFIXES]
    return [path for path in [*found, *sorted(ROOT.glob("*.md"))] if path != Path(__file__).resolve()]


def test_each_citation_leads_somewhere() -> None:
    lost = [
        f"{path.relative_to(ROOT)}: {kind} {number}"
        for path in sources()
        for kind, number in citations(re.sub(r"\n[#\s-]*", " ", path.read_text()))
        if number not in (KNOWN_PARTS if kind == "spec" else KNOWN_ROWS)
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("(spec 3.3 to 3.5, 2.4)", [("spec", "3.3"), ("spec", "3.5"), ("spec", "2.4")]),
        ("spec 6 rows 7 and 22", [("spec", "6"), ("row", "7"), ("row", "22")]),
        ("spec 6, rows 13, 16b.", [("spec", "6"), ("row", "13"), ("row", "16b")]),
        ("spec 9.9", [("spec", "9.9")]),
        ("page 6 row 99: why", [("spec", "6"), ("row", "99")]),
        ("lsyncd 2.2.3", []),
    ],
)
def test_citations_are_seen(text: str, cited: list[tuple[str, str]]) -> None:
    assert list(citations(text)) == cited


def test_every_page_is_cited() -> None:
    assert {number for path in sources() for kind, number in citations(path.read_text()) if kind == "spec"} >= set(
        "123456"
    )


def test_the_package_says_where_the_contract_is() -> None:
    """It is installed beside the other documents; docstrings only cite it."""
    assert orchestrator.__doc__ is not None
    assert "tests/spec/" in orchestrator.__doc__
    assert "share/doc/lsyncd-orchestrator/spec/" in orchestrator.__doc__
    assert '"share/doc/lsyncd-orchestrator/spec" = ["tests/spec/*"]' in (ROOT / "pyproject.toml").read_text()


def test_the_contract_has_every_option_setting_and_key() -> None:
    text = "".join(page.read_text() for page in SPEC.glob("*.md"))
    keys = {*commandline.OPTIONS, *SETTINGS, *SYNC_KEYS}
    keys.update(*(action.options for action in make_manager().actions().values()))
    assert {key for key in keys if not re.search(rf"\b{re.escape(key)}\b", text)} == set()
