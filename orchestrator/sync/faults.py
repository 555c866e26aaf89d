"""What plugins get wrong, said in a line each: what they raise, and where they keep the loop waiting."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from orchestrator.errors import OrchestratorError, fault, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW: Final = 1.0
"""Seconds in the loop's thread that are worth a line: all syncs wait meanwhile."""

PAUSE: Final = 60.0
"""Seconds until who keeps the loop waiting is named again."""


def say(log: Callable[..., None], what: str, error: BaseException, home: str = "") -> None:
    """One Error line; the traceback for who wants to see that (`-log Debug`). `home`: see errors.fault."""
    log("Error", f"{what}: {fault(error, home)}")
    log("Debug", trace(error))


class Waits:
    """Times what is not ours. `now()`: seconds of a clock that only goes forward."""

    def __init__(self, log: Callable[..., None], now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._named: dict[str, float] = {}

    @contextmanager
    def watch(self, who: str) -> Iterator[None]:
        """Name `who` if the loop has to wait for it, once a minute at most."""
        began = self._now()
        try:
            yield
        finally:
            self.took(who, self._now() - began)

    def took(self, who: str, seconds: float) -> None:
        """As `watch`, where the caller has timed it."""
        if seconds < SLOW:
            return
        now = self._now()
        if now - self._named.get(who, -PAUSE) >= PAUSE:
            self._named[who] = now
            self._log("Warn", f"{who} took {seconds:.1f} s in which nothing else went on: it must not wait.")


def guarded(log: Callable[..., None], what: str, callback: Callable[[], object]) -> Callable[[], None]:
    """A callback of a plugin's that harms nobody when it raises."""

    def call() -> None:
        try:
            callback()
        except OrchestratorError:
            raise
        except (Exception, SystemExit) as error:
            say(log, what, error, getattr(callback, "__module__", None) or "")

    return call
