"""A day with twenty targets: three are down, one hangs, one is full; what is said of it, and what helps."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.control import main
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.ports import free_port
from tests.kit.rsyncd import RsyncDaemon

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD = [f"web{number:02}" for number in range(15)]
DOWN = ["down1", "down2", "down3"]
SYNCS = [*GOOD, *DOWN, "hung", "full"]


class WithSmallDisk(Daemon):
    """Sees a file system of 1 MB at `small`, which others see through /proc."""

    def command(self) -> list[str]:
        shell = f'mount -t tmpfs -o size=1m none {self.box}/small && mkdir {self.box}/small/full && exec "$@"'
        return ["unshare", "-r", "-m", "sh", "-c", shell, "sh", *super().command()]

    @property
    def disk(self) -> Path:
        return Path(f"/proc/{self.process.pid}/root{self.box}/small")


class Day:
    def __init__(self, box: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.box = box
        self.port = free_port()
        self._capsys = capsys
        for name in SYNCS:
            (box / "src" / name).mkdir(parents=True)
            (box / "src" / name / "first").write_text(name)
        for directory in ("trg", "small", "far"):
            (box / directory).mkdir()
        self.stub = box / "rsync"
        self.stub.write_text(f'#!/bin/sh\nwhile [ -e {box}/hang ]; do sleep 0.05; done\nexec rsync "$@"\n')
        self.stub.chmod(0o755)

    def config(self, more: str = "") -> str:
        """`more`: keys of web02."""
        place = f"{self.box}/trg/"
        lines = [f'settings{{insist = true, controlSocket = "{self.box}/socket"}}']
        for number, name in enumerate(GOOD):
            action = "native" if number % 2 else "rsync"
            lines.append(self._sync(action, name, place + name, more if name == "web02" else ""))
        lines += [self._sync("rsync", name, f"rsync://127.0.0.1:{self.port}/m/{name}/") for name in DOWN]
        lines.append(self._sync("rsync", "hung", place + "hung", f'staleAfter = 1, rsync = {{binary = "{self.stub}"}}'))
        lines.append(self._sync("rsync", "full", f"{self.box}/small/full"))
        return "\n".join(lines)

    def _sync(self, action: str, name: str, target: str, more: str = "") -> str:
        return f"""sync{{default.{action}, name = "{name}", source = "{self.box}/src/{name}",
            target = "{target}", delay = 0, {more}}}"""

    def run(self, *words: str) -> tuple[int, str]:
        """The exit status of a call of `orchestrator`, and what it says."""
        self._capsys.readouterr()
        command, *rest = words
        status = main([command, "--socket", str(self.box / "socket"), *rest])
        captured = self._capsys.readouterr()
        return status, captured.out + captured.err

    def syncs(self) -> Mapping[str, Any]:
        return {
            one["name"]: one for one in json.loads(self.run("status", "--json")[1].partition("\nAttention")[0])["syncs"]
        }

    def wait_for(self, **states: str) -> None:
        """Until these syncs are in these states."""
        wait_until(
            lambda: {name: self.syncs()[name]["state"] for name in states} == states,
            f"{states}; {self.run('status')[1]}",
        )

    def change(self, name: str, text: str) -> Path:
        """The place on the target for a file that is written now."""
        (self.box / "src" / name / "news").write_text(text)
        return self.box / "trg" / name / "news"


def has(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except FileNotFoundError:
        return False


def test_a_day_with_twenty_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("rsync")
    day = Day(tmp_path, capsys)
    with WithSmallDisk(tmp_path, lua=day.config()) as daemon:
        # in the morning three targets are down
        daemon.wait_for("Startup of", len(SYNCS) - len(DOWN))
        day.wait_for(**dict.fromkeys([*GOOD, "hung", "full"], "in sync"), **dict.fromkeys(DOWN, "retrying"))
        assert day.run("health", *GOOD)[0] == 0
        status, line = day.run("health")
        assert status == 1
        assert line.startswith("LSYNCD WARNING - down1 retrying")
        assert "troubled=3;" in line
        assert day.run("status", "web*", "hung")[0] == 0

        # then a transfer hangs, and a disk is full
        (tmp_path / "hang").touch()
        day.change("hung", "waits")
        wait_until(lambda: day.syncs()["hung"]["stuck"], "it to be seen that it hangs")
        status, line = day.run("health", "hung")
        assert status == 2
        assert "CRITICAL" in line
        assert "/news" in line
        filler = daemon.disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left on device"):
            list(map(file.write, itertools.repeat(b"x" * 4096)))
        (tmp_path / "src/full/big").write_bytes(os.urandom(200_000))
        wait_until(
            lambda: "No space left on device" in ((day.syncs()["full"]["last_error"] or {}).get("cause") or ""),
            "the full disk to be named",
        )

        # none of which holds up the others; one is paused, one gets another config
        assert day.run("pause", "web00") == (0, "paused: web00\n")
        paused = day.change("web00", "later")
        there = day.change("web01", "now")
        wait_until(lambda: has(there, "now"), "a change of another sync")
        (tmp_path / "config.lua").write_text(day.config('exclude = {"*.tmp"},'))
        status, said = day.run("reload")
        assert status == 0, said
        assert "changed: web02" in said
        day.wait_for(web00="paused", web02="in sync")
        (tmp_path / "src/web02/x.tmp").touch()
        there = day.change("web02", "new")
        wait_until(lambda: has(there, "new"), "a change of the reloaded sync")
        assert not (tmp_path / "trg/web02/x.tmp").exists()
        assert not paused.exists()
        assert day.syncs()["hung"]["stuck"], "a reload ends no transfer of a sync that is the same"

        # somebody has been at a target
        (tmp_path / "trg/web03/first").write_text("forged")
        status, said = day.run("verify", "web0[1-5]")
        assert status == 1
        assert "web03: content /first" in said
        assert "web01: no difference" in said
        assert day.run("verify", "web03", "--repair")[0] == 1
        wait_until(lambda: has(tmp_path / "trg/web03/first", "web03"), "the repair")
        assert day.run("flush", "web03", "--wait", "30")[0] == 0
        assert day.run("verify", "web03")[0] == 0

        metrics_agree(day, tmp_path)

        # in the evening all of it is mended
        (tmp_path / "hang").unlink()
        filler.unlink()
        with RsyncDaemon(tmp_path, tmp_path / "far", day.port):
            assert day.run("resume", "web00")[0] == 0
            day.run("retry")
            assert day.run("flush", "--wait", "60")[0] == 0, day.run("status")[1]
            assert paused.read_text() == "later"
            assert (tmp_path / "trg/hung/news").read_text() == "waits"
            assert (daemon.disk / "full/big").stat().st_size == 200_000
            assert [(tmp_path / "far" / name / "first").read_text() for name in DOWN] == DOWN
            day.wait_for(**dict.fromkeys(SYNCS, "in sync"))
            assert day.run("verify")[0] == 0
            assert day.run("health")[0] == 0
            assert day.run("status")[0] == 0


def metrics_agree(day: Day, box: Path) -> None:
    """What `serve` counts is what the status says."""
    from prometheus_client.parser import text_string_to_metric_families

    from tests.kit.web import serving

    with serving(box, "--socket", box / "socket") as server:
        server.wait_for_daemons()

        def states() -> dict[str, str]:
            text = server.ask("/metrics").body.decode()
            return {
                sample.labels["sync"]: sample.labels["state"]
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == "lsyncd_sync_state" and sample.value
            }

        def quiet() -> dict[str, str]:
            # those that are tried again are "syncing" now and then
            return {name: one["state"] for name, one in day.syncs().items() if name not in (*DOWN, "full")}

        wait_until(lambda: {name: states().get(name) for name in quiet()} == quiet(), "the metrics to say the same")
