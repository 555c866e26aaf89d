"""A plugin of somebody else's: installed by pip into an environment that knows nothing of it, and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import ROOT, Daemon, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAMPLE = ROOT / "tests" / "sample_plugin"

pytestmark = pytest.mark.xdist_group("sample plugin")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with us and the plugin in it; nothing is fetched from anywhere."""
    place = tmp_path_factory.mktemp("environment")
    venv = place / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=place)
    (site,) = venv.glob("lib/python*/site-packages")
    # us, and what we need, from where they are
    known = [str(ROOT), str(ROOT / "plugins"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (site / "us.pth").write_text("\n".join(dict.fromkeys(known)))
    # a copy: building leaves things beside the sources
    shutil.copytree(SAMPLE, place / "put", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "-q"]
    run(sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", *options, ".", cwd=place / "put")
    assert (site / "orchestrator_put.py").exists()
    return venv / "bin" / "python"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_PUT(self) -> None:
        self.server.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def do_DELETE(self) -> None:
        self.server.files.pop(self.path, None)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Installed(Daemon):
    """The daemon of the environment that the plugin is installed in."""

    interpreter: Path

    def python_path(self) -> list[str]:
        return []

    def command(self) -> list[str]:
        return [str(self.interpreter), "-m", "orchestrator.cli"]


def test_it_is_listed(python: Path, tmp_path: Path) -> None:
    done = run(python, "-c", "from orchestrator.control import main; main()", "plugins", cwd=tmp_path)
    assert "put 1.0 (orchestrator_put)\n  default.put: target\n" in done.stdout
    assert "native " in done.stdout


LUA = 'sync {{ default.put, source = "{box}/source", target = "{url}/", delay = 0, exclude = "*.tmp" }}'
TOML = """
[[sync]]
action = "put"
source = "{box}/source"
target = "{url}"
delay = 0
exclude = "*.tmp"
"""


@pytest.mark.parametrize("language", ["lua", "toml"])
def test_it_is_used(python: Path, tmp_path: Path, server: Server, language: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "before").write_text("x")
    (source / "before.tmp").write_text("x")
    text = (LUA if language == "lua" else TOML).format(box=tmp_path, url=server.url)
    daemon = Installed(tmp_path, **{language: text})
    daemon.interpreter = python
    with daemon:
        wait_until(lambda: server.files == {"/before": b"x"}, "the startup")
        (source / "new").write_text("hello")
        (source / "new.tmp").write_text("hello")
        (source / "before").unlink()
        wait_until(lambda: server.files == {"/new": b"hello"}, "the changes")


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("lua", LUA.replace("{url}/", "/srv"), "config.lua:1: default.put needs"),
        ("lua", "\n" + LUA.replace("target", "targt"), 'config.lua:2: Parameter "targt" unknown'),
        ("toml", TOML.replace("target", "targt"), ':5: sync[1].targt: unknown key; did you mean "target"?'),
        (
            "toml",
            TOML.replace('"put"', '"putt"'),
            'config.toml:3: sync[1].action: there is no action "putt"; did you mean "put"?',
        ),
    ],
)
def test_its_keys_are_checked(python: Path, tmp_path: Path, language: str, text: str, told: str) -> None:
    (tmp_path / "source").mkdir()
    daemon = Installed(tmp_path, **{language: text.format(box=tmp_path, url="http://127.0.0.1:1")})
    daemon.interpreter = python
    with daemon:
        assert daemon.wait() == 255
    assert told in daemon.said()


def test_its_own_tests_pass(python: Path, tmp_path: Path) -> None:
    """As the README shows them, with the fixtures that we ship."""
    for name in ("conftest.py", "test_put.py"):
        shutil.copy(SAMPLE / name, tmp_path)
    text = (tmp_path / "test_put.py").read_text()
    (line,) = [line for line in text.splitlines() if "not needed for a plugin that pip has installed" in line]
    (tmp_path / "test_put.py").write_text(text.replace(line, ""))
    done = run(python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "5 passed" in done.stdout
