"""Attributes of the source directory itself: for actions that carry them, and no others (spec 3.1)."""

from __future__ import annotations

import pytest

from orchestrator.sync.sync import Options
from tests.unit.sync.test_failing import World


@pytest.fixture(params=[True, False])
def mirrors(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(mirrors: bool) -> World:
    return World(Options(mirrors_source=mirrors))


def test_who_hears_of_them(world: World, mirrors: bool) -> None:
    world.change("Attrib", b"/")
    world.change("Attrib", b"/d/")
    assert [delay.path for delay in world.sync.queue] == ([b"/"] if mirrors else []) + [b"/d/"]
