"""What is to be transferred is logged before all else of it, though rsync does not wait for the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.config.test_marks import change, run

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World


def test_the_line_of_a_batch_comes_before_what_else_is_logged_of_it(world: World) -> None:
    config = world.load(
        """sync{default.rsync, source = "SRC", target = "TRG", delay = 0, init = false, rsync = {binary = "/nowhere"},
        collect = function() return "ok" end, onBatchStart = function() log("Normal", "asked") end}"""
    )
    world.log.configure(nodaemon=True, logfile=str(world.directory / "log"))
    change(config, b"f")
    run(world, config)
    world.log.close()
    text = (world.directory / "log").read_text()
    said = ("Normal: Calling rsync with filter-list of new/modified files/dirs\n/f\n/\n", "Normal: asked\n", "Error: ")
    places = [text.index(line) for line in said]
    assert places == sorted(places)
