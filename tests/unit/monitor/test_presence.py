"""Whether a file is still there, as the real kernel reports."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest

from orchestrator.monitor.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def watch(presence: Presence, box: Path) -> None:
    presence.watch(os.fsencode(box / "file"), (box / "file").stat())


@pytest.fixture
def presence(tmp_path: Path) -> Iterator[Presence]:
    (tmp_path / "file").write_text("one")
    presence = Presence()
    watch(presence, tmp_path)
    yield presence
    presence.close()


def wakes(presence: Presence) -> bool:
    return bool(select.select([presence.fileno()], [], [], 0)[0])


def replace(path: Path) -> None:
    path.with_name("new").write_text("two")
    path.with_name("new").rename(path)


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("file.1")),
    "replaced": replace,
}


@pytest.mark.parametrize("how", LOSSES)
@pytest.mark.parametrize("is_open", [False, True])
def test_a_file_that_goes_wakes(presence: Presence, tmp_path: Path, how: str, is_open: bool) -> None:
    fds = [os.open(tmp_path / "file", os.O_RDONLY)] if is_open else []
    assert not wakes(presence)
    LOSSES[how](tmp_path / "file")
    assert wakes(presence)
    assert presence.has_gone()
    assert not wakes(presence)
    for fd in fds:
        os.close(fd)


def test_what_we_put_in_its_place_wakes_nobody(presence: Presence, tmp_path: Path) -> None:
    for _ in range(3):
        replace(tmp_path / "file")
        watch(presence, tmp_path)
        assert not wakes(presence)
        assert not presence.has_gone()
    (tmp_path / "file").chmod(0o600)
    assert not presence.has_gone()


def test_nothing_to_look_after() -> None:
    presence = Presence()
    assert not presence.has_gone()
    presence.close()


@pytest.mark.parametrize("how", LOSSES)
def test_what_has_gone_before_it_is_watched_is_known(presence: Presence, tmp_path: Path, how: str) -> None:
    path = tmp_path / "file"
    file = path.stat()
    LOSSES[how](path)
    assert not presence.watch(os.fsencode(path), file)
