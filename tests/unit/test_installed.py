"""The entry points of installed distributions are those that importlib.metadata tells."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from orchestrator.installed import EntryPoint, entry_points

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = sorted({point.group for distribution in metadata.distributions() for point in distribution.entry_points})


@pytest.mark.parametrize("group", [*GROUPS, "nobody.has.this"])
def test_as_importlib_metadata(group: str) -> None:
    theirs = {
        (point.name, point.value.partition("[")[0].strip(), point.dist.name, point.dist.version)
        for point in metadata.entry_points(group=group)
        if point.dist is not None
    }
    assert set(map(tuple, entry_points(group))) == theirs


def install(place: Path, name: str, text: str) -> None:
    directory = place / f"{name}-2.0.dist-info"
    directory.mkdir(parents=True)
    (directory / "entry_points.txt").write_text(text)
    (directory / "METADATA").write_text(f"Name: {name}\nVersion: 2.0\n\nVersion: none, as this is no header\n")


def test_comments_extras_and_other_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[other]\na = b\n\n# no\n[ group ]\n; no = no\none=m:x.y [extra]\n two = n\nnothing\n[more]\nc = d\n"
    install(tmp_path, "some_plugin", text)
    monkeypatch.setattr("sys.path", [str(tmp_path), str(tmp_path), "/nowhere"])
    assert entry_points("group") == [
        EntryPoint("one", "m:x.y", "some_plugin", "2.0"),
        EntryPoint("two", "n", "some_plugin", "2.0"),
    ]


def test_the_first_of_two_copies_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "one", "some_plugin", "[group]\na = first\n")
    install(tmp_path / "two", "Some-Plugin", "[group]\na = second\n")
    monkeypatch.setattr("sys.path", [str(tmp_path / "one"), str(tmp_path / "two")])
    assert [point.value for point in entry_points("group")] == ["first"]


def test_loading() -> None:
    assert EntryPoint("x", "os").load().__name__ == "os"
    assert EntryPoint("x", "os : path.join").load().__name__ == "join"
    with pytest.raises(AttributeError):
        EntryPoint("x", "os:nothing").load()
    with pytest.raises(ModuleNotFoundError):
        EntryPoint("x", "no_such_module").load()
