"""Which syncs are paused, over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.state.place import Unusable
from orchestrator.state.states import States

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.masterloop import Loop

NAMES = ["web", "Sync1", "with / and \udcff", "/src/\0host:/trg", "x" * 300, ".."]


@pytest.fixture
def open_states(tmp_path: Path, loop: Loop) -> Iterator[Callable[[], States]]:
    opened: list[States] = []

    def open_states() -> States:
        opened.append(States(str(tmp_path / "states"), loop, print))
        return opened[-1]

    yield open_states
    for states in opened:
        states.close()


def written(loop: Loop, change: Callable[[str, Callable[[str], None]], None], key: str) -> str:
    """The problem that a change ended with."""
    problems: list[str] = []
    change(key, problems.append)
    while not problems:
        loop.turn(20)
    return problems[0]


@pytest.mark.parametrize("name", NAMES)
def test_another_daemon_knows(open_states: Callable[[], States], loop: Loop, name: str) -> None:
    paused = open_states().paused
    assert written(loop, paused.add, name) == ""
    assert written(loop, paused.add, name) == ""
    restarted = open_states().paused
    assert [other for other in NAMES if restarted.has(other)] == [name]
    assert written(loop, restarted.remove, name) == ""
    assert not restarted.has(name)
    assert written(loop, restarted.remove, name) == ""
    assert not len(open_states().paused)


def test_a_directory_that_is_gone_is_a_problem(tmp_path: Path, open_states: Callable[[], States], loop: Loop) -> None:
    paused = open_states().paused
    (tmp_path / "states").rmdir()
    assert written(loop, paused.add, "web") == "No such file or directory"


def test_a_link_in_the_place_of_the_file_is_not_followed(
    tmp_path: Path, open_states: Callable[[], States], loop: Loop
) -> None:
    paused = open_states().paused
    (tmp_path / "states/web.paused").symlink_to(tmp_path / "other")
    assert written(loop, paused.add, "web") != ""
    assert not (tmp_path / "other").exists()


def test_a_directory_that_cannot_be_listed_is_unusable(tmp_path: Path, loop: Loop) -> None:
    (tmp_path / "states").write_text("")
    with pytest.raises(Unusable):
        States(str(tmp_path / "states"), loop, print)
