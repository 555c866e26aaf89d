"""What a daemon has of its machine, and what it does to its own process. A test hands in another."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from orchestrator.clock import Clock, MonotonicClock
from orchestrator.lifeline import close_lifeline, open_lifeline
from orchestrator.log import Log
from orchestrator.log.plugins import PluginMessages
from orchestrator.masterloop import Loop, TurnedLoop
from orchestrator.plugins import make_manager
from orchestrator.process.detach import detach, fill_standard_descriptors
from orchestrator.process.processes import Processes
from orchestrator.process.title import set_title
from orchestrator.servicemanager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.plugins import Manager


class System:
    """Clock, log, loop and processes of one daemon, the installed plugins, and who has started it."""

    clock: Clock
    log: Log
    loop: TurnedLoop
    processes: Processes
    service: ServiceManager

    def __init__(self, clock: Clock | None = None, make_loop: Callable[[], TurnedLoop] = Loop) -> None:
        fill_standard_descriptors()
        self.clock = clock or MonotonicClock()
        self.log = Log(self.clock)
        self._plugin_messages = PluginMessages(self.log)
        self.loop = make_loop()
        self.processes = Processes(self.loop, self.log, self.clock)
        self.service = ServiceManager(os.environ, self.clock)

    def make_manager(self) -> Manager:
        """The installed plugins. What they log through loguru is in our log from now on."""
        self.connect_plugins()
        manager = make_manager()
        self.connect_plugins()
        return manager

    def connect_plugins(self) -> None:
        """What modules log that were imported since, or that took our sink away, is in our log, too."""
        self._plugin_messages.connect()

    def set_title(self, words: Sequence[str]) -> None:
        """Show this command line as that of the process."""
        set_title(b"lsyncd", [word.encode("utf-8", "surrogateescape") for word in words])

    def detach(self, then: Callable[[], None]) -> None:
        """Go to the background; `then` is called in the process that stays, before the first one ends."""
        detach(then, self.service.main_process if self.service.is_there else None)
        self.log.detach()

    def open_lifeline(self) -> None:
        """Everything that is started from now on ends with this process."""
        open_lifeline()

    def spare_garbage(self) -> None:
        """Python looks for cycles in all objects again and again, the loop standing still meanwhile.

        With 200,000 pending changes one look takes 100 ms, in which the kernel's queue overflows. Objects that
        have been loaded are not looked at again, and pending ones only after ten million new objects: changes
        go by themselves when they are done with, cycles are few. New objects are looked at once more
        after 60,000 of them: after ten times 20,000, Python's own measure, that took 25 to 40 ms, and seven of
        seventeen bursts of 200,000 files at full speed overflowed.
        """
        gc.freeze()
        gc.set_threshold(20_000, 2, 200)
        gc.enable()

    def collect_garbage(self) -> None:
        """What an old configuration was made of may go now."""
        gc.unfreeze()
        gc.collect()

    def close(self) -> None:
        """Let go of everything, processes first."""
        self.processes.close()
        close_lifeline()
        self.service.close()
        self._plugin_messages.disconnect()
        self.log.close()
        self.loop.close()
