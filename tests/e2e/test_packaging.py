"""What is built from a checkout holds everything, and runs from where it was installed."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import ROOT, Daemon, wait_until
from tests.kit.need import program

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("orchestrator", *sorted(path.name for path in (ROOT / "plugins").glob("orchestrator_*")))
IGNORED = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source package, and the wheel that is made of the source package."""
    place = tmp_path_factory.mktemp("build")
    # a copy: building leaves things beside the sources
    shutil.copytree(ROOT, place / "checkout", ignore=IGNORED)
    shutil.copytree(ROOT / ".ci", place / "checkout" / ".ci")
    command = [sys.executable, "-W", "ignore", "-m", "build", "--no-isolation", "--outdir", str(place / "dist"), "."]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=place / "checkout", env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = (place / "dist").glob("*.tar.gz")
    (wheel,) = (place / "dist").glob("*.whl")
    return sdist, wheel


def files_of(folder: Path, package: str) -> set[str]:
    """What belongs to a package: code, Lua, the web page, the mark for type checkers, documents."""
    wanted = (".py", ".lua", ".md", ".sh", ".typed", ".html", ".css", ".js", ".svg")
    base = folder / package
    return {f"{package}/{path.relative_to(base)}" for path in base.rglob("*") if path.suffix in wanted}


@pytest.mark.xdist_group("packaging")
def test_nothing_is_missing(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    wanted = files_of(ROOT, "orchestrator").union(*(files_of(ROOT / "plugins", name) for name in PACKAGES[1:]))
    assert any(name.endswith(".lua") for name in wanted)
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert wanted - inside == set()
    share = {name.partition(".data/data/share/")[2] for name in inside}
    cited = {"man/man1/lsyncd.1", "man/man1/orchestrator.1", "bash-completion/completions/lsyncd"}
    documents = ["README.md", "CHANGELOG.md", "plugins/README.md"]
    documents += [f"contrib/{path.name}" for path in (ROOT / "contrib").glob("*.md")]
    documents += [f"configs/{path.name}" for path in (ROOT / "configs").iterdir()]
    documents += [f"spec/{path.name}" for path in (ROOT / "tests" / "spec").iterdir()]
    assert cited | {f"doc/lsyncd-orchestrator/{name}" for name in documents} <= share

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name if name.startswith("orchestrator/") else f"plugins/{name}" for name in wanted} - names == set()
    tops = {"LICENSE", "Makefile", ".ci/run", "contrib/man/lsyncd.1", "configs/README.md"}
    tops |= {path.name for path in ROOT.glob("*.md")}
    assert tops - names == set()


@pytest.mark.xdist_group("packaging")
def test_each_plugin_has_its_door(built: tuple[Path, Path]) -> None:
    """A folder in plugins/ that implements a hook is found by an entry point, as an outside plugin is."""
    archive = zipfile.ZipFile(built[1])
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
    doors = configparser.ConfigParser()
    doors.read_string(archive.read(name).decode())
    here = {name for name in PACKAGES[1:] if "@hookimpl" in (ROOT / "plugins" / name / "__init__.py").read_text()}
    assert set(doors["orchestrator"].values()) == here
    assert set(doors["console_scripts"]) == {"lsyncd", "orchestrator"}


@pytest.mark.xdist_group("packaging")
def test_runs_where_it_was_installed(built: tuple[Path, Path], tmp_path: Path) -> None:
    program("rsync")
    site, box = tmp_path / "site", tmp_path / "box"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, built[1]]
    subprocess.run(install, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
    (box / "source").mkdir(parents=True)
    (box / "source" / "file").write_text("content")
    (box / "target").mkdir()
    lua = f'sync{{ default.rsync, source = "{box}/source", target = "{box}/target", delay = 0 }}'

    with Daemon(box, environment={"PYTHONPATH": str(site)}, lua=lua):
        wait_until((box / "target" / "file").exists, "the file to arrive")
    where = "import orchestrator, orchestrator_rsync; print(orchestrator.__file__, orchestrator_rsync.__file__)"
    for command, answer in (
        ([site / "bin" / "lsyncd", "-version"], "Version: 2.3.1\n"),
        (["-c", where], f"{site}/orchestrator/__init__.py {site}/orchestrator_rsync/__init__.py\n"),
    ):
        asked = subprocess.run(
            [sys.executable, *command],
            cwd=box,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (asked.returncode, asked.stdout) == (0, answer)
