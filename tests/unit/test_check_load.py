"""`orchestrator check --load`, with which a service finds out whether the daemon would start."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
from orchestrator.testing.plugins import declare

if TYPE_CHECKING:
    from pathlib import Path

SYNC = 'sync{{ default.rsync, source = "{box}/src", target = "{box}/trg" }}'

CHECK = "from orchestrator.start import orchestrator; orchestrator()"

CASES = {
    # what stands before the sync, status, what is said
    "well": ("", 0, ""),
    "a command's answer is needed": ('local p = io.popen("echo x")\nassert(p:read() == "x")\np:close()', 0, ""),
    "no Lua": ("sync{{ this", 1, "Error: error loading "),
    "no place for the log": ('settings{{ logfile = "{box}/no/log" }}', 1, "logfile"),
    "unknown facility": ('settings{{ logfacility = "nix" }}', 1, "nix"),
}


@pytest.mark.parametrize("case", CASES)
def test_says_whether_the_daemon_would_start(tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    """Nothing is counted: a service must not wait until a big tree has been looked through twice."""
    before, status, words = CASES[case]
    (tmp_path / "src").mkdir()
    (tmp_path / "config.lua").write_text(f"{before}\n{SYNC}".format(box=tmp_path))
    assert main(["check", "--load", str(tmp_path / "config.lua")]) == status
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert words in said
    assert bool(said) is bool(words)


def test_what_a_plugin_logs_through_loguru_is_in_lsyncd_s_form(tmp_path: Path) -> None:
    plugin = "from loguru import logger\nlogger.warning('imported')\nlogger.info('on {}', __name__)\n"
    declare(tmp_path / "plugins", {"loud": plugin})
    (tmp_path / "src").mkdir()
    (tmp_path / "config.lua").write_text(SYNC.format(box=tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", CHECK, "check", "--load", tmp_path / "config.lua"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "plugins")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "Warn: imported\nNormal: on plugin_of_a_test_loud\n"
    assert done.stdout.startswith('Error: plugin "loud" (plugin_of_a_test_loud): has no hook')
