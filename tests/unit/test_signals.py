"""What signals ask the daemon for: one request stands at a time, and a weaker one never replaces it (spec 1.4, 1.5)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.daemon.signals import Signals, StopRequest
from orchestrator.masterloop import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator

HUP, USR2, TERM, INT = signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT


class World:
    def __init__(self) -> None:
        self.loop = Loop()
        self.signals = Signals(self.loop)
        self.signals.install_stop_handlers()

    def send(self, *signums: signal.Signals) -> None:
        """One after the other, each taken from the kernel before the next."""
        for signum in signums:
            signal.raise_signal(signum)
            self.loop.turn(0.0)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.loop.close()


@pytest.mark.parametrize(
    ("sent", "request_", "end"),
    [
        ([], StopRequest.NONE, None),
        ([HUP], StopRequest.RESET, None),
        ([HUP, HUP], StopRequest.RESET, None),
        ([USR2], StopRequest.RELOAD, None),
        ([USR2, HUP], StopRequest.RESET, None),
        ([HUP, USR2], StopRequest.RESET, None),
        ([USR2, TERM], StopRequest.END, TERM),
        ([TERM, USR2], StopRequest.END, TERM),
        ([TERM], StopRequest.END, TERM),
        ([INT], StopRequest.END, INT),
        ([HUP, TERM], StopRequest.END, TERM),
        ([TERM, HUP], StopRequest.END, TERM),
        ([INT, TERM], StopRequest.END_NOW, INT),
        ([TERM, TERM, HUP], StopRequest.END_NOW, TERM),
    ],
)
def test_the_stronger_request_stands(
    world: World, sent: list[signal.Signals], request_: StopRequest, end: signal.Signals | None
) -> None:
    world.send(*sent)
    assert (world.signals.request, world.signals.end) == (request_, end)
    assert world.signals.is_stop_requested() is bool(sent)


def test_a_reset_is_taken_once(world: World) -> None:
    world.send(HUP)
    assert world.signals.take_reload() is StopRequest.RESET
    assert world.signals.take_reload() is None
    world.send(USR2)  # while the first one is done
    assert world.signals.take_reload() is StopRequest.RELOAD
    world.send(TERM)
    assert world.signals.take_reload() is None, "the end is not"
    assert world.signals.request is StopRequest.END


def test_a_second_signal_that_comes_too_early_is_forgotten(world: World) -> None:
    world.send(TERM)
    assert not world.signals.take_second_signal()
    world.send(TERM)
    assert world.signals.take_second_signal()
    assert not world.signals.take_second_signal()
    assert world.signals.request is StopRequest.END
    world.send(INT)
    assert world.signals.take_second_signal()


def test_a_signal_counts_before_the_loop_has_come_to_it(world: World) -> None:
    assert world.signals.unhandled_end() is None
    signal.raise_signal(TERM)
    assert world.signals.unhandled_end() is TERM
    assert world.signals.is_stop_requested()
    world.loop.turn(0.0)
    assert world.signals.unhandled_end() is None
