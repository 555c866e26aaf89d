"""A daemon that begins with a sync that is paused, turn by turn."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.kit.turns import TERMINATED, Script, TurnedDaemon, turn

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("one", "two", "three")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """`one` was paused when another daemon ran."""
    for name in NAMES:
        (tmp_path / name).mkdir()
    (tmp_path / "states").mkdir(mode=0o700)
    (tmp_path / "states/one.paused").touch()
    return tmp_path


def config(box: Path, settings: str = "", more: str = "") -> str:
    own = f"resume = false, {more}"
    syncs = "".join(
        f'sync{{default.rsync, name = "{name}", source = "{box}/{name}", target = "host:/{name}", {own}}}\n'
        for name in NAMES
    )
    return f'settings{{stateDir = "{box}/states", {settings}}}\n{syncs}'


def targets(daemon: TurnedDaemon) -> list[str]:
    """Of what runs."""
    return [argv[-1].partition(":/")[2].strip("/") for argv in daemon.running_argv()]


def test_others_have_its_place(box: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield 60
        assert targets(daemon) == ["two"]
        daemon.end(0)
        yield 60
        assert targets(daemon) == ["three"]
        daemon.end(0)
        yield 60
        assert targets(daemon) == []
        assert daemon.plugin.states == {"one": "paused", "two": "in sync", "three": "in sync"}
        assert "one is paused, as before." in daemon.lines("Normal")

    assert turn(box, script, config(box, "maxStartups = 1")) == TERMINATED


def test_nothing_wakes_it(box: Path) -> None:
    """Neither an overflow, nor its crontab, nor its changes, however many; and nobody looks by a clock."""

    def script(daemon: TurnedDaemon) -> Script:
        yield 5
        daemon.end(0, 0)
        yield 5
        daemon.overflow()
        daemon.change(*(f"{box}/one/{number}" for number in range(20)))
        yield 60
        assert targets(daemon) == ["two", "three"]
        daemon.end(0, 0)
        yield 3600
        daemon.end_all()
        yield 0
        assert not any(argv[-1] == "host:/one/" for argv in map(daemon.argv, range(len(daemon.processes.started))))

    assert turn(box, script, config(box, more='maxDelays = 10, crontab = {"0 30 * * * *"}')) == TERMINATED


@pytest.mark.parametrize("settings", ["", 'reload = "changed"'])
def test_a_reload_leaves_it_as_it_is(box: Path, settings: str) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield 5
        daemon.end(0, 0)
        yield 5
        daemon.config(config(box, settings, more="maxDelays = 10"))
        daemon.send(signal.SIGHUP)
        yield 60
        assert targets(daemon) == ["two", "three"]
        assert daemon.plugin.states["one"] == "paused"
        assert daemon.lines("Normal").count("one is paused, as before.") == 2
        daemon.send(signal.SIGHUP)
        daemon.end(0, 0)
        yield 60
        assert daemon.plugin.states["one"] == "paused"

    assert turn(box, script, config(box, settings)) == TERMINATED


def test_nobody_waits_for_it_with_onepass(box: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield 5
        assert targets(daemon) == ["two", "three"]
        daemon.end(0, 0)

    assert turn(box, script, config(box, "onepass = true")) == 255
