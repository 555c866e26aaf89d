"""A sync without a daemon: the one that plugin authors get."""

from __future__ import annotations

from orchestrator.testing.inlet import FakeInlet, Spawn, complete

__all__ = ["FakeInlet", "Spawn", "complete"]
