"""Alerts by a webhook: a sync fails, or is stuck, and when it has recovered, each reported once.

`settings { plugins = { webhook = { url = "https://alerts.example/hook", token = "…" } } }`

The daemon never waits: a thread sends, from a queue that drops its oldest alert when it is full.
"""

import json
import queue
import threading
import time
from urllib.request import Request, urlopen
from weakref import WeakSet

from orchestrator.api import ConfigError, Option, hookimpl

TROUBLE = ("retrying", "suspended", "stopped")
TRIES = 3

alerts = queue.Queue(maxsize=100)
own = {}  # this plugin's settings
reported = {}  # name of a sync → what was reported of it since it was in sync
looked_at = WeakSet()  # inlets of syncs that are looked at again and again, until they are in sync


@hookimpl
def orchestrator_settings():
    return {
        "url": Option((str,), None, "each alert is sent there, by POST, as JSON"),
        "token": Option((str,), None, "sent as Authorization: Bearer", secret=True),
        "look": Option((float,), 60, "seconds between two looks whether a sync is stuck, while it is not in sync"),
    }


@hookimpl
def orchestrator_check_settings(values):
    if not str(values["url"]).startswith(("http://", "https://")):
        raise ConfigError('needs a "url" of http or https')


@hookimpl
def orchestrator_configured(settings):
    own.update(settings["plugins"]["webhook"])
    if own["url"] and not sender.ident:
        sender.start()


@hookimpl
def orchestrator_sync_state(inlet, state):
    if state in TROUBLE:
        alert(inlet, "failed")
    elif state == "in sync" and reported.pop(inlet.name, None):
        send(inlet, "recovered", "")
    if state != "in sync" and inlet not in looked_at:
        look(inlet)


def look(inlet):
    """Being stuck makes no event: nothing happens."""
    looked_at.discard(inlet)
    status = inlet.status()
    if status["stuck"]:
        alert(inlet, "stuck")
    if status["state"] != "in sync":
        looked_at.add(inlet)
        inlet.after(own["look"], lambda: look(inlet))


def alert(inlet, what):
    known = reported.setdefault(inlet.name, set())
    if own["url"] and what not in known:
        known.add(what)
        status = inlet.status()
        error = status["last_error"] or {"cause": ""}
        send(inlet, what, status["stuck"] if what == "stuck" else error["cause"])


def send(inlet, what, cause):
    if alerts.full():
        oldest, _ = alerts.get_nowait()
        inlet.log("Warn", f"webhook: too many alerts, dropped that {oldest['sync']} has {oldest['what']}")
    alerts.put_nowait(({"sync": inlet.name, "what": what, "cause": cause, "time": time.time()}, inlet.log))


def send_all():
    while True:
        one, log = alerts.get()
        headers = {"Content-Type": "application/json"}
        if own["token"]:
            headers["Authorization"] = f"Bearer {own['token']}"
        for tried in range(TRIES):
            try:
                urlopen(Request(own["url"], json.dumps(one).encode(), headers), timeout=10).close()
                break
            except OSError as error:
                log("Warn", f"webhook: {error}")
                time.sleep(2**tried)


sender = threading.Thread(target=send_all, name="webhook", daemon=True)
