"""default.mqtt: every change is published to an MQTT broker, in order, one JSON object each.

At least once (QoS 1): a list of changes is done when the broker has confirmed each of them, and is published anew as a
whole where it has not. While the broker is down the changes wait in the sync's queue, also through a reload.
"""

import json
import time
from urllib.parse import urlsplit

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.enums import CallbackAPIVersion

from orchestrator.api import Action, ConfigError, JobResult, Option, hookimpl, of_paths, to_text

PATIENCE = 30.0
"""Seconds that the broker may take to confirm one message."""


class Mqtt(Action):
    name = "mqtt"
    sets = False  # each kind of change is handed over
    options = {
        "target": Option((str,), None, "mqtt://HOST[:PORT]/TOPIC"),
        "user": Option((str,), None, "user of the broker"),
        "password": Option((str,), None, "password of that user", secret=True),
    }
    defaults = {"delay": 1, "onMove": True, "exitcodes": {0: "ok", 1: "again"}}

    def prepare(self, config):
        target = str(config.get("target"))
        url = urlsplit(target)
        if url.scheme != "mqtt" or not url.hostname or len(url.path) < 2 or set("#+?") & set(target):
            raise ConfigError('default.mqtt needs a "target" as mqtt://HOST/TOPIC')

    def action(self, inlet):
        events = inlet.get_events(of_paths)
        messages = [message(inlet.name, event) for event in events]
        target, user, password = (inlet.config.get(key) for key in ("target", "user", "password"))
        inlet.run(events, lambda stop: publish(urlsplit(target), (user, password), messages, stop))


def message(sync, event):
    path2 = to_text(event.destination.raw_path) if event.etype == "Move" else None
    # ASCII: a name that is not UTF-8 has \udcXX for each such byte
    told = {"sync": sync, "etype": event.etype, "path": to_text(event.raw_path), "path2": path2, "time": time.time()}
    return json.dumps(told)


def publish(url, credentials, messages, stop):
    """In the order of the list. Runs in a thread: it may wait."""
    client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    if credentials[0]:
        client.username_pw_set(*credentials)
    try:
        client.connect(url.hostname, url.port or 1883)
        sent = [client.publish(url.path[1:], text, qos=1) for text in messages]
        for one in sent:
            end = time.monotonic() + PATIENCE
            while not one.is_published():
                if stop.is_set() or time.monotonic() > end or client.loop(0.2) != MQTT_ERR_SUCCESS:
                    return JobResult(1, f"{url.hostname} has not confirmed all messages")
    except (OSError, ValueError) as error:
        return JobResult(1, f"{url.hostname}: {error}")
    finally:
        client.disconnect()
    return 0


@hookimpl
def orchestrator_actions():
    return [Mqtt()]
