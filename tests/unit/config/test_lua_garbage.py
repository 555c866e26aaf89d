"""What has been transferred is let go of, though Lua thinks little of it."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from orchestrator.config.lua.loader import GARBAGE
from orchestrator.logic.delay import Delay

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
