"""The sample plugin that writes figures for node_exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Action, ConfigError, Inlet, of_paths
from orchestrator.testing.inlet import FakeInlet
from tests.kit.daemon import Daemon, wait_until
from tests.kit.sample import loaded, source_of

if TYPE_CHECKING:
    from pathlib import Path


class Push(Action):
    name = "push"

    def action(self, inlet: Inlet) -> None:
        inlet.spawn(inlet.get_events(of_paths), ["push"])


def syncing(file: Path | str, name: str = "web") -> FakeInlet:
    """A sync with the plugin; the file is written 15 seconds after something has happened."""
    inlet = FakeInlet(Push(), {"name": name}, observers={"textfile": loaded("textfile")})
    inlet.startup()
    inlet.configure(textfile={"file": str(file)})
    return inlet


def figures(file: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples by their names and the values of their labels, as Prometheus's own parser reads them."""
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(file.read_text()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_the_figures_are_those_of_the_sync(tmp_path: Path) -> None:
    file = tmp_path / "lsyncd.prom"
    inlet = syncing(file)
    happened = inlet.clock.wall()
    inlet.change("Create", b"/a")
    inlet.turn()
    assert not file.exists()
    inlet.advance(15)
    found = figures(file)
    assert found["lsyncd_waiting_changes"] == {("web",): 1}
    assert found["lsyncd_in_sync"] == {("web",): 0}
    assert found["lsyncd_oldest_change_timestamp_seconds"][("web",)] == pytest.approx(happened, abs=0.01)
    assert "lsyncd_last_success_timestamp_seconds" not in found  # there was none yet
    inlet.end(inlet.spawned[0], 0)
    inlet.advance(15)
    found = figures(file)
    assert found["lsyncd_waiting_changes"] == {("web",): 0}
    assert found["lsyncd_in_sync"] == {("web",): 1}
    assert found["lsyncd_transfers_total"]["web", "ok"] == 1
    assert "lsyncd_oldest_change_timestamp_seconds" not in found
    assert "lsyncd_last_success_timestamp_seconds" in found


def test_nothing_is_written_while_nothing_happens(tmp_path: Path) -> None:
    file = tmp_path / "lsyncd.prom"
    inlet = syncing(file)
    inlet.advance(100)
    file.unlink()
    inlet.advance(1000)
    assert not file.exists()
    inlet.change("Create", b"/a")
    inlet.turn()
    for _ in range(3):  # its transfer runs: the numbers go on changing
        inlet.advance(15)
        file.unlink()


def test_any_name_is_a_label(tmp_path: Path) -> None:
    file = tmp_path / "lsyncd.prom"
    name = 'a"b\\n\n} 5'
    syncing(file, name).advance(15)
    assert figures(file)["lsyncd_in_sync"] == {(name,): 1}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    inlet = syncing(tmp_path / "none" / "lsyncd.prom")
    inlet.advance(15)
    (line,) = inlet.lines("Warn")
    assert line.startswith("textfile: [Errno 2] No such file or directory")


def test_a_name_that_node_exporter_does_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'needs a "file" that ends in \.prom'):
        syncing(tmp_path / "lsyncd.txt")


def test_in_a_real_daemon(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "f").write_text("hello")
    lua = f"""
    settings {{ plugins = {{ textfile = {{ file = "{tmp_path}/lsyncd.prom", interval = 0.1 }} }} }}
    sync {{ default.native, source = "{tmp_path}/source", target = "{tmp_path}/target" }}
    """
    file = tmp_path / "lsyncd.prom"
    with Daemon(tmp_path, lua=lua, plugins={"textfile": source_of("textfile")}):
        wait_until(lambda: file.exists() and figures(file)["lsyncd_in_sync"] == {("Sync1",): 1}, "the figures")
    assert figures(file)["lsyncd_transfers_total"]["Sync1", "ok"] == 1
