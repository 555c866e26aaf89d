"""The scripts that complete orchestrator's line, in the shells that they are for."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
from orchestrator.control.subcommands import SUBCOMMANDS
from tests.kit.daemon import ROOT
from tests.kit.need import program

if TYPE_CHECKING:
    from pathlib import Path

SOURCED = {
    "bash": "bash-completion/orchestrator",
    "zsh": "zsh-completion/_orchestrator",
    "fish": "fish-completion/orchestrator.fish",
}

BASH = 'source {0}; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _orchestrator; printf "%s\\n" "${{COMPREPLY[@]}}"'
# zsh's own functions show what they would offer
ZSH = """compdef() {{ : }}; source {0}
_describe() {{ print -l -- ${{(P)2%%:*}} }}; _arguments() {{ print -l -- "$@" }}
words=("$@") CURRENT=$#; _orchestrator"""
FISH = 'source {0}; complete -C "$argv"'


def offered(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The words, or for zsh the options with their descriptions, that a shell offers for the last of these."""
    binary = program(shell)
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "a file").touch()
    text = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(script)
    options = {"bash": ["--noprofile", "--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    name = [] if shell == "fish" else [shell]
    done = subprocess.run(
        [binary, *options, "-c", text, *name, *words],
        capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.split("\t")[0].split("[")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", SOURCED)
def test_subcommands_and_their_options(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {*SUBCOMMANDS} <= {*offered(shell, tmp_path, capsys, "orchestrator", "")}
    assert {"--json", "--watch", "--pid"} <= {*offered(shell, tmp_path, capsys, "orchestrator", "status", "--")}
    assert "--watch" not in offered(shell, tmp_path, capsys, "orchestrator", "check", "--")


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_files_and_choices(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a file" in [
        name.replace("\\ ", " ") for name in offered(shell, tmp_path, capsys, "orchestrator", "check", "a")
    ]
    assert "a file" not in offered(shell, tmp_path, capsys, "orchestrator", "status", "a")
    assert offered(shell, tmp_path, capsys, "orchestrator", "completion", "z") == ["zsh"]


@pytest.mark.parametrize("shell", SOURCED)
def test_the_files_of_contrib_load_it(shell: str) -> None:
    assert f"orchestrator completion {shell}" in (ROOT / "contrib" / SOURCED[shell]).read_text()
