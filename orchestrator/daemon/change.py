"""What a reload changes: which syncs go on, and which settings it leaves as they are (spec 1.5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.config.settings import settings_by_name
from orchestrator.errors import ConfigError
from orchestrator.logic.sameness import same_syncs
from orchestrator.logic.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.config.settings import Settings
    from orchestrator.daemon.loading import Loaded
    from orchestrator.runner import Runner
    from orchestrator.sync.sync import Sync

OF_THE_PROCESS: Final = {"nodaemon": "nodaemon", "pidfile": "pidfile"}
"""Settings that count at the start of the process only, with their names here."""

OF_MONITORS: Final = {"inotifyMode": "inotify_mode", "watchLimit": "watch_limit", "pollInterval": "poll_interval"}
"""Settings that a monitor is made with: they stay as long as syncs go on that it watches for."""

NAMED: Final = 10
"""Syncs that a log line names, at most."""


class Change(NamedTuple):
    """`syncs`: all that there are then. `kept`: the syncs of the new config that are the same as one at work, with that
    one. `settings`: those in force. `warnings`: lines about those that stay as they were. `summary`: a line."""

    syncs: list[Sync]
    kept: dict[Sync, Sync]
    settings: Settings
    warnings: list[str]
    summary: str


def change_of(runner: Runner, following: Loaded, *, keeps_same: bool) -> Change:
    """The change from the configuration at work to another one. `keeps_same`: syncs that are the same go on.

    Raises ConfigError where the source of one that is to begin is gone.
    """
    syncs = following.config.syncs
    kept = _same(runner, following) if keeps_same else {}
    _check_sources(runner, [sync for sync in syncs if sync not in kept])
    stay = OF_THE_PROCESS | OF_MONITORS if kept else OF_THE_PROCESS
    settings = replace(following.settings, **{field: getattr(runner.settings, field) for field in stay.values()})
    wanted, in_force = settings_by_name(following.settings), settings_by_name(settings)
    changed = [name for name in stay if wanted[name] != in_force[name]]
    warnings = [f"the setting {name} has changed: that takes a restart; it stays as it is." for name in changed]
    now = [kept.get(sync, sync) for sync in syncs]
    return Change(now, kept, settings, warnings, _summary(runner.syncs, now))


def _same(runner: Runner, following: Loaded) -> dict[Sync, Sync]:
    at_work = {sync.name: sync for sync in runner.syncs}
    read_anew = {sync.name: sync for sync in following.config.syncs}
    setting, new_setting = runner.settings.monitor, following.settings.monitor
    names = same_syncs(
        {
            name: None if sync.life.is_stopped or not _has_same_source(sync, read_anew) else sync.fingerprint
            for name, sync in at_work.items()
        },
        {
            name: None if setting != new_setting and not sync.options.monitor else sync.fingerprint
            for name, sync in read_anew.items()
        },
        keeps_functions=not (runner.has_callbacks() or following.config.has_callbacks),
    )
    return {read_anew[name]: at_work[name] for name in names}


def _has_same_source(sync: Sync, read_anew: dict[str, Sync]) -> bool:
    """A link on the way to it may lead elsewhere by now."""
    return sync.name in read_anew and read_anew[sync.name].source == sync.source


def _check_sources(runner: Runner, fresh: Iterable[Sync]) -> None:
    """Raise where a source is gone: a startup would take for it what is there now (spec 6 row 22)."""
    gone = {sync.source for sync in runner.syncs if sync.life.is_source_gone}
    for sync in fresh:
        if sync.source in gone:
            source = sync.source.decode("utf-8", "surrogateescape")
            raise ConfigError(f"source {source} is gone: the target would become as empty as what is there now.")


def _summary(before: Sequence[Sync], now: Sequence[Sync]) -> str:
    names, names_now = [sync.name for sync in before], [sync.name for sync in now]
    going_on = [sync for sync in now if sync in before]
    begun = [sync.name for sync in now if sync not in before]
    groups = {
        "changed": [name for name in begun if name in names],
        "new": [name for name in begun if name not in names],
        "gone": [name for name in names if name not in names_now],
    }
    parts = [counted(len(going_on), "sync goes on", "syncs go on")]
    for what, found in groups.items():
        if found:
            more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
            parts.append(f"{what}: {', '.join(found[:NAMED])}{more}")
    return "; ".join(parts)
