"""The sample plugin that publishes changes, with a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator.testing.inlet import FakeInlet
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.ports import free_port
from tests.kit.sample import loaded, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPIC = "lsyncd/web"


SUBSCRIBER = """
import sys
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

client = Client(CallbackAPIVersion.VERSION2, client_id="test", clean_session=False)
client.on_message = lambda client, data, message: print(message.payload.decode(), flush=True)
client.on_subscribe = lambda *arguments: open(sys.argv[3], "w").close()
client.on_connect = lambda *arguments: client.subscribe(sys.argv[2], qos=1)
client.reconnect_delay_set(1, 1)
client.connect_async("127.0.0.1", int(sys.argv[1]))
client.loop_forever(retry_first_connection=True)
"""


class Broker:
    """A mosquitto, with a subscriber that it remembers while one of the two is away."""

    def __init__(self, box: Path) -> None:
        self.port = free_port()
        self._box = box
        (box / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {box}/\n"
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        command = [sys.executable, "-c", SUBSCRIBER, str(self.port), TOPIC, box / "subscribed"]
        with (box / "received").open("wb") as file:
            self._subscriber = subprocess.Popen(command, stdout=file)

    def start(self) -> None:
        command = [program("mosquitto"), "-c", str(self._box / "mosquitto.conf")]
        self._processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_until((self._box / "subscribed").exists, "the subscriber")

    def stop(self) -> None:
        """It writes down what its subscriber has not been given yet."""
        for process in self._processes:
            process.terminate()
            process.wait()

    def close(self) -> None:
        self._subscriber.kill()
        self._subscriber.wait()
        self.stop()

    def received(self) -> list[dict[str, Any]]:
        """The messages, in their order."""
        lines = (self._box / "received").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def paths(self) -> list[str]:
        return [message["path"] for message in self.received()]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    place = tmp_path / "broker"
    place.mkdir()
    broker = Broker(place)
    yield broker
    broker.close()


def in_order(paths: list[Any]) -> list[Any]:
    """Without what was published once more (at least once): a list that has not been confirmed comes anew."""
    return list(dict.fromkeys(paths))


def publishing(box: Path, broker: Broker) -> Daemon:
    (box / "source").mkdir()
    lua = f"""sync {{ default.mqtt, source = "{box}/source", target = "mqtt://127.0.0.1:{broker.port}/{TOPIC}",
                     name = "web", delay = 0 }}"""
    return Daemon(box, lua=lua, plugins={"mqtt": source_of("mqtt")})


def test_each_change_is_published_in_order(tmp_path: Path, broker: Broker) -> None:
    broker.start()
    source = tmp_path / "source"
    with publishing(tmp_path, broker) as daemon:
        daemon.wait_for_watches(1)
        (source / "a").symlink_to("x")
        daemon.wait_for("Finished a list")  # a rename of what is being transferred would be two changes
        (source / "a").rename(source / "b")
        daemon.wait_for("Finished a list", times=2)
        (source / "b").unlink()
        os.mkdir(os.fsencode(source) + b"/d\xff")
        wait_until(lambda: "/d\udcff/" in broker.paths(), "the directory")
    told = [(message["sync"], message["etype"], message["path"], message["path2"]) for message in broker.received()]
    assert in_order(told) == [
        ("web", "Create", "/a", None),
        ("web", "Move", "/a", "/b"),
        ("web", "Delete", "/b", None),
        ("web", "Create", "/d\udcff/", None),
    ]


def test_nothing_is_lost_while_the_broker_is_down_and_the_daemon_reloads(tmp_path: Path, broker: Broker) -> None:
    source = tmp_path / "source"
    names = [f"/{number}" for number in range(30)]
    broker.start()
    broker.stop()
    with publishing(tmp_path, broker) as daemon:
        daemon.wait_for_watches(1)
        for name in names[:10]:
            (source / name[1:]).symlink_to("x")
        daemon.wait_for("Retrying a list after exitcode = 1")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("--- Startup ---", times=2)
        for name in names[10:20]:
            (source / name[1:]).symlink_to("x")
        broker.start()
        wait_until(lambda: set(broker.paths()) >= set(names[:20]), "what had waited")
        broker.stop()
        for name in names[20:]:
            (source / name[1:]).symlink_to("x")
        broker.start()
        wait_until(lambda: set(broker.paths()) >= set(names), "all of it")
    assert in_order(broker.paths()) == names
    assert {message["etype"] for message in broker.received()} == {"Create"}


@pytest.mark.parametrize(
    "target", [None, "broker", "http://broker/t", "mqtt://broker", "mqtt://broker/", "mqtt://b/a#"]
)
def test_a_wrong_target_is_refused(target: str | None) -> None:
    action = loaded("mqtt").Mqtt()
    with pytest.raises(ConfigError, match="needs a"):
        FakeInlet(action, {"target": target})
