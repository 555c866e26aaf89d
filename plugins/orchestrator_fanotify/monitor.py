"""The fanotify monitor: events of whole file systems in, changes below the sources out (spec 3.1, 6).

This is what the daemon calls, and the order in which its parts work: sources (in place or not) → marks on their file
systems → backlog of events → translator → changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import Monitor, MonitorError, SourceWatch
from orchestrator_fanotify import events
from orchestrator_fanotify.backlog import Backlog
from orchestrator_fanotify.directories import Directories
from orchestrator_fanotify.kernel import Kernel
from orchestrator_fanotify.marks import Marks
from orchestrator_fanotify.refusals import refusal
from orchestrator_fanotify.translator import Translator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.api import Change

_HELD = 16 * 1024 * 1024  # bytes of events held in memory at most
_BATCHES = 5  # worked off by one read() at most
_SLICE = 5_000  # changes given by one read() at most, or little more


class FanotifyMonitor(Monitor):
    """Reports of what changes below the sources, from marks on their file systems."""

    def __init__(
        self,
        mode: str,
        wants: Callable[[bytes], bool],
        log: Callable[..., None],
        *,
        held: int = _HELD,
        most: int = _SLICE,
        make_kernel: Callable[[], Kernel] = Kernel,
    ) -> None:
        """As InotifyMonitor; `held`: bytes of events held in memory, `most`: changes given by one read() at most.

        Raises MonitorError.
        """
        content = events.CONTENT.get(mode)
        if content is None:
            raise MonitorError(f"'{mode}' not a valid inotfiyMode.")
        self.overflowed = False
        self._log = log
        try:
            self._kernel = make_kernel()
        except OSError as error:
            raise MonitorError(refusal(error)) from None
        try:
            self._sources = SourceWatch()
        except MonitorError:
            self._kernel.close()
            raise
        self._sources.also_poll(self._kernel.fileno())
        mask = events.asked_for(content, reports_renames=self._kernel.reports_renames)
        self._marks = Marks(self._kernel, mask, log)
        self._backlog = Backlog(self._kernel.read, held)
        self._directories = Directories(self._kernel, wants)
        self._translator = Translator(self._directories, wants, mode, most)
        self._work: Iterator[None] | None = None  # of the translator, not at its end

    def fileno(self) -> int:
        return self._sources.fileno()

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Watches a source. How many directories it has makes no difference. Raises MonitorError."""
        self._sources.add(root)
        problem = self._look_at_mounts().get(root)
        if problem is not None:
            self._sources.remove(root)
            self._sources.check()
            self._look_at_mounts()
            raise MonitorError(problem)

    def unwatch(self, root: bytes) -> None:
        self._sources.remove(root)
        self._sources.check()
        self._look_at_mounts()

    def rescan(self, progress: Callable[[int], None] | None = None) -> None:
        """After lost events or other filters: what was known of directories is asked for anew."""
        self._sources.check(anew=True)
        self._look_at_mounts()

    def is_behind(self) -> bool:
        """Whether events wait in memory: `read()` has come to its end before it was through."""
        return bool(self._backlog) or self._work is not None

    def pause(self, root: bytes) -> None:
        """The mark on its file system goes on to report it; that is passed over, unless no other source lies there."""
        self._sources.pause(root)
        self._look_at_mounts()

    def resume(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        self._sources.resume(root)
        self._look_at_mounts()
        self._sources.wake()

    def lost_roots(self) -> list[bytes]:
        return self._sources.lost()

    def returned_roots(self) -> list[bytes]:
        return self._sources.returned()

    def watched(self) -> list[bytes]:
        """The sources: all below them is watched by the mark on their file system."""
        return self._sources.held()

    def close(self) -> None:
        self._directories.close()
        self._sources.close()
        self._kernel.close()

    def drain(self) -> None:
        """Takes all events that wait in the kernel's queue into memory; may be called by another thread."""
        if self._backlog.fill():
            self._sources.wake()

    def read(self) -> list[Change]:
        """The changes since the last call, oldest first, or a part of them if that takes long: `is_behind`."""
        self._sources.clear_wake()
        if self._sources.check():
            for problem in self._look_at_mounts().values():
                self._log("Error", problem)
        self._backlog.fill()
        is_all = self._work_off()
        if self._backlog.has_dropped():
            self.overflowed = True
        if self._translator.has_overflowed():
            self.overflowed = True
        if not is_all:
            self._sources.wake()
        self._directories.close()
        return self._translator.take()

    def _work_off(self) -> bool:
        """Works off a slice of the backlog; gives whether nothing is left of it."""
        for _ in range(_BATCHES):
            if self._work is None:
                self._work = self._translator.translate(self._backlog.take())
            if not self._is_over(self._work):
                return False
            self._work = None
            if not self._backlog.fill() and not self._backlog:
                self._work = self._translator.settle()
                if not self._is_over(self._work):
                    return False
                self._work = None
                return True
        return False

    @staticmethod
    def _is_over(work: Iterator[None]) -> bool:
        """Goes on with some work; False: it stopped, as there are enough changes for one read()."""
        return next(work, work) is work

    def _look_at_mounts(self) -> dict[bytes, str]:
        """Marks the file systems that hold sources now. Gives why a source can't be watched."""
        held = self._sources.held()
        problems = self._marks.follow(held)
        self._directories.see(held, self._marks.points)
        return problems
