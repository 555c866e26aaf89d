"""Daemons and syncs as metrics for Prometheus, by its conventions: base units, `_total` for what only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

STATES: Final = (
    "starting",
    "in sync",
    "syncing",
    "retrying",
    "paused",
    "held",
    "suspended",
    "left alone",
    "stopped",
)
"""Every state that a sync may be in."""

VERDICTS: Final = ("ok", "partial", "again", "die")

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Values = dict[str, Any]
_Daemon = tuple[str, bool, _Values, list[_Values]]


def _age(sync: _Values, now: float) -> float:
    oldest = sync["oldest"]
    return 0.0 if oldest is None else max(0.0, now - oldest)


_OF_DAEMON: Final[tuple[tuple[str, str, Callable[[_Values], float | None]], ...]] = (
    ("start_time_seconds", "When the daemon started, in seconds since 1970.", lambda of: of["started"]),
    ("transfers_running", "Transfers that run now.", lambda of: of["processes"]),
    (
        "transfers_limit",
        "Transfers that may run at once; absent where there is no limit.",
        lambda of: of["max_processes"],
    ),
    ("watched_directories", "Directories watched by the kernel.", lambda of: of["watches"]),
    ("polled_directories", "Directories polled for lack of watches.", lambda of: of["polled"]),
    (
        "overflows_total",
        "Overflows of the kernel's event queue since the start; each makes a full run.",
        lambda of: of["overflows"],
    ),
    ("reloads_total", "Reloads of the config since the start.", lambda of: of["reloads"]),
)

_OF_SYNC: Final[tuple[tuple[str, str, Callable[[_Values, float], float | None]], ...]] = (
    ("waiting_changes", "Changes in the queue, those in a transfer included.", lambda sync, now: sync["waiting"]),
    ("retrying_paths", "Paths that are tried again apart.", lambda sync, now: sync["retrying"]),
    ("settling_files", "Files that still change and wait until they do not.", lambda sync, now: sync["settling"]),
    ("oldest_change_age_seconds", "Time since the oldest change happened that is not transferred; 0: none.", _age),
    ("stuck", "Whether nothing moves that should (setting staleAfter).", lambda sync, now: sync["stuck"] is not None),
    (
        "target_unreachable",
        "Whether the target's host cannot be reached.",
        lambda sync, now: sync["unreachable"] is not None,
    ),
    ("running_transfers", "Transfers of this sync that run now.", lambda sync, now: len(sync["transfers"])),
    ("conflicts", "Paths in conflict (csync2).", lambda sync, now: sync["conflicts"]),
    ("last_success_timestamp_seconds", "When a transfer last went well.", lambda sync, now: sync["last_success"]),
    (
        "last_error_timestamp_seconds",
        "When a transfer last failed.",
        lambda sync, now: (sync["last_error"] or {}).get("time"),
    ),
    (
        "verify_timestamp_seconds",
        "When source and target were last compared.",
        lambda sync, now: (sync["verified"] or {}).get("time"),
    ),
    (
        "verify_differences",
        "Differences that the last comparison found.",
        lambda sync, now: (sync["verified"] or {}).get("differences"),
    ),
    (
        "verify_failed",
        "Whether the last comparison could not be done.",
        lambda sync, now: _has_failed(sync["verified"]),
    ),
    ("changes_total", "Changes since the daemon started.", lambda sync, now: sync["counts"]["changes"]),
    ("transferred_files_total", "Files transferred.", lambda sync, now: sync["counts"]["files"]),
    ("transferred_bytes_total", "Bytes moved by transfers.", lambda sync, now: sync["counts"]["bytes"]),
    ("transfer_seconds_total", "Time that transfers took.", lambda sync, now: sync["counts"]["seconds"]),
    ("retries_total", "Transfers and paths that were tried again.", lambda sync, now: sync["counts"]["retries"]),
    (
        "full_runs_total",
        "Comparisons of the whole source with its target.",
        lambda sync, now: sync["counts"]["full_runs"],
    ),
)


def _has_failed(verified: _Values | None) -> bool | None:
    return None if verified is None else bool(verified.get("error"))


def render(daemons: Iterable[_Daemon]) -> bytes:
    """The metrics in Prometheus' text format. Each daemon: its name, whether it answers, its status, its syncs.

    One whose status is not that of a daemon counts as one that does not answer.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(daemons)))
    return generate_latest(registry)


class _Collector:
    def __init__(self, daemons: list[_Daemon]) -> None:
        self._up = GaugeMetricFamily("lsyncd_up", "Whether the daemon answers.", labels=["daemon"])
        self._daemons = []
        for name, is_up, status, syncs in daemons:
            values = _read(status, syncs) if is_up else None
            self._up.add_metric([_label(name)], values is not None)
            if values is not None:
                self._daemons.append((_label(name), *values))

    def collect(self) -> Iterator[Metric]:
        yield self._up
        info = GaugeMetricFamily("lsyncd_info", "The daemon's version.", labels=["daemon", "version"])
        sync_info = GaugeMetricFamily(
            "lsyncd_sync_info", "How a sync transfers what.", labels=["daemon", "sync", "action", "source", "target"]
        )
        state = GaugeMetricFamily(
            "lsyncd_sync_state",
            "1 for the state that the sync is in, 0 for all others.",
            labels=["daemon", "sync", "state"],
        )
        verdicts = CounterMetricFamily(
            "lsyncd_sync_transfers_total",
            "Transfers that have ended, by verdict.",
            labels=["daemon", "sync", "verdict"],
        )
        families = {name: _family(f"lsyncd_{name}", text, ["daemon"]) for name, text, _ in _OF_DAEMON}
        of_syncs = {name: _family(f"lsyncd_sync_{name}", text, ["daemon", "sync"]) for name, text, _ in _OF_SYNC}
        for daemon, status, syncs in self._daemons:
            info.add_metric([daemon, _label(status["version"])], 1)
            _add(families, [daemon], status["values"])
            for sync in syncs:
                labels = [daemon, _label(sync["name"])]
                sync_info.add_metric([*labels, *(_label(sync[key]) for key in ("action", "source", "target"))], 1)
                for one in STATES:
                    state.add_metric([*labels, one], sync["state"] == one)
                for verdict, count in sync["verdicts"].items():
                    verdicts.add_metric([*labels, verdict], count)
                _add(of_syncs, labels, sync["values"])
        yield from (info, *families.values(), sync_info, state, verdicts, *of_syncs.values())


def _family(name: str, text: str, labels: list[str]) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, text, labels=labels)


def _add(families: Mapping[str, Any], labels: list[str], values: Mapping[str, float]) -> None:
    for name, value in values.items():
        families[name].add_metric(labels, value)


def _read(status: _Values, syncs: list[_Values]) -> tuple[_Values, list[_Values]] | None:
    """The numbers in a daemon's status. None: it has not the form of one."""
    try:
        now = float(status["time"])
        daemon = {
            "version": status["version"],
            "values": {name: float(value) for name, _, of in _OF_DAEMON if (value := of(status)) is not None},
        }
        return daemon, [_read_sync(sync, now) for sync in syncs]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _read_sync(sync: _Values, now: float) -> _Values:
    return {
        **{key: sync[key] for key in ("name", "action", "source", "target", "state")},
        "verdicts": {verdict: float(sync["counts"]["transfers"].get(verdict, 0)) for verdict in VERDICTS},
        "values": {name: float(value) for name, _, of in _OF_SYNC if (value := of(sync, now)) is not None},
    }


def _label(value: object) -> str:
    """A text for a label: half a surrogate pair, which no UTF-8 can carry, is written out."""
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
