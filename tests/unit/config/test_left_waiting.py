"""Who may leave a startup waiting: a plugin that has nothing to do, a config's own function that is not ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Action, Event, Inlet

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World


class Idle(Action):
    name = "idle"

    def init(self, event: Event) -> None: ...

    def action(self, inlet: Inlet) -> None: ...


class Broken(Idle):
    def init(self, event: Event) -> None:
        raise RuntimeError("no luck")


@pytest.mark.parametrize(
    ("action", "own", "is_kept"),
    [
        (Idle(), "", False),
        (Idle(), "init = function( event ) return default.idle.init( event ) end,", False),
        (Idle(), "init = function( event ) end,", True),
        (Idle(), "init = default.init,", False),
        (Broken(), "", True),
    ],
)
def test_a_startup_that_is_left_waiting(world: World, action: Action, own: str, is_kept: bool) -> None:
    world.actions[action.name] = action
    (sync,) = world.load(f'sync {{ default.idle, source = "SRC", {own} }}').syncs
    sync.start()
    sync.invoke(world.clock.now())
    assert (len(sync.queue) == 1) is is_kept
    assert sync.life.is_started_up is not is_kept
