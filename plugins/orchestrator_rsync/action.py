"""The rsync action (spec 4.2). What goes into a run: batches.py; what rsync is told: arguments.py, filterlist.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.api import (
    RSYNC_EXIT_CODES,
    Action,
    Collected,
    Config,
    ConfigError,
    Event,
    Inlet,
    Outcome,
    Target,
    endpoint_of,
    max_delete_of,
)
from orchestrator_rsync.arguments import computed, strings, target_of, with_slash
from orchestrator_rsync.batches import spawn_changes, spawn_full
from orchestrator_rsync.lane import Lanes
from orchestrator_rsync.options import OPTIONS
from orchestrator_rsync.refused import check_words

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rsync(Action):
    name = "rsync"
    mirrors_source = True
    sets = True
    options = OPTIONS
    checks_types = False
    defaults: ClassVar[Mapping[str, Any]] = {"delay": 15, "exitcodes": dict(RSYNC_EXIT_CODES)}

    def __init__(self) -> None:
        self._lanes = Lanes()

    def prepare(self, config: Config) -> None:
        target = config.get("target")
        if not isinstance(target, str) or not target:
            raise ConfigError('default.rsync needs "target" configured')
        prepare_rsync(config)
        config.set("target", with_slash(target))

    def endpoint(self, config: Config) -> str | None:
        table = config.get("rsync")
        rsh = table.get("rsh") if isinstance(table, Config) else None
        return endpoint_of(str(config.get("target")), rsh if isinstance(rsh, str) else "")

    def target(self, config: Config) -> Target | None:
        return target_of(config)

    def init(self, event: Event) -> None:
        spawn_full(event, self._lanes.of(event.inlet))

    def full(self, event: Event) -> None:
        spawn_full(event, self._lanes.of(event.inlet))

    def action(self, inlet: Inlet) -> None:
        spawn_changes(inlet, self._lanes.of(inlet))

    def collect(self, outcome: Outcome) -> Collected:
        return Collected(failed=self._lanes.collect(outcome, self.exit_codes(outcome.agent)))


def prepare_rsync(config: Config) -> None:
    """Compute `config.rsync._computed`. Raises ConfigError where it is there already."""
    table = config.get("rsync")
    if not isinstance(table, Config):
        config.set("rsync", {})
        table = config.get("rsync")
    if table.get("_computed") is not None:
        raise ConfigError("please do not use the internal rsync._computed parameter")
    words = computed(table)
    extra, path = table.get("_extra"), table.get("rsync_path")
    check_words(
        words,
        strings(extra) if isinstance(extra, Config) else [],
        path if isinstance(path, str) else None,
        deletes=config.get("delete") is not False,
    )
    table.set("_computed", words)
    max_delete_of(config)
