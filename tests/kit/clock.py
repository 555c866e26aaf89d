"""A clock that moves only when told to: the one that plugin authors get."""

from __future__ import annotations

from orchestrator.testing.clock import FakeClock

__all__ = ["FakeClock"]
