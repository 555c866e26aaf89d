"""Each example of configs/ in TOML runs as it is, but for the directory and the host, which a test has to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.csync2 import Cluster
from tests.kit.daemon import Daemon, wait_until
from tests.kit.examples import CONFIGS, arrives, goes, make_demo, mirrors
from tests.kit.need import program
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from pathlib import Path

DEMO = "/tmp/lsyncd-demo"


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return make_demo(tmp_path)


def example(name: str, demo: Path, changes: dict[str, str] | None = None) -> Daemon:
    text = (CONFIGS / name).read_text()
    for old, new in {DEMO: str(demo), **(changes or {})}.items():
        assert old in text
        text = text.replace(old, new)
    (demo / name).write_text(text)
    return Daemon(demo, demo / name)


@pytest.mark.parametrize(
    "name", ["native.toml", "layer4-rsync.toml", "direct.toml", "layer3-shell.toml", "command.toml"]
)
def test_a_mirror(name: str, demo: Path) -> None:
    program("rsync")
    with example(name, demo):
        arrives(demo / "target" / "d" / "before", "there before the start")
        mirrors(demo / "source", demo / "target")


def test_rsyncssh(demo: Path) -> None:
    program("rsync")
    with Sshd(demo) as sshd:
        changes = {
            '"localhost"': f'"{sshd.user}@127.0.0.1"',
            "port = 22\n": f"port = {sshd.port}\n",
            "/root/.ssh/id_ed25519": str(sshd.key),
            "/root/.ssh/known_hosts": str(sshd.known_hosts),
        }
        with example("rsyncssh.toml", demo, changes) as daemon:
            arrives(demo / "target" / "d" / "before", "there before the start")
            mirrors(demo / "source", demo / "target")
            daemon.wait_for("Moving tree/ -> wood/")


def test_csync2(demo: Path) -> None:
    with Cluster(demo / "cluster") as cluster:
        here, there = (node.tree for node in cluster)
        node = cluster.nodes[0]
        (here / "before").write_text("there before the start")
        changes = {
            f"{demo}/source": str(here),
            '"www"': f'"{cluster.syncid}"',
            "delay = 1\n": f'delay = 1\n[sync.csync2]\nhostname = "{node.name}"\ndatabase = "{node.database}"\n'
            f'config_dir = "{cluster.system}"\nport = {cluster.port}\n',
        }
        with example("csync2.toml", demo, changes):
            arrives(there / "before", "there before the start")
            mirrors(here, there)


def test_settings_and_filters(demo: Path) -> None:
    excludes, rules = demo / "target" / "excludes", demo / "target" / "rules"
    for directory in (excludes, rules, demo / "source" / "documents"):
        directory.mkdir()
    with example("settings.toml", demo) as daemon:
        arrives(excludes / "d" / "before", "there before the start")
        wait_until((rules / "documents").exists, "the directory that the rules let through")
        assert (demo / "lsyncd.pid").read_text() == f"{daemon.process.pid}\n"
        for name in ("x.tmp", "other", "documents/letter"):
            (demo / "source" / name).write_text("new")
        arrives(excludes / "other", "new")
        arrives(rules / "documents" / "letter", "new")
        wait_until((demo / "lsyncd.status").exists, "the status file")
        (demo / "source" / "other").unlink()
        goes(excludes / "other")
    assert not (excludes / "x.tmp").exists()
    assert sorted(path.name for path in rules.iterdir()) == ["documents"]
    assert "Normal: --- TERM signal, fading ---" in (demo / "lsyncd.log").read_text()
