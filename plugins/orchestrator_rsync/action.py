"""The rsync action (spec 4.2). The changes of a run: batches.py; rsync's arguments: arguments.py, filterlist.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.api import (
    OK,
    RSYNC_EXIT_CODES,
    Collected,
    Config,
    ConfigError,
    Inlet,
    Outcome,
    Verdict,
    endpoint_of,
)
from orchestrator_rsync.arguments import with_slash
from orchestrator_rsync.base import RsyncAction
from orchestrator_rsync.batches import spawn_changes
from orchestrator_rsync.options import OPTIONS
from orchestrator_rsync.prepare import prepare_rsync
from orchestrator_rsync.shell import check_share

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rsync(RsyncAction):
    name = "rsync"
    mirrors_source = True
    sets = True
    options = OPTIONS
    defaults: ClassVar[Mapping[str, Any]] = {"delay": 15, "exitcodes": dict(RSYNC_EXIT_CODES)}

    def prepare(self, config: Config) -> None:
        target = config.get("target")
        if not isinstance(target, str) or not target:
            raise ConfigError('default.rsync needs "target" configured')
        prepare_rsync(config)
        check_share(config)
        config.set("target", with_slash(target))

    def endpoint(self, config: Config) -> str | None:
        table = config.get("rsync")
        rsh = table.get("rsh") if isinstance(table, Config) else None
        return endpoint_of(str(config.get("target")), rsh if isinstance(rsh, str) else "")

    def action(self, inlet: Inlet) -> None:
        spawn_changes(inlet, self.runs.of(inlet))

    def collect(self, outcome: Outcome) -> Verdict | Collected:
        if self.runs.has_answered(outcome):
            return OK
        return self.runs.collect(outcome, self.exit_codes(outcome.agent))
