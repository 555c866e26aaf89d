"""Steers the syncs of a daemon while it runs, as an administrator asks: pause, go on, run, flush, try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orchestrator.logic.text import text_of
from orchestrator.sync.flushes import Flushed, Flushes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.sync.flushes import Done
    from orchestrator.sync.host import Host
    from orchestrator.sync.sync import Sync


class Memory(Protocol):
    """Remembers over restarts which syncs are paused. `done(problem)` is called when that is certain; a problem is why
    it is not, empty where there is none."""

    def has(self, key: str) -> bool: ...
    def add(self, key: str, done: Callable[[str], None]) -> None: ...
    def remove(self, key: str, done: Callable[[str], None]) -> None: ...


class Steering:
    """Owns which syncs are paused, by their keys: that holds until somebody ends it, also over reloads, and also where
    one of them drops a sync that another one brings back."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._paused: set[str] = set()
        self._memory: Memory | None = None
        self._flushes = Flushes(host)

    def remember(self, memory: Memory | None) -> None:
        """From now on, pauses are remembered there; None: by this process alone."""
        self._memory = memory
        if memory is not None:
            for key in self._paused:
                memory.add(key, self._warn)

    def begin(self, sync: Sync) -> None:
        """A sync is about to begin: paused, if it was when it was last there."""
        key = key_of(sync)
        if key in self._paused or (self._memory is not None and self._memory.has(key)):
            self._paused.add(key)
            if sync.pause():
                sync.log("Normal", f"{sync.name} is paused, as before.")

    def pause(self, syncs: Sequence[Sync], done: Callable[[], None]) -> None:
        """Nothing is started for them any more; `done` is called when it is certain that a restart keeps to that."""
        for sync in syncs:
            if sync.pause():
                sync.log("Normal", f"{sync.name} is paused by the control socket.")
        keys = {key_of(sync) for sync in syncs}
        self._paused |= keys
        self._remember(keys, done, is_paused=True)

    def unpause(self, syncs: Sequence[Sync], done: Callable[[], None]) -> None:
        """They go on; `done` as for `pause`."""
        for sync in syncs:
            if sync.unpause():
                sync.log("Normal", f"{sync.name} goes on.")
        keys = {key_of(sync) for sync in syncs}
        self._paused -= keys
        self._remember(keys, done, is_paused=False)

    def run(self, syncs: Sequence[Sync]) -> list[Sync]:
        """Have everything of them compared with their targets now. Gives those of which that is queued."""
        able = [sync for sync in syncs if not sync.life.is_stopped]
        for sync in able:
            sync.log("Normal", f"full run of {sync.name}, asked for by the control socket.")
            sync.run_full()
        return able

    def flush(
        self, syncs: Sequence[Sync], seconds: float | None, done: Done, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Have what waits transferred now. `done` is called at once, or with `seconds` once that has been transferred,
        at the latest after so many, unless `is_wanted` says that nobody wants to know any more."""
        for sync in syncs:
            sync.flush()
        if seconds is not None:
            self._flushes.wait(syncs, seconds, done, is_wanted)
        else:
            done([Flushed(sync, not len(sync.queue), len(sync.queue)) for sync in syncs])

    def try_now(self, syncs: Sequence[Sync]) -> None:
        """Have what has failed tried again now."""
        for sync in syncs:
            sync.try_now()

    def settle(self) -> None:
        """Tell those who wait for a flush that is over. To be called in each turn."""
        if len(self._flushes):
            self._flushes.settle()

    def _remember(self, keys: set[str], done: Callable[[], None], *, is_paused: bool) -> None:
        memory, left = self._memory, len(keys)
        if memory is None or not keys:
            done()
            return

        def written(problem: str) -> None:
            nonlocal left
            self._warn(problem)
            left -= 1
            if not left:
                done()

        for key in keys:
            (memory.add if is_paused else memory.remove)(key, written)

    def _warn(self, problem: str) -> None:
        if problem:
            self._host.log("Warn", f"what is paused is not remembered over a restart: {problem}.")


def key_of(sync: Sync) -> str:
    """By what a sync is known again: its name, if the config gives it one. Else by source and target: the names `SyncN`
    are numbers, and another sync that is put before it changes them."""
    name = sync.config.get("name")
    return str(name) if name else f"{text_of(sync.way)}\0{text_of(sync.inlet.target)}"
