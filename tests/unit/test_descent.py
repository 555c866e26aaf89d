"""Directories are opened without following what a stranger put there, at any length of path, on any kernel."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from orchestrator import descent
from orchestrator.descent import follow, foreign_link, opened
from orchestrator.monitor.inotify import InotifyMonitor
from orchestrator.monitor.treescan import TreeScan
from orchestrator.sync.scan import entries_below, is_there
from tests.kit.need import missing

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


@pytest.fixture(params=["openat2", "step by step"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel is, and as one before Linux 5.6."""
    if request.param != "openat2":
        monkeypatch.setattr(descent, "_OPENAT2", 1_000_000)
        monkeypatch.setattr(descent, "_has_openat2", lambda: False)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A source with a directory `d/e`, and beside it a secret one with the same names in it."""
    for path in ("src/d/e", "secret/e/hidden"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "secret/e/password").touch()
    return tmp_path


def listed(path: Path, *sources: Path) -> list[bytes]:
    with opened(os.fsencode(path) + b"/", [os.fsencode(source) + b"/" for source in sources]) as way:
        return os.listdir(way)


@pytest.mark.usefixtures("_way")
def test_what_is_no_link_is_opened(box: Path) -> None:
    assert listed(box / "src/d", box / "src") == [b"e"]
    assert listed(box / "src", box / "src") == [b"d"]
    for path, number in ((box / "nowhere", errno.ENOENT), (box / "secret/e/password", errno.ENOTDIR)):
        with pytest.raises(OSError, match=r".") as raised:
            listed(path, box)
        assert raised.value.errno == number


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("link", ["d", "d/e"])
def test_no_link_below_a_source_is_followed_whoever_owns_it(box: Path, link: str) -> None:
    (box / "src" / link).rename(box / "away")
    (box / "src" / link).symlink_to(box / ("secret" if link == "d" else "secret/e"))
    with pytest.raises(OSError, match=r".") as raised:
        listed(box / "src/d/e", box / "src")
    assert raised.value.errno == errno.ELOOP


@pytest.mark.usefixtures("_way")
def test_our_own_link_on_the_way_to_a_source_is_followed(box: Path) -> None:
    (box / "current").symlink_to("src/../src")
    assert listed(box / "current/d", box / "current") == [b"e"]
    place, links = follow(os.fsencode(box / "current") + b"/")
    os.close(place)
    assert links == [os.fsencode(box / "current")]


@pytest.mark.usefixtures("_way")
def test_a_strangers_link_on_the_way_is_not(box: Path) -> None:
    if os.geteuid():
        missing("only root can give a link to somebody else")
    (box / "current").symlink_to(box / "src")
    os.chown(box / "current", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(OSError, match=r".") as raised:
        listed(box / "current/d", box / "current")
    assert raised.value.errno == errno.ELOOP


def test_links_that_lead_to_each_other_come_to_an_end(box: Path) -> None:
    (box / "one").symlink_to("other")
    (box / "other").symlink_to("one")
    with pytest.raises(OSError, match=r".") as raised:
        follow(os.fsencode(box / "one"))
    assert raised.value.errno == errno.ELOOP


@pytest.mark.usefixtures("_way")
def test_a_way_longer_than_the_kernel_takes(box: Path) -> None:
    path = os.fsencode(box / "src")
    place = os.open(path, os.O_PATH)
    name = b"x" * 250
    for _ in range(40):
        os.mkdir(name, dir_fd=place)
        step = os.open(name, os.O_PATH, dir_fd=place)
        os.close(place)
        place, path = step, path + b"/" + name
    os.mkdir(b"end", dir_fd=place)
    os.close(place)
    with opened(path + b"/", (os.fsencode(box / "src") + b"/",)) as way:
        assert os.listdir(way) == [b"end"]


def swap(box: Path) -> None:
    """The directory `d` of the source is replaced by a link, as its owner may do at any moment."""
    (box / "src/d").rename(box / "away")
    (box / "src/d").symlink_to(box / "secret")


def test_the_survey_neither_watches_nor_tells_what_a_link_leads_to(box: Path) -> None:
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None)
    try:
        monitor.watch(os.fsencode(box / "src") + b"/")
        (box / "src/d/e").rmdir()
        (box / "src/d/e").mkdir()  # what was announced
        swap(box)
        changes = monitor.read()
        assert not any(b"hidden" in change.path or b"password" in change.path for change in changes)
        assert monitor.watched() == [os.fsencode(box / "src") + b"/"]
        (box / "secret/e/more").touch()
        assert monitor.read() == []
    finally:
        monitor.close()


def test_a_sync_reads_nothing_through_a_link(box: Path) -> None:
    swap(box)
    assert list(entries_below(os.fsencode(box / "src") + b"/", b"/d/", lambda _: False)) == []


def test_polling_reads_nothing_through_a_strangers_link(box: Path) -> None:
    if os.geteuid():
        missing("only root can give a link to somebody else")
    swap(box)
    os.chown(box / "src/d", NOBODY, NOBODY, follow_symlinks=False)
    look = TreeScan(None, lambda _: True)
    look.walk(os.fsencode(box / "src/d/e") + b"/")
    assert look.seen == {}


def test_whether_something_is_there_is_asked_through_no_link(box: Path) -> None:
    source = os.fsencode(box / "src") + b"/"
    (box / "src/d/f").touch()
    (box / "src/link").symlink_to("d/f")
    paths = (b"d/", b"d/f", b"link", b"d", b"d/f/", b"d/none", b"link/")
    assert [path for path in paths if is_there(source + path, source)] == [b"d/", b"d/f", b"link"]
    assert is_there(source, source)
    assert is_there(source + b"x" * 256, source), "nobody can tell"
    (box / "src/d/e").rmdir()
    (box / "src/d/e").symlink_to(box / "secret/e")
    assert not is_there(source + b"d/e/password", source)
    if os.geteuid() == 0:
        assert is_there(source + b"d/e/password"), "outside of a source, our own link is followed"
        os.chown(box / "src/d/e", NOBODY, NOBODY, follow_symlinks=False)
        assert not is_there(source + b"d/e/password"), "a stranger's is not"


def test_a_link_of_another_user_is_found(box: Path) -> None:
    (box / "current").symlink_to("src")
    way = os.fsencode(box / "current/d")
    assert foreign_link(way) is None
    assert foreign_link(way + b"/nowhere/at/all") is None
    if os.geteuid() != 0:
        missing("only root can give a link away")
    os.chown(box / "current", NOBODY, NOBODY, follow_symlinks=False)
    assert foreign_link(way) == os.fsencode(box / "current")
