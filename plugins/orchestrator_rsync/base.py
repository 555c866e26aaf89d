"""The part that all actions have in common whose startup and full runs are rsync's: rsync, rsyncssh and direct."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from orchestrator.api import CONTENT, Action, Config, Event, Inlet, Resumable, Target
from orchestrator_rsync.arguments import rsync_options, target_of
from orchestrator_rsync.batches import remarks, spawn_full
from orchestrator_rsync.parts import undivided
from orchestrator_rsync.sharing import shared
from orchestrator_rsync.syncruns import Runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.api import Difference, Verifier

_HAS_ALL = frozenset({0, 24})
"""rsync's exit codes when all is there but for files that vanished."""

_BRINGS_NOTHING = frozenset({"dry-run", "list-only", "read-batch", "only-write-batch"})


class RsyncAction(Action):
    """An action that mirrors the whole tree by rsync: at startup, and whenever a full run is due.

    `runs` are its runs. When one has ended, an action's `collect` returns `runs.collect(…)`: paths that rsync could not
    transfer are tried again by themselves. `retries_paths`: single paths, by `spawn_changes`, else everything.
    `brings_directory_times`: while running, too; else they are no difference to `verify`.
    """

    checks_types = False
    retries_paths: ClassVar[bool] = True
    brings_directory_times: ClassVar[bool] = True

    def __init__(self) -> None:
        self.runs = Runs(by_paths=self.retries_paths)

    def target(self, config: Config) -> Target | None:
        return target_of(config)._replace(share=shared)

    def undivided(self, config: Config) -> str | None:
        return undivided(config)

    def remarks(self, config: Config) -> Sequence[str]:
        return remarks(rsync_options(config)) if self.retries_paths else ()

    def resumable(self, config: Config) -> Resumable | None:
        options = rsync_options(config)
        if options.follows_links or not options.names.isdisjoint(_BRINGS_NOTHING):
            return None  # what changes behind a link, nobody sees by the link
        return Resumable(_HAS_ALL, with_directories=True)

    def resumes(self, inlet: Inlet, cut_off: Sequence[bytes], until: float | None) -> None:
        runs = self.runs.of(inlet)
        runs.quick_check.ran_before(until)
        runs.broken.update(path for path in cut_off if not path.endswith(b"/"))

    def verify(self, inlet: Inlet, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        from orchestrator_rsync.verify import verifier  # late: few have a use for it

        how = () if self.brings_directory_times else (b"--omit-dir-times",)
        return verifier(inlet, paths, self.runs.of(inlet).quick_check.now(), how, quick=quick)

    def repairs(self, inlet: Inlet, differences: Sequence[Difference]) -> None:
        self.runs.of(inlet).quick_check.unequal.update(path for path, kind in differences if kind == CONTENT)

    def init(self, event: Event) -> None:
        spawn_full(event, self.runs.of(event.inlet))
