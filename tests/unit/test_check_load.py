"""`orchestrator check --load`, with which a service finds out whether the daemon would start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main

if TYPE_CHECKING:
    from pathlib import Path

SYNC = 'sync{{ default.rsync, source = "{box}/src", target = "{box}/trg" }}'

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
