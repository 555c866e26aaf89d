"""The class Queue that scripts know (spec 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.config.lua_config import World

NEW = "local q = Queue.new() for _, v in ipairs{'a', 'b', 'c', 'd', 'e'} do q:push(v) end\n"


@pytest.mark.parametrize("version", ["5.1", "5.2", "5.3", "5.4", "jit"])
@pytest.mark.parametrize(
    "script",
    [
        "assert(q.first == 1 and q.last == 5 and q:size() == 5)",
        "local all = '' for i = q.first, q.last do all = all .. q[i] end assert(all == 'abcde')",
        # the later ones are where they were
        "q:remove(3) assert(q[2] == 'b' and q[3] == nil and q[4] == 'd' and q[5] == 'e' and q:size() == 4)",
        "q:remove(3) assert(q.first == 1 and q.last == 5)",
        "q:remove(2) q:remove(1) assert(q.first == 3 and q[q.first] == 'c')",
        "q:remove(4) q:remove(5) assert(q.last == 3 and q[q.last] == 'c')",
        "q:inject('z') assert(q.first == 0 and q[0] == 'z' and q:size() == 6)",
        "assert(q:push('x') == 6 and q.last == 6 and q[6] == 'x')",
        "for i = 1, 5 do q:remove(i) end assert(q:size() == 0 and q.last < q.first)",
        # as lsyncd 2.2 has them
        "assert(q:first() == 'a' and q:last() == 'e')",
        "q:remove(1) q:remove(5) assert(q:first() == 'b' and q:last() == 'd')",
        "assert(Queue.new():first() == nil and Queue.new():last() == nil)",
        "q:remove(3) local all = '' for i, v in q:qpairs() do all = all .. i .. v end assert(all == '1a2b4d5e', all)",
        "q:remove(3) local all = '' for i, v in q:qpairsReverse() do all = all .. i .. v end assert(all == '5e4d2b1a')",
    ],
)
def test_a_queue_is_what_scripts_know(world: World, script: str, version: str) -> None:
    world.load(NEW + script, version=version)


@pytest.mark.parametrize("call", ["(5)()", "(5)({})", "local x = 3 x('a')"])
def test_no_other_number_can_be_called(world: World, call: str) -> None:
    with pytest.raises(ConfigError, match=r"lsyncd\.conf\.lua:2: attempt to call a number value"):
        world.load("\n" + call)
