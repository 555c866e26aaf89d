"""For the tests of a plugin: `pytest_plugins = ["orchestrator.testing"]` in conftest.py brings the fixtures.

plugins/README.md shows them at work.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.testing.clock import FakeClock
from orchestrator.testing.daemon import Daemon, wait_until
from orchestrator.testing.inlet import FakeInlet, Spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.api import Action

__all__ = ["Daemon", "FakeClock", "FakeInlet", "Spawn", "fake_inlet", "run_daemon", "wait_until"]


@pytest.fixture
def fake_inlet(tmp_path: Path) -> Callable[..., FakeInlet]:
    """`fake_inlet(MyAction(), {"target": "/trg"})`: a sync without a daemon (FakeInlet).

    Its source is an empty directory, `tmp_path / "source"`.
    """

    def make(action: Action, config: Mapping[str, Any] | None = None, **more: Any) -> FakeInlet:
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        return FakeInlet(action, config, **{"source": bytes(source) + b"/", **more})

    return make


@pytest.fixture(name="daemon")
def run_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """`daemon(lua=…)`, `daemon(toml=…)`: a real daemon at work (Daemon), until the test is over.

    It can write into `tmp_path` only, where the machine has mount name spaces. A test fails whose daemon
    does not end as it should.
    """
    with ExitStack() as running:

        def start(*arguments: str | Path, **more: Any) -> Daemon:
            return running.enter_context(Daemon(tmp_path, *arguments, **more))

        yield start
