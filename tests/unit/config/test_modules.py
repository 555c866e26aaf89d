"""Where `require` looks for modules: never first in the current directory, which anybody may have filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.config.lua_config import World

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whom this is about")

TRUSTED, OF_OTHERS = (0, 0o755), (1000, 0o755)
WRITABLE = [(0, 0o775), (0, 0o777), (0, 0o1777)]


def plant(directory: Path, owner: int, mode: int) -> None:
    directory.mkdir()
    (directory / "planted.lua").write_text("return {}")
    (directory / "planted").mkdir()
    directory.chmod(mode)
    os.chown(directory, owner, 0)


@pytest.mark.parametrize("version", ["5.1", "5.3", "5.4", "jit"])
@pytest.mark.parametrize("key", ["path", "cpath"])
def test_the_current_directory_comes_last(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, version: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = world.load("", version=version).lua.globals[b"package"][key.encode()]
    places = path.split(b";")
    relative = [place for place in places if not place.startswith(b"/")]
    assert relative
    assert places[-len(relative) :] == relative


@as_root
@pytest.mark.parametrize(("owner", "mode"), [OF_OTHERS, *WRITABLE])
def test_root_takes_nothing_from_where_others_write(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int
) -> None:
    plant(tmp_path / "foreign", owner, mode)
    monkeypatch.chdir(tmp_path / "foreign")
    with pytest.raises(ConfigError, match="module 'planted' not found"):
        world.load("require 'planted'")


@as_root
def test_root_takes_what_only_root_can_have_put_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "own", *TRUSTED)
    monkeypatch.chdir(tmp_path / "own")
    world.load("assert(type(require 'planted') == 'table')")


@as_root
def test_a_path_of_the_configs_own_is_its_own_affair(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "foreign", *OF_OTHERS)
    monkeypatch.chdir(tmp_path / "foreign")
    world.load("package.path = './?.lua' require 'planted'")
