"""Who keeps the loop waiting is named, and not too often."""

from __future__ import annotations

from orchestrator.sync.faults import Waits
from tests.kit.clock import FakeClock


def test_who_lets_the_loop_wait_is_named_once_a_minute() -> None:
    clock, lines = FakeClock(), list[str]()
    waits = Waits(lambda category, text: lines.append(f"{category}: {text}"), clock.now)

    def wait(who: str, seconds: float) -> None:
        with waits.watch(who):
            clock.advance(seconds)

    wait("hook a", 0.9)
    assert lines == []
    wait("hook a", 1.5)
    wait("hook b", 2.0)  # another one
    wait("hook a", 30.0)
    assert lines == [
        f"Warn: hook {who} s in which nothing else went on: it must not wait." for who in ("a took 1.5", "b took 2.0")
    ]
    clock.advance(27.0)
    wait("hook a", 1.0)
    assert len(lines) == 3  # a minute after the first
