"""Checks and completes `rsync = { … }` of a config, when that is loaded."""

from __future__ import annotations

from orchestrator.api import Config, ConfigError, max_delete_of
from orchestrator_rsync.arguments import computed, strings
from orchestrator_rsync.listing import check_listed
from orchestrator_rsync.refused import check_words


def prepare_rsync(config: Config) -> None:
    """Compute `config.rsync._computed`, rsync's arguments. Raises ConfigError for one that is refused, or where it is
    there already."""
    table = config.get("rsync")
    if not isinstance(table, Config):
        config.set("rsync", {})
        table = config.get("rsync")
    if table.get("_computed") is not None:
        raise ConfigError("please do not use the internal rsync._computed parameter")
    check_listed(table)
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
