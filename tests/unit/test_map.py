"""ARCHITECTURE.md is a true map: whatever it names is there, and no part of the core is missing."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_architecture import MAY_IMPORT

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text()

FOREIGN = {"orchestrator", "default"}
"""First parts of names that are not modules of the core: the package itself, Lua's table of actions."""

CODE = re.sub(r"```.*?```", "", MAP, flags=re.S)
DOTTED = sorted(set(re.findall(r"`([A-Za-z_]\w*(?:\.\w+)+)(?:\(\))?`", CODE)))
FILES = sorted(set(re.findall(r"`([\w./]*/[\w./]+\.\w+)`", CODE)))


def find(name: str) -> Any:
    """A module, or what is in one. Raises where there is no such thing."""
    parts = name.split(".")
    package = parts[0] if parts[0].startswith("orchestrator_") else f"orchestrator.{parts[0]}"
    found: Any = importlib.import_module(package)
    for number, part in enumerate(parts[1:], 1):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join([package, *parts[1 : number + 1]]))
    return found


def test_names_are_found() -> None:
    assert len(DOTTED) > 30
    assert len(FILES) > 2


@pytest.mark.parametrize("name", DOTTED)
def test_a_name_leads_somewhere(name: str) -> None:
    first, _, rest = name.partition(".")
    if first in FOREIGN:
        return
    of_class = next((whole for whole in map(_class_of, DOTTED) if whole.rpartition(".")[2] == first), None)
    find(f"{of_class}.{rest}" if first[0].isupper() and of_class is not None else name)


def _class_of(name: str) -> str:
    """The part of a name that ends with its class; empty where there is none."""
    found = re.match(r"[a-z_0-9.]+\.[A-Z]\w*", name)
    return found[0] if found else ""


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_there(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "orchestrator" / name).exists()


def test_every_part_of_the_core_is_on_the_map() -> None:
    parts = {path.stem for path in (ROOT / "orchestrator").iterdir() if path.suffix == ".py" or path.is_dir()}
    table = MAP.partition("\n| package or module |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table.splitlines()[2:])))
    assert {part for part in parts if not part.startswith("_")} - named == set()


def test_who_may_import_whom_is_as_the_test_of_imports_says() -> None:
    table = MAP.partition("\n| package or module |")[2].partition("\n\n")[0]
    wrong = []
    for line in table.splitlines()[2:]:
        rooms, allowed = (set(re.findall(r"`(\w+)`", line.split("|")[place])) for place in (1, 3))
        wrong += [room for room in rooms if room in MAY_IMPORT and MAY_IMPORT[room] != allowed]
    assert wrong == []


def test_it_is_a_twenty_minute_read() -> None:
    assert len(re.findall(r"\w+", MAP)) < 200 * 20
