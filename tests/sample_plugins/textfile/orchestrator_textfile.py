"""Figures of all syncs for Prometheus, in a file for the textfile collector of node_exporter.

`settings { plugins = { textfile = { file = "/var/lib/prometheus/node-exporter/lsyncd.prom" } } }`

Written when something has changed, every `interval` seconds at most; an idle daemon does nothing.
"""

import os

from orchestrator.api import ConfigError, Option, hookimpl

METRICS = {
    "waiting_changes": ("gauge", "Changes that wait, or are being transferred.", lambda status: status["waiting"]),
    "in_sync": ("gauge", "1 where nothing is to be done.", lambda status: int(status["state"] == "in sync")),
    "oldest_change_timestamp_seconds": ("gauge", "When the oldest of them happened.", lambda status: status["oldest"]),
    "last_success_timestamp_seconds": ("gauge", "When a transfer went well.", lambda status: status["last_success"]),
    "bytes_total": ("counter", "Moved by transfers.", lambda status: status["counts"]["bytes"]),
}

own = {}  # this plugin's settings
syncs = []
planned = []


@hookimpl
def orchestrator_settings():
    return {
        "file": Option((str,), None, "file to write; not set: none", path="file"),
        "interval": Option((float,), 15, "seconds between two writes, at least"),
    }


@hookimpl
def orchestrator_check_settings(values):
    if not str(values["file"]).endswith(".prom"):
        raise ConfigError('needs a "file" that ends in .prom')


@hookimpl
def orchestrator_configured(settings, inlets):
    own.update(settings["plugins"]["textfile"])
    syncs[:] = inlets
    planned.clear()
    plan()


@hookimpl
def orchestrator_sync_state():
    plan()


@hookimpl
def orchestrator_transfer_ended():
    plan()


def plan():
    """Write soon, unless that is planned."""
    if own.get("file") and not planned:
        planned.append(True)
        syncs[0].after(own["interval"], write)


def write():
    planned.clear()
    statuses = [(inlet.name, inlet.status()) for inlet in syncs]
    temporary = f"{own['file']}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text(statuses))
        os.replace(temporary, own["file"])  # nobody ever reads half a file
    except OSError as error:
        syncs[0].log("Warn", f"textfile: {error}")
    if any(status["state"] != "in sync" for _, status in statuses):
        plan()  # numbers go on changing


def text(statuses):
    lines = []
    for name, (kind, help_text, value_of) in METRICS.items():
        lines += [f"# HELP lsyncd_{name} {help_text}", f"# TYPE lsyncd_{name} {kind}"]
        values = [(sync, value_of(status)) for sync, status in statuses]
        lines += [f'lsyncd_{name}{{sync="{label(sync)}"}} {value}' for sync, value in values if value is not None]
    lines += ["# HELP lsyncd_transfers_total Transfers that have ended.", "# TYPE lsyncd_transfers_total counter"]
    for sync, status in statuses:
        for verdict, count in status["counts"]["transfers"].items():
            lines.append(f'lsyncd_transfers_total{{sync="{label(sync)}",verdict="{verdict}"}} {count}')
    return "\n".join([*lines, ""])


def label(name):
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
