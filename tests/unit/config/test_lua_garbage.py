"""What has been transferred is let go of, though Lua thinks little of it."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from orchestrator.config.lua.usercode import GARBAGE
from orchestrator.logic.delay import Delay
from orchestrator.sync.inlet import EventList

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

CONFIG = """
sync { source = "SRC", delay = 0, init = false, maxDelays = 100000,
       action = function(inlet) spawn(inlet.getEvents(), "true") end,
       collect = function() return "ok" end }
"""

BATCH = 1000


def delays() -> int:
    gc.collect()
    return sum(isinstance(thing, Delay) for thing in gc.get_objects())


def test_transferred_changes_do_not_pile_up(world: World) -> None:
    config = world.load(CONFIG)
    config.finish()
    (sync,) = config.syncs
    before = delays()
    for _ in range(3 * GARBAGE // BATCH):
        for number in range(BATCH):
            sync.change("Modify", 0.0, sync.source + b"%d" % number, None)
        sync.invoke(world.clock.now())
        deadline = time.monotonic() + 20
        while len(world.host.processes):
            assert time.monotonic() < deadline
            world.loop.turn(0.1)
        assert not len(sync.queue)
    assert delays() - before <= GARBAGE + BATCH
    config.close()


FORBIDDEN = """
sync { source = "SRC", delay = 0, init = false, onBatchStart = function() return false end,
       action = function(inlet) local list = inlet.getEvents() list.mark = 1 spawn(list, "true") end }
"""


def test_a_list_that_comes_to_nothing_is_let_go_of(world: World) -> None:
    config = world.load(FORBIDDEN)
    config.finish()
    (sync,) = config.syncs
    sync.change("Modify", 0.0, sync.source + b"f", None)
    for _ in range(20):
        sync.invoke(world.clock.now())
        world.clock.advance(10)
        while (due := world.host.alarms.pop_due(world.clock.now())) is not None:
            due()
    config.lua.collect_garbage()
    gc.collect()
    assert len(sync.queue) == 1
    assert sum(isinstance(thing, EventList) for thing in gc.get_objects()) <= 1
    config.close()
