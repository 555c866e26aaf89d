"""Each example of configs/ runs as it is, does what it says, and ends as it should."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit.csync2 import Cluster, csync2_binary
from tests.kit.daemon import Daemon, wait_until
from tests.kit.examples import CONFIGS, arrives, goes, make_demo, mirrors
from tests.kit.need import program
from tests.kit.rsyncd import RsyncDaemon
from tests.kit.sshd import Sshd


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return make_demo(tmp_path)


def example(name: str, demo: Path, *options: str, **environment: str) -> Daemon:
    return Daemon(demo, *options, CONFIGS / name, environment={"DEMO": str(demo), **environment})


@pytest.mark.parametrize("name", ["native.lua", "layer4-rsync.lua", "direct.lua", "layer3-shell.lua"])
def test_a_mirror(name: str, demo: Path) -> None:
    program("rsync")
    with example(name, demo) as daemon:
        arrives(demo / "target" / "d" / "before", "there before the start")
        mirrors(demo / "source", demo / "target")
        daemon.wait_for("--- Startup ---")
    daemon.wait_for("--- TERM signal, fading ---")


def test_layer_3_with_binaries(demo: Path) -> None:
    (demo / "target" / "d").mkdir()
    with example("layer3-binary.lua", demo) as daemon:
        daemon.wait_for_watches(2)
        (demo / "source" / "new").write_text("one")
        daemon.wait_for('Event Create spawns action "/bin/cp -rT ^sourcePathname ^targetPathname"')
        arrives(demo / "target" / "new", "one")
        (demo / "source" / "new").unlink()
        goes(demo / "target" / "new")


def test_layer_2(demo: Path) -> None:
    with example("layer2.lua", demo) as daemon:
        daemon.wait_for_watches(2)
        (demo / "source" / "d" / "notes.txt").write_text("no picture")
        (demo / "source" / "d" / "a $(b).PNG").write_text("a picture")
        daemon.wait_for("picture: d/a $(b).PNG")
        arrives(demo / "target" / "d" / "a $(b).PNG", "a picture")
        (demo / "source" / "d" / "a $(b).PNG").rename(demo / "source" / "c.png")
        arrives(demo / "target" / "c.png", "a picture")
        (demo / "source" / "c.png").unlink()
        goes(demo / "target" / "c.png")
        assert not (demo / "target" / "d" / "notes.txt").exists()


def test_layer_1(demo: Path) -> None:
    journal = demo / "journal"
    with example("layer1.lua", demo) as daemon:
        daemon.wait_for("Init is in the journal")
        (demo / "source" / "new").write_text("one")
        daemon.wait_for("batch is in the journal")
        (demo / "source" / "new").rename(demo / "source" / "old")
        wait_until(lambda: "Move /new -> /old\n" in journal.read_text(), "the rename in the journal")
    first, *others = journal.read_text().splitlines()
    assert first == f"start of {demo}/source/"
    assert "Create /new" in others


def test_rsyncssh(demo: Path) -> None:
    program("rsync")
    with Sshd(demo) as sshd:
        environment = {
            "HOST": f"{sshd.user}@127.0.0.1",
            "TARGETDIR": str(demo / "target"),
            "SSH_PORT": str(sshd.port),
            "SSH_KEY": str(sshd.key),
            "SSH_KNOWN_HOSTS": str(sshd.known_hosts),
        }
        with example("rsyncssh.lua", demo, **environment) as daemon:
            arrives(demo / "target" / "d" / "before", "there before the start")
            mirrors(demo / "source", demo / "target")
            daemon.wait_for("Moving tree/ -> wood/")


def test_csync2(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Cluster(demo / "cluster") as cluster:
        here, there = (node.tree for node in cluster)
        node = cluster.nodes[0]
        (here / "before").write_text("there before the start")
        environment = {
            "CSYNC2_BINARY": csync2_binary(),
            "CSYNC2_SOURCE": str(here),
            "CSYNC2_SYNCID": cluster.syncid,
            "CSYNC2_HOSTNAME": node.name,
            "CSYNC2_DATABASE": str(node.database),
            "CSYNC2_SYSTEM_DIR": str(cluster.system),
            "CSYNC2_PORT": str(cluster.port),
        }
        with example("csync2.lua", demo, **environment):
            arrives(there / "before", "there before the start")
            mirrors(here, there)


def test_settings(demo: Path) -> None:
    with example("settings.lua", demo) as daemon:
        arrives(demo / "target" / "d" / "before", "there before the start")
        assert (demo / "lsyncd.pid").read_text() == f"{daemon.process.pid}\n"
        wait_until(lambda: (demo / "lsyncd.status").exists(), "the status file")
        assert f"demo source={demo}/source/" in (demo / "lsyncd.status").read_text()
        assert "Normal: recursive startup rsync: " in (demo / "lsyncd.log").read_text()
        mirrors(demo / "source", demo / "target")
    assert not (demo / "lsyncd.pid").exists()


def test_filters(demo: Path) -> None:
    source, excludes, rules = demo / "source", demo / "target" / "excludes", demo / "target" / "rules"
    for directory in (excludes, rules, source / "documents" / "a", source / "cache"):
        directory.mkdir(parents=True)
    for name in ("documents/a/letter", "other", "x.tmp", "cache/page", "d/cache"):
        (source / name).write_text("before")
    with example("filters.lua", demo):
        arrives(excludes / "other", "before")
        arrives(rules / "documents" / "a" / "letter", "before")
        for name in ("x.tmp", "cache/page", "documents/y.tmp", "other", "documents/a/letter"):
            (source / name).write_text("after")
        arrives(excludes / "other", "after")
        arrives(excludes / "documents" / "a" / "letter", "after")
        arrives(rules / "documents" / "a" / "letter", "after")
        arrives(rules / "documents" / "y.tmp", "after")
        arrives(excludes / "d" / "cache", "before")
    assert sorted(os.listdir(rules)) == ["documents"]
    assert sorted(os.listdir(excludes)) == ["d", "documents", "other"]
    assert os.listdir(excludes / "documents") == ["a"]


def test_inheritance(demo: Path) -> None:
    for name in ("one", "two", "three"):
        (demo / "target" / name).mkdir()
    with example("inheritance.lua", demo, "-log", "Exec") as daemon:
        for name in ("one", "two", "three"):
            arrives(demo / "target" / name / "d" / "before", "there before the start")
        (demo / "source" / "x.tmp").write_text("left out")
        (demo / "source" / "new").write_text("new")
        for name in ("one", "two", "three"):
            arrives(demo / "target" / name / "new", "new")
        assert not (demo / "target" / "one" / "x.tmp").exists()
        slow = [line for line in daemon.said().splitlines() if "--bwlimit=5000" in line]
        assert slow
        assert all("/target/three/" in line for line in slow if "/target/" in line)


def test_post_command(demo: Path) -> None:
    transferred = demo / "transferred"
    with example("postcommand.lua", demo) as daemon:
        daemon.wait_for("running the post command of demo")
        (demo / "source" / "new").write_text("new")
        daemon.wait_for("running the post command of demo", times=2)
    assert len(transferred.read_text().splitlines()) == 2


def test_large_files(demo: Path) -> None:
    with example("large-files.lua", demo, "-log", "Exec") as daemon:
        arrives(demo / "target" / "d" / "before", "there before the start")
        (demo / "source" / "large").write_text("x" * 2_000_000)
        (demo / "source" / "small").write_text("small")
        arrives(demo / "target" / "small", "small")
        arrives(demo / "target" / "large", "x" * 2_000_000)
        daemon.wait_for("Calling rsync with filter-list of new/modified files/dirs", times=2)


def test_exit_codes(demo: Path) -> None:
    with example("exitcodes.lua", demo):
        arrives(demo / "target" / "d" / "before", "there before the start")
        mirrors(demo / "source", demo / "target")


def test_tunnel(demo: Path) -> None:
    with RsyncDaemon(demo, demo / "target") as rsyncd, Sshd(demo) as sshd:
        environment = {
            "SSH_HOST": f"{sshd.user}@127.0.0.1",
            "SSH_PORT": str(sshd.port),
            "SSH_KEY": str(sshd.key),
            "SSH_KNOWN_HOSTS": str(sshd.known_hosts),
            "RSYNCD_PORT": str(rsyncd.port),
            "MODULE": "m",
        }
        with example("tunnel.lua", demo, "-log", "Tunnel", **environment) as daemon:
            arrives(demo / "target" / "d" / "before", "there before the start")
            daemon.wait_for("is UP", times=3)
            mirrors(demo / "source", demo / "target")


def test_crontab(demo: Path) -> None:
    with example("crontab.lua", demo, "-log", "Info", RULE="*/2 * * * * *") as daemon:
        arrives(demo / "target" / "d" / "before", "there before the start")
        (demo / "target" / "extra").touch()
        daemon.wait_for("Crontab triggered full sync", times=2)
        goes(demo / "target" / "extra")


def test_hooks(demo: Path) -> None:
    program("rsync")
    transferred = demo / "transferred"
    with example("hooks.lua", demo) as daemon:
        daemon.wait_for("0 paths: ok")
        arrives(transferred, "commands: 0 paths, ok\n")
        (demo / "source" / "new").write_text("new")
        daemon.wait_for("1 paths are about to travel")
        daemon.wait_for("1 paths: ok")
        arrives(demo / "target" / "functions" / "new", "new")
        arrives(demo / "target" / "commands" / "new", "new")
        arrives(transferred, "commands: 0 paths, ok\ncommands: 1 paths, ok\n")


def test_command(demo: Path) -> None:
    with example("command.lua", demo):
        arrives(demo / "target" / "d" / "before", "there before the start")
        (demo / "source" / "d" / "it's new").write_text("new")
        (demo / "source" / "gone").write_text("")
        (demo / "source" / "gone").unlink()
        arrives(demo / "target" / "d" / "it's new", "new")


def test_alarm(demo: Path) -> None:
    with example("alarm.lua", demo, INTERVAL="0.1") as daemon:
        daemon.wait_for("heartbeat 3")
        mirrors(demo / "source", demo / "target")


def test_each_example_has_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    names = (path.name for path in CONFIGS.iterdir() if path.suffix in (".lua", ".toml"))
    assert [name for name in names if f'"{name}"' not in tests] == []
