"""`orchestrator top` where it cannot be shown: one line, and the exit status."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("missing", ["textual", "rich"])
def test_without_its_library(missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "orchestrator.control.top.app", raising=False)
    assert main(["top"]) == 2
    error = "Error: top needs textual, which is not installed: pip install 'lsyncd-orchestrator[tui]'\n"
    assert capsys.readouterr() == ("", error)


def test_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--socket", f"{tmp_path}/none"]) == 3
    assert capsys.readouterr().err.startswith(f"Error: no daemon answers at {tmp_path}/none: ")


def test_nothing_of_it_is_loaded_for_other_subcommands() -> None:
    code = "import sys; from orchestrator.control import main; main(['plugins']); print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
