"""A plugin's function for what a program writes to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWithProcesses, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Action(Calls):
    """Starts a program that writes twice, and waits for our answer between."""

    def __init__(self) -> None:
        super().__init__()
        self.on_stderr: Callable[[bytes], object] = lambda data: None

    def action(self) -> None:
        events = self.sync.inlet.get_events()
        argv = ["sh", "-c", "echo one >&2; echo two >&2; sleep 0.05; echo three >&2"]
        self.sync.inlet.spawn(events, argv, on_stderr=self.on_stderr)


@pytest.fixture
def action() -> Action:
    return Action()


@pytest.fixture
def world(action: Action) -> Iterator[SyncWorld]:
    world = SyncWithProcesses(action, Options(sets=True))
    yield world
    world.close()


def test_one_that_raises_is_reported_once_and_the_transfer_goes_on(
    world: SyncWorld, action: Action, capfd: pytest.CaptureFixture[str]
) -> None:
    calls: list[bytes] = []

    def raises(data: bytes) -> None:
        calls.append(data)
        raise ValueError("no such line")

    action.on_stderr = raises
    world.change(b"/f")
    world.run()
    reports = [line for line in world.said if "on_stderr" in line]
    assert len(reports) == 1
    assert reports[0].startswith("Error: on_stderr of s failed: ValueError: no such line (")
    assert "test_on_stderr.py" in reports[0]
    assert len(calls) == 1, "called no more"
    assert capfd.readouterr().err == "one\ntwo\nthree\n", "nothing of it is lost"
    assert not len(world.sync.queue)


def test_it_is_given_all_that_the_program_writes(world: SyncWorld, action: Action) -> None:
    said: list[bytes] = []
    action.on_stderr = said.append
    world.change(b"/f")
    world.run()
    assert b"".join(said) == b"one\ntwo\nthree\n"
