"""Relative paths of a daemon's config count from the directory where it was started (spec 6 row 34)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.config.lua_config import World

CONFIG = """
settings{{ nodaemon = {nodaemon} }}
sync{{ default.rsync, source = "SRC", target = "h::m", rsync = {{ binary = "./rsync", password_file = "secret" }} }}
sync{{ default.rsyncssh, source = "SRC", host = "h", targetdir = "/t", rsync = {{ temp_dir = "tmp/t" }},
    ssh = {{ binary = "ssh", identityFile = "{key}",
             options = {{ UserKnownHostsFile = "known ~/known keys/more", identityagent = "none", User = "secret" }}
}} }}
"""


def words(world: World, nodaemon: str, key: str = "keys/id") -> list[list[str]]:
    """What is computed of the tables, of the first sync's rsync, the second's ssh and its rsync."""
    config = world.load(CONFIG.format(nodaemon=nodaemon, key=key))
    tables = [config.syncs[0].config.get("rsync"), *(config.syncs[1].config.get(key) for key in ("ssh", "rsync"))]
    return [[str(table.get("binary")), *map(str, table.get("_computed").list())] for table in tables]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with names like those of programs, too."""
    for name in ("secret", "rsync", "ssh", "known"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_daemon_reads_is_where_it_was_started(world: World, here: Path) -> None:
    rsync, ssh, rsync_by_ssh = words(world, "false")
    assert rsync[0] == f"{here}/./rsync"
    assert f"--password-file={here}/secret" in rsync
    assert ssh[0] == "ssh", "looked up in PATH"
    assert ssh[1:3] == ["-i", f"{here}/keys/id"]
    assert f"UserKnownHostsFile={here}/known ~/known {here}/keys/more" in ssh
    assert {"identityagent=none", "User=secret"} < set(ssh)
    assert "--temp-dir=tmp/t" in rsync_by_ssh, "on the target"
    assert any(f"-i {here}/keys/id" in word for word in rsync_by_ssh)


@pytest.mark.parametrize("key", ["~/id", "%d/id", "/k/id", "none"])
def test_what_ssh_makes_paths_of_itself_stays(world: World, here: Path, key: str) -> None:
    assert words(world, "false", key)[1][1:3] == ["-i", key]


def test_in_the_foreground_nothing_changes(world: World, here: Path) -> None:
    rsync, ssh, _ = words(world, "true")
    assert rsync[0] == "./rsync"
    assert "--password-file=secret" in rsync
    assert ssh[1:3] == ["-i", "keys/id"]
