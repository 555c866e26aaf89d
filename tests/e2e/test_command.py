"""default.command in a real daemon, from Lua and from TOML."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.trees import HOSTILE, text_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("source", "target", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


TOML = """
[[sync]]
action = "command"
source = "{box}/source"
target = "{box}/target"
delay = 0.2
startupCommand = ["cp", "-a", "^source.", "^target"]
"""

KINDS = {
    "stdin": """
command = "xargs -0 cp -a -t ^target --"
""",
    "file": """
paths = "file"
command = "xargs -0 -a ^pathsFile cp -a -t ^target --"
""",
    "arguments": """
paths = "arguments"
command = ["cp", "-a", "-t", "^target", "--", "^paths"]
""",
    "event": """
per = "event"
maxProcesses = 4
command = ["cp", "-a", "--", "^sourcePathname", "^target/^pathname"]
events.delete = ["rm", "-rf", "--", "^target/^pathname"]
events.move = "mv -T -- ^target/^o.pathname ^target/^d.pathname"
""",
}


@pytest.mark.parametrize("kind", KINDS)
def test_toml(box: Path, kind: str) -> None:
    (box / "source" / "before").write_text("x")
    toml = TOML.format(box=box) + KINDS[kind] + ("" if kind == "event" else 'each = "^sourcePathname"\n')
    with Daemon(box, toml=toml, environment={"TMPDIR": str(box / "tmp")}) as daemon:
        wait_until((box / "target" / "before").exists, "the startup")
        for name in HOSTILE:
            (box / "source" / os.fsdecode(name)).write_bytes(name)
        wait_until(lambda: set(os.listdir(bytes(box / "target"))) == {*HOSTILE, b"before"}, "all to arrive")
        if kind == "event":
            (box / "source" / "before").rename(box / "source" / "after")
            (box / "source" / os.fsdecode(HOSTILE[0])).unlink()
            wanted = {*HOSTILE[1:], b"after"}
            wait_until(lambda: set(os.listdir(bytes(box / "target"))) == wanted, "deletion and rename")
    assert os.listdir(box / "tmp") == []
    assert "Error" not in daemon.said()


def test_lua(box: Path) -> None:
    lua = f"""sync {{
        default.command, source = "{box}/source", delay = 0, init = false,
        command = {{ "sh", "-c", "cat >>" .. "{box}/list" }},
        each = "^etype ^path", separator = "newline",
        onBatchEnd = "echo ^count >>{box}/ends",
    }}"""
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "it's new").write_text("x")
        wait_until((box / "ends").exists, "the end of the batch")
    assert (box / "list").read_text().splitlines()[0] == "Create it's new"


def test_a_batch_that_fails_comes_again(box: Path) -> None:
    lua = f"""sync {{
        default.command, source = "{box}/source", delay = 0, paths = "file",
        command = "cat ^pathsFile >>{box}/list; test -e {box}/works",
    }}"""
    with Daemon(box, lua=lua, environment={"TMPDIR": str(box / "tmp")}) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").mkdir()
        wait_until(lambda: text_of(box / "list").startswith("new/\0" * 2), "a second try")
        (box / "works").touch()
        daemon.wait_for("Finished a list after exitcode: 0")
    assert os.listdir(box / "tmp") == []


def test_wrong_keys_name_file_and_line(box: Path) -> None:
    with Daemon(box, toml=TOML.format(box=box)) as daemon:
        assert daemon.wait() == 255
    assert 'config.toml:2: default.command needs "command" configured' in daemon.said()

    lua = f'\nsync {{ default.command, source = "{box}/source", command = "true", events = {{ made = "x" }} }}'
    with Daemon(box, lua=lua) as daemon:
        assert daemon.wait() == 255
    assert 'config.lua:2: Parameter "events.made" unknown.' in daemon.said()
