"""Attributes of the source directory itself: for actions that carry them, and no others (spec 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.sync.sync import Options
from tests.unit.sync.test_failing import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[True, False])
def mirrors(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(mirrors: bool) -> Iterator[World]:
    world = World(Options(mirrors_source=mirrors))
    yield world
    world.processes.close()
    world.log.close()
    world.loop.close()


def test_who_hears_of_them(world: World, mirrors: bool) -> None:
    world.change("Attrib", b"/")
    world.change("Attrib", b"/d/")
    assert [delay.path for delay in world.sync.queue] == ([b"/"] if mirrors else []) + [b"/d/"]
