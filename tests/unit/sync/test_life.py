"""The life of a sync: which transitions there are, what follows from conditions that overlap, what the status shows."""

from __future__ import annotations

import inspect
from itertools import product
from typing import TYPE_CHECKING

import pytest

from orchestrator.sync.life import NONE, TRANSITIONS, Condition, ImpossibleTransition, Life, State, after
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = [condition for condition in Condition if condition]


@pytest.fixture
def world() -> Iterator[SyncWorld]:
    world = SyncWorld(Calls(), Options(sets=True))
    yield world
    world.close()


def test_there_is_one_method_for_each_transition() -> None:
    methods = {name for name, member in inspect.getmembers(Life, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"goes_on", "state", "unless_paused"} == set(TRANSITIONS)


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_transition_changes_what_it_names_and_nothing_else(name: str) -> None:
    """From each of the lives that a sync may have: none ends in a life that says both of one thing."""
    rule = TRANSITIONS[name]
    for chosen in product((False, True), repeat=len(ALL)):
        before = NONE
        for condition, holds in zip(ALL, chosen, strict=True):
            before |= condition if holds else NONE
        if before & rule.excludes or before & rule.needs != rule.needs:
            with pytest.raises(ImpossibleTransition):
                after(before, name)
            continue
        now = after(before, name)
        assert now & rule.sets == rule.sets
        assert not now & rule.clears
        untouched = ~(rule.sets | rule.clears)
        assert now & untouched == before & untouched


@pytest.mark.parametrize(
    "steps",
    [
        ["lose_source", "lose_source"],
        ["listen_again"],
        ["leave_alone", "leave_alone"],
        ["leave_alone", "move_source", "listen_again"],
        ["pause", "pause"],
        ["unpause"],
    ],
)
def test_impossible_ones_are_errors(world: SyncWorld, steps: list[str]) -> None:
    life = world.sync.life
    for step in steps[:-1]:
        getattr(life, step)()
    before = life.conditions
    with pytest.raises(ImpossibleTransition, match=steps[-1]):
        getattr(life, steps[-1])()
    assert life.conditions == before


def test_a_stopped_sync_minds_its_target_no_more(world: SyncWorld) -> None:
    life = world.sync.life
    life.stop("by a test")
    for step in (life.lose_target, life.find_target):
        with pytest.raises(ImpossibleTransition):
            step()


def test_it_stops_once_whatever_comes_after(world: SyncWorld) -> None:
    life = world.sync.life
    life.stop("a reason")
    life.stop("another")
    assert world.said == ["Error: s is stopped: a reason"]


@pytest.mark.parametrize("first", ["source", "target"])
def test_it_goes_on_when_both_are_back(world: SyncWorld, first: str) -> None:
    life = world.sync.life
    life.lose_source()
    life.lose_target()
    (life.find_source if first == "source" else life.find_target)()
    assert life.is_suspended
    assert not life.goes_on()
    (life.find_target if first == "source" else life.find_source)()
    assert not life.is_suspended
    assert life.goes_on()


def test_what_was_done_at_the_startup_stays_done(world: SyncWorld) -> None:
    life = world.sync.life
    life.start_up()
    for step in (life.lose_source, life.move_source, life.leave_alone, life.listen_again, life.lose_target):
        step()
        assert life.is_started_up


STATES: list[tuple[list[str], dict[str, bool], State]] = [
    ([], {}, State.STARTING),
    (["start_up"], {}, State.IN_SYNC),
    (["start_up"], {"is_busy": True}, State.SYNCING),
    (["start_up"], {"is_busy": True, "is_held": True}, State.HELD),
    ([], {"is_held": True}, State.HELD),
    (["start_up"], {"is_busy": True, "is_held": True, "is_retrying": True}, State.RETRYING),
    (["start_up", "leave_alone"], {"is_retrying": True}, State.LEFT_ALONE),
    (["start_up", "pause"], {"is_busy": True, "is_held": True, "is_retrying": True}, State.PAUSED),
    (["wait_for_others", "pause"], {}, State.PAUSED),
    (["leave_alone", "pause"], {}, State.LEFT_ALONE),
    (["lose_target", "pause"], {}, State.SUSPENDED),
    (["pause", "stop"], {}, State.STOPPED),
    (["leave_alone", "lose_source"], {"is_retrying": True}, State.SUSPENDED),
    (["lose_target"], {"is_busy": True}, State.SUSPENDED),
    (["lose_source", "lose_target", "leave_alone", "stop"], {"is_busy": True}, State.STOPPED),
]


@pytest.mark.parametrize(("steps", "more", "state"), STATES)
def test_what_the_status_shows(world: SyncWorld, steps: list[str], more: dict[str, bool], state: State) -> None:
    life = world.sync.life
    for step in steps:
        getattr(life, step)(*(["a reason"] if step == "stop" else []))
    asked = {"is_retrying": False, "is_held": False, "is_busy": False, **more}
    assert life.state(**asked) is state


def test_a_source_that_is_lost_twice_is_one_line(world: SyncWorld) -> None:
    world.sync.suspend()
    world.sync.suspend()
    assert world.said == ["Error: source /src/ of s is gone; waiting for its return."]
    world.sync.resume()
    assert [delay.etype for delay in world.sync.queue] == ["Full"]


def test_a_sync_that_came_to_a_source_that_is_left_alone_is_looked_through_with_it(world: SyncWorld) -> None:
    """Nobody listened to that source meanwhile, whoever it was left alone for."""
    world.sync.look_through()
    assert [delay.etype for delay in world.sync.queue] == ["Full"]
