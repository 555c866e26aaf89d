"""Metrics as Prometheus reads them; the alert rules and the dashboard name no others."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.control.web.metrics import STATES, render
from tests.kit.controlled import START, sync
from tests.kit.need import program

CONTRIB = Path(__file__).resolve().parents[3] / "contrib"
CONFIG = "/etc/lsyncd/lsyncd.conf.lua"

STATUS = {
    "version": "1.2.0",
    "time": START + 100,
    "started": START,
    "processes": 1,
    "max_processes": 4,
    "watches": 7,
    "polled": 2,
    "overflows": 1,
    "reloads": 3,
}

FULL = sync(
    state="retrying",
    stuck="host does not answer",
    waiting=3,
    retrying=2,
    settling=1,
    oldest=START + 40,
    unreachable={"host": "host", "next_try": START + 130},
    transfers=[{"id": 1}],
    last_error={"time": START + 90, "exit_code": 12, "cause": "gone"},
    verified={"time": START + 50, "is_equal": False, "differences": 4, "compared": 9, "error": None},
    conflicts=0,
)


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """Name and the labels beside those that all have → value."""
    return {
        (
            sample.name,
            ",".join(value for key, value in sorted(sample.labels.items()) if key not in ("daemon", "sync")),
        ): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_sync_in_numbers() -> None:
    found = samples(render([(CONFIG, True, STATUS, [FULL])]))
    expected: dict[str, float] = {
        "lsyncd_up": 1,
        "lsyncd_start_time_seconds": START,
        "lsyncd_transfers_running": 1,
        "lsyncd_transfers_limit": 4,
        "lsyncd_watched_directories": 7,
        "lsyncd_polled_directories": 2,
        "lsyncd_overflows_total": 1,
        "lsyncd_reloads_total": 3,
        "lsyncd_sync_waiting_changes": 3,
        "lsyncd_sync_retrying_paths": 2,
        "lsyncd_sync_settling_files": 1,
        "lsyncd_sync_oldest_change_age_seconds": 60,
        "lsyncd_sync_stuck": 1,
        "lsyncd_sync_target_unreachable": 1,
        "lsyncd_sync_running_transfers": 1,
        "lsyncd_sync_conflicts": 0,
        "lsyncd_sync_last_success_timestamp_seconds": START + 60,
        "lsyncd_sync_last_error_timestamp_seconds": START + 90,
        "lsyncd_sync_verify_timestamp_seconds": START + 50,
        "lsyncd_sync_verify_differences": 4,
        "lsyncd_sync_verify_failed": 0,
        "lsyncd_sync_changes_total": 12,
        "lsyncd_sync_transferred_files_total": 10,
        "lsyncd_sync_transferred_bytes_total": 4096,
        "lsyncd_sync_transfer_seconds_total": 1.5,
        "lsyncd_sync_retries_total": 2,
        "lsyncd_sync_full_runs_total": 1,
    }
    assert {name: found[name, ""] for name in expected} == expected
    assert {state: found["lsyncd_sync_state", state] for state in STATES} == {s: s == "retrying" for s in STATES}
    verdicts = {"ok": 5, "partial": 1, "again": 2, "die": 0}
    assert {verdict: found["lsyncd_sync_transfers_total", verdict] for verdict in verdicts} == verdicts
    assert found["lsyncd_info", "1.2.0"] == 1
    assert found["lsyncd_sync_info", "rsync,/srv/www/,host::www"] == 1


def test_what_nobody_knows_is_absent() -> None:
    found = samples(render([(CONFIG, True, {**STATUS, "max_processes": None}, [sync(last_success=None)])]))
    names = {name for name, _ in found}
    assert not [
        name for name in names if "timestamp" in name or "verify" in name or "conflicts" in name or "limit" in name
    ]
    assert found["lsyncd_sync_oldest_change_age_seconds", ""] == 0


def test_a_verify_that_could_not_be_done() -> None:
    verified = {"time": START, "is_equal": None, "differences": None, "compared": None, "error": "no route"}
    found = samples(render([(CONFIG, True, STATUS, [sync(verified=verified)])]))
    assert found["lsyncd_sync_verify_failed", ""] == 1
    assert ("lsyncd_sync_verify_differences", "") not in found


@pytest.mark.parametrize("syncs", [[], [{}], [sync(waiting="many")], [sync(counts=None)], [sync(transfers=None)]])
def test_a_daemon_that_talks_nonsense_is_not_up(syncs: list[Any]) -> None:
    status = STATUS if syncs else {}
    assert samples(render([(CONFIG, True, status, syncs)])) == {("lsyncd_up", ""): 0}


def test_a_daemon_that_does_not_answer_has_no_numbers() -> None:
    assert samples(render([(CONFIG, False, STATUS, [FULL])])) == {("lsyncd_up", ""): 0}
    assert samples(render([])) == {}


def test_hostile_names_stay_names() -> None:
    hostile = 'a"} 1\nlsyncd_up{daemon="b\\'
    (name,) = {
        sample.labels["sync"]
        for family in text_string_to_metric_families(render([(CONFIG, True, STATUS, [sync(hostile)])]).decode())
        for sample in family.samples
        if "sync" in sample.labels
    }
    assert name == hostile
    render([(CONFIG, True, STATUS, [sync("half \ud800")])]).decode()


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\blsyncd_[a-z_]+\b", text))


KNOWN = {family.name for family in text_string_to_metric_families(render([(CONFIG, True, STATUS, [FULL])]).decode())}
KNOWN |= {sample[0] for sample in samples(render([(CONFIG, True, STATUS, [FULL])]))}


@pytest.mark.parametrize("path", ["grafana/lsyncd.json", "prometheus/lsyncd.rules.yml", "WEB.md"])
def test_documents_name_metrics_that_there_are(path: str) -> None:
    named = names_in((CONTRIB / path).read_text())
    assert len(named) > 5
    assert named - KNOWN == set()


def test_every_metric_is_documented() -> None:
    documented = names_in((CONTRIB / "WEB.md").read_text())
    assert {name for name, _ in samples(render([(CONFIG, True, STATUS, [FULL])]))} - documented == set()


def test_the_dashboard_is_one() -> None:
    dashboard = json.loads((CONTRIB / "grafana" / "lsyncd.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 5
    for panel in panels:
        assert panel["title"]
        assert all(target["expr"] for target in panel["targets"])
        assert panel["datasource"]["uid"] == "${datasource}"


def test_prometheus_finds_nothing_wrong() -> None:
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=render([(CONFIG, True, STATUS, [FULL])]),
        capture_output=True,
        timeout=30,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_alert_rules() -> None:
    """What promtool finds in the rules, and their own tests: contrib/prometheus/lsyncd.test.yml."""
    for arguments in (["check", "rules", "lsyncd.rules.yml"], ["test", "rules", "lsyncd.test.yml"]):
        done = subprocess.run(
            [program("promtool"), *arguments], cwd=CONTRIB / "prometheus", capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test() -> None:
    rules = set(re.findall(r"alert: (\w+)", (CONTRIB / "prometheus" / "lsyncd.rules.yml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (CONTRIB / "prometheus" / "lsyncd.test.yml").read_text()))
    assert rules == tested
    assert len(rules) >= 5
