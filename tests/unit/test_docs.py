"""configs/README.md tells every key as it is in the code: which there are, their types, their defaults."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import orchestrator
from orchestrator import commandline
from orchestrator.api import RSYNC_EXIT_CODES, SSH_EXIT_CODES, Option
from orchestrator.config.settings import SETTINGS
from orchestrator.control import main
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "configs" / "README.md").read_text()
ACTIONS = make_manager().actions()
WORDS = {str: "string", int: "number", float: "number", bool: "boolean", list: "list", dict: "table"}
TABLES = {
    tuple(RSYNC_EXIT_CODES.items()): "default.rsyncExitCodes",
    tuple(SSH_EXIT_CODES.items()): "default.sshExitCodes",
}


class Row(NamedTuple):
    key: str
    types: str
    default: str
    meaning: str


def rows(heading: str) -> dict[str, Row]:
    """The table of keys below a heading."""
    _, found, rest = README.partition(f"\n## {heading}\n")
    if not found:
        _, found, rest = README.partition(f"\n### {heading}\n")
    assert found, f"configs/README.md has no part {heading!r}"
    part = re.split(r"^##", rest, maxsplit=1, flags=re.M)[0]
    cells = (re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines() if line.startswith("| `"))
    found_rows = [Row(*(cell.strip() for cell in line)) for line in cells]
    assert len({row.key for row in found_rows}) == len(found_rows), f"a key stands twice in {heading!r}"
    return {row.key.strip("`"): row for row in found_rows}


def shown(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, (int, float)):
        return f"`{value}`"
    if isinstance(value, dict):
        listed = ", ".join(f'[{code}] = "{verdict}"' for code, verdict in value.items())
        return f"`{TABLES.get(tuple(value.items()), f'{{ {listed} }}')}`"
    raise AssertionError(f"no way to show {value!r}")


def agrees(row: Row, option: Option) -> bool:
    types = ", ".join(dict.fromkeys(WORDS[kind] for kind in option.types))
    # what is without a default may say so in words, but not name one
    default = "`" not in row.default if option.default is None else row.default == shown(option.default)
    return row.types == types and default and bool(row.meaning)


def tables() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each table of keys that plugins have, once, with the heading that it stands under."""
    seen: list[object] = []
    # rsync first: others use its table
    for name in sorted(ACTIONS, key=lambda name: (name != "rsync", name)):
        yield f"default.{name}", ACTIONS[name].options
        for key, option in ACTIONS[name].options.items():
            if not isinstance(option, Option) and option not in seen:
                seen.append(option)
                yield f"default.{name}: {key} = {{ … }}", option


def test_settings() -> None:
    documented = rows("settings")
    assert sorted(documented) == sorted(SETTINGS)
    assert [key for key in SETTINGS if not agrees(documented[key], SETTINGS[key])] == []


