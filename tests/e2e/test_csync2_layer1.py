"""configs/csync2-layer1.lua between two real csync2 nodes: a config in the style of lsyncd 2.0, run as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.csync2 import Cluster, csync2_binary
from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "csync2-layer1.lua"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "cluster") as cluster:
        yield cluster


def lsyncd(cluster: Cluster, directory: Path, **environment: str) -> Daemon:
    node = cluster.nodes[0]
    settings = {
        "CSYNC2_BINARY": csync2_binary(),
        "CSYNC2_OPTIONS": " ".join(node.options),
        "CSYNC2_SOURCE": str(node.tree),
        "CSYNC2_SYNCID": cluster.syncid,
        "LSYNCD_LOG_DIR": str(directory),
    }
    return Daemon(directory, CONFIG, environment={**cluster.environment, **settings, **environment})


def test_create_change_rename_delete_reach_the_other_node(cluster: Cluster, tmp_path: Path) -> None:
    here, there = (node.tree for node in cluster)
    (here / "d").mkdir()
    (here / "d" / "before").write_text("there before lsyncd was")
    with lsyncd(cluster, tmp_path) as daemon:
        daemon.wait_for("Startup of 'web' instance finished.")
        assert (there / "d" / "before").read_text() == "there before lsyncd was"

        (here / "new").write_text("one")
        (here / "tree" / "deep").mkdir(parents=True)
        (here / "tree" / "deep" / 'it\'s "new"').write_text("two")
        wait_until(cluster.equal, "what was created")

        (here / "new").write_text("changed")
        wait_until(cluster.equal, "what was changed")

        (here / "new").rename(here / "d" / "renamed")
        (here / "tree").rename(here / "wood")
        wait_until(cluster.equal, "what was renamed")
        assert (there / "wood" / "deep" / 'it\'s "new"').read_text() == "two"

        (here / "d" / "renamed").unlink()
        (here / "wood" / "deep" / 'it\'s "new"').unlink()
        (here / "wood" / "deep").rmdir()
        wait_until(cluster.equal, "what was deleted")
        assert there.joinpath("wood").is_dir()

    said = (tmp_path / "lsyncd.log").read_text()
    assert f"Normal: Recursive startup sync: web:{here}/\n" in said
    assert f"Normal: Processing syncing list:\n\tweb:{here}/" in said
    assert f"\n\tweb:{here}/tree/deep/\n" in said
    assert "Normal: Finished events list on exitcode = 0\n" in said
    assert f"source={here}/\n" in (tmp_path / "status.log").read_text()
    assert (daemon.said() + said).count("obsolete") == 1, "one word about `settings = {…}`"


def test_a_node_that_is_down_gets_it_later(cluster: Cluster, tmp_path: Path) -> None:
    here, there = cluster.nodes
    with lsyncd(cluster, tmp_path) as daemon:
        daemon.wait_for("Startup of 'web' instance finished.")
        there.stop()
        (here.tree / "f").write_text("meanwhile")
        daemon.wait_for("Retrying events list on exitcode = 1")
        there.start()
        wait_until(cluster.equal, "what changed while the node was down")


def test_a_wrong_syncid_names_file_and_line(cluster: Cluster, tmp_path: Path) -> None:
    with lsyncd(cluster, tmp_path, CSYNC2_SYNCID="nosuch") as daemon:
        assert daemon.wait() == 255
    line = next(number for number, text in enumerate(CONFIG.read_text().splitlines(), 1) if "sync { initSync" in text)
    reason = f"{cluster.system}/csync2_nosuch.cfg: No such file or directory"
    assert f"csync2-layer1.lua:{line}: Invalid 'syncid' parameter: {reason}" in daemon.said()
    assert os.listdir(cluster.nodes[1].tree) == []
