"""Links on the way to sources: where they lead, and that it is noticed when they lead elsewhere (spec 6 row 31)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator.monitor.inotify import InotifyMonitor
from orchestrator.monitor.ways import Ways, links, real
from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = 65534


def encoded(path: Path) -> bytes:
    return os.fsencode(path) + b"/"


def relink(link: Path, target: str) -> None:
    """As `ln -sfn` and a rename: the link is never missing."""
    aside = link.with_name("aside")
    aside.symlink_to(target)
    aside.rename(link)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """With two releases, and `current` that leads to the first, by way of another link."""
    for name in ("app/releases/1/public", "app/releases/2/public"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "app/releases/latest").symlink_to("1")
    (tmp_path / "app/current").symlink_to("releases/latest")
    return tmp_path / "app"


@pytest.fixture
def ways(app: Path) -> Iterator[Ways]:
    ways = Ways([os.fsencode(app / "current/public")])
    yield ways
    ways.close()


def is_same_directory(ways: Ways) -> list[bytes | None] | None:
    found = ways.changed()
    return None if found is None else list(found.values())


def test_where_a_way_leads_and_by_which_links(app: Path) -> None:
    way = os.fsencode(app / "current/public")
    assert real(way) == encoded(app / "releases/1/public")
    assert links(way) == [os.fsencode(app / "current"), os.fsencode(app / "releases/latest")]
    assert links(os.fsencode(app / "releases/1")) == []
    assert real(os.fsencode(app / "nowhere")) is None


@pytest.mark.parametrize(
    ("switch", "to"),
    [
        (lambda app: relink(app / "current", "releases/2"), "releases/2/public"),
        (lambda app: relink(app / "releases/latest", "2"), "releases/2/public"),
        (lambda app: relink(app / "current", "nowhere"), None),
    ],
)
def test_a_link_that_is_switched(app: Path, ways: Ways, switch: Callable[[Path], None], to: str | None) -> None:
    assert is_same_directory(ways) is None
    switch(app)
    assert is_same_directory(ways) == [None if to is None else encoded(app / to)]
    assert is_same_directory(ways) is None


def test_what_happens_beside_the_links_is_no_hint(app: Path, ways: Ways) -> None:
    (app / "file").touch()
    (app / "releases/3").mkdir()
    (app / "releases/1/public/new").touch()
    assert is_same_directory(ways) is None


def test_a_way_that_is_missing_is_followed_step_by_step(app: Path, ways: Ways) -> None:
    (app / "current").unlink()
    assert is_same_directory(ways) == [None]
    shutil.rmtree(app)
    assert is_same_directory(ways) == [None]
    (app / "new/public").mkdir(parents=True)
    assert is_same_directory(ways) == [None]
    (app / "current").symlink_to("new")
    assert is_same_directory(ways) == [encoded(app / "new/public")]


def give_away(link: Path) -> None:
    if os.geteuid():
        missing("only root can give a link to somebody else")
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)


def test_a_strangers_link_leads_nowhere(app: Path, ways: Ways) -> None:
    (app / "current").unlink()
    (app / "current").symlink_to("releases/2")
    give_away(app / "current")
    assert is_same_directory(ways) == [None]


def test_a_source_comes_back_through_our_link_but_not_through_a_strangers(app: Path) -> None:
    source = app / "source"
    source.mkdir()
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None)
    try:
        monitor.watch(encoded(source))
        monitor.read()
        source.rmdir()
        monitor.read()
        assert monitor.lost_roots() == [encoded(source)]
        source.symlink_to("releases/1")
        give_away(source)
        monitor.read()
        assert (monitor.returned_roots(), monitor.watched()) == ([], [])
        source.unlink()
        source.symlink_to("releases/2")
        monitor.read()
        assert monitor.returned_roots() == [encoded(source)]
        assert monitor.watched() == [encoded(source), encoded(source / "public")]
    finally:
        monitor.close()