@pytest.mark.parametrize(
    ("heading", "options"), list(tables()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_keys_of_actions(heading: str, options: Mapping[str, object]) -> None:
    documented = rows(heading)
    defaults = ACTIONS[heading.removeprefix("default.")].defaults if ":" not in heading else {}
    assert sorted(documented) == sorted({*options, *defaults})
    for key, option in options.items():
        if isinstance(option, Option):
            assert agrees(documented[key], option), documented[key]
        else:
            assert documented[key].types == "table"
    for key, value in defaults.items():
        assert documented[key].default == shown(value), documented[key]


def test_keys_of_every_sync(tmp_path: Path) -> None:
    config = tmp_path / "config.lua"
    config.write_text("for key in pairs( default.checkgauge ) do print( key ) end terminate( 0 )\n")
    known = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", config],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.split()
    documented = rows("Every sync")
    assert sorted(documented) == sorted(known)
    assert all(row.types and row.meaning for row in documented.values())


def test_examples() -> None:
    """Each is told of, and nothing else."""
    told = set(re.findall(r"\]\((\w[\w-]*\.(?:lua|toml))\)", README))
    assert told == {path.name for path in (ROOT / "configs").iterdir() if path.suffix in (".lua", ".toml")}


def test_manual_tells_every_option() -> None:
    """With as many values as it takes; `monitor` takes one or none."""
    manual = (ROOT / "contrib" / "man" / "lsyncd.1").read_text().partition(".SH OPTIONS")[2].partition(".SH SIGNALS")[0]
    # .BI \-delay\  SECS, .BI \-rsync\  "SOURCE TARGET", .B \-insist
    entries = re.findall(r'^\.TP\n\.BI? \\-(\w+)(?:\\ +"?([A-Z ]+)"?)?$', manual, flags=re.M)
    told = {name: len(values.split()) for name, values in entries}
    assert told == {**{name: count for name, (count, _) in commandline.OPTIONS.items()}, "monitor": 1}


def test_usage_tells_every_option() -> None:
    told = set(re.findall(r"(?<=[ \[])-([a-z]+)", commandline.USAGE))
    assert told == {*commandline.OPTIONS, "monitor"} - {"runner"}


def complete(*words: str) -> list[str]:
    script = f"""
        source {ROOT}/contrib/bash-completion/lsyncd
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _lsyncd
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    bash = ["bash", "--noprofile", "--norc", "-c", script, "bash", *words]
    return subprocess.run(bash, capture_output=True, text=True, check=True, timeout=30, cwd=ROOT).stdout.split()


def test_completion_offers_every_option() -> None:
    assert complete("lsyncd", "-") == sorted(f"-{name}" for name in (*commandline.OPTIONS, "monitor"))
    assert complete("lsyncd", "--no") == ["--nodaemon"]
    assert complete("lsyncd", "-log", "sc") == ["scarce"]
    assert complete("lsyncd", "configs/layer1") == ["configs/layer1.lua"]


BLOCK = re.compile(r"^```(toml|lua)\n(.*?)^```$", flags=re.M | re.S)


def blocks() -> Iterator[tuple[str, str, str]]:
    """Each whole config that a document shows: where it is, its language, its text."""
    for path in (ROOT / "README.md", ROOT / "configs" / "README.md", *sorted((ROOT / "contrib").glob("*.md"))):
        for number, match in enumerate(BLOCK.finditer(path.read_text()), 1):
            if re.search(r"^(\[\[sync|sync ?\{)", match[2], flags=re.M):
                yield f"{path.relative_to(ROOT)} {number}", match[1], match[2]


@pytest.mark.parametrize(("where", "language", "text"), [pytest.param(*block, id=block[0]) for block in blocks()])
def test_configs_in_documents_load(
    tmp_path: Path, where: str, language: str, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / f"config.{language}"
    config.write_text(text)
    status = main(["check", "--elsewhere", str(config)])
    assert status == 0, f"{where}: {capfd.readouterr()}"


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.md"), *ROOT.glob("configs/*.md"), *ROOT.glob("contrib/*.md"), *ROOT.glob("tests/*/*.md")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_documents_call_targets_that_make_knows() -> None:
    known = set(re.findall(r"^([a-z][a-z -]*):(?!=)", (ROOT / "Makefile").read_text(), flags=re.M))
    targets = {target for line in known for target in line.split()}
    documents = [*ROOT.glob("*.md"), *ROOT.glob("tests/*/*.md"), *ROOT.glob(".github/workflows/*")]
    called = {
        (path.name, target)
        for path in documents
        for words in re.findall(r"(?:`|^    |run: )make ((?:[a-z-]+ ?)+)", path.read_text(), flags=re.M)
        for target in words.split()
    }
    assert ("test.yml", "test") in called
    assert {(name, target) for name, target in called if target not in targets} == set()


def test_versions_agree() -> None:
    stated = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert stated
    assert stated[1] == orchestrator.__version__


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"))
def test_prose_is_wrapped(name: str) -> None:
    """Rows of tables cannot be."""
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("| ")] == []


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_row_of_a_table_stands_twice(path: Path) -> None:
    """Two people who change a row at once leave both behind."""
    tables = re.findall(r"(?:^\|.*\n)+", path.read_text(), flags=re.M)
    firsts = [[row.split("|")[1].strip() for row in table.splitlines()] for table in tables]
    assert [first for table in firsts for first in set(table) if first and table.count(first) > 1] == []
