"""Words for rsync that destroy or lose something are refused when the config is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_direct.action import Direct
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.words import Word, options_of
from orchestrator_rsyncssh.action import RsyncSsh
from tests.kit.inlet import FakeInlet

if TYPE_CHECKING:
    from pathlib import Path

REFUSED: dict[str, list[str]] = {
    "--delete-excluded": ["--delete-excluded"],
    "--relative": ["--numeric-ids", "--relative"],
    "-R": ["-R"],
    "-vR": ["-vR"],
    "--files-from=/x": ["--files-from=/x"],
    "--files-from /x": ["--files-from", "/x"],
    "-0": ["-0"],
    "--": ["--"],
    "--remove-source-files": ["--remove-source-files"],
    "--remove-sent-files": ["--remove-sent-files"],
    "--exclude-from=-": ["--exclude-from=-"],
    "--filter=. -": ["--filter=. -"],
    "-f merge -": ["-f", "merge -"],
    "--filter=R *": ["--filter=R *"],
    "-frisk,s *": ["-frisk,s *"],
    "-M--relative": ["-M--relative"],
    "--remote-option=--delete-excluded": ["--remote-option=--delete-excluded"],
    "--list-only": ["--list-only"],
}


def loaded(action: Any, config: dict[str, Any]) -> FakeInlet:
    more = {"host": "h", "targetdir": "/trg"} if isinstance(action, RsyncSsh) else {"target": "/trg"}
    return FakeInlet(action, {**more, **config})


@pytest.mark.parametrize("written", REFUSED)
@pytest.mark.parametrize("action", [Rsync(), RsyncSsh(), Direct()], ids=["rsync", "rsyncssh", "direct"])
def test_a_word_that_destroys_is_refused_with_the_reason(action: Any, written: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(action, {"rsync": {"_extra": REFUSED[written]}})
    if written.startswith(("-M", "--remote")):
        written = written.removeprefix("-M").removeprefix("--remote-option=")
    lead, _, reason = str(refused.value).partition(" cannot be used: ")
    assert lead == f'rsync._extra: "{written}"'
    assert len(reason) > 20


def test_what_runs_on_the_other_side_is_looked_at_too() -> None:
    loaded(Rsync(), {"rsync": {"rsync_path": "sudo rsync --fake-super"}})
    with pytest.raises(ConfigError, match=r'rsync\.rsync_path: "-R"'):
        loaded(Rsync(), {"rsync": {"rsync_path": "sudo rsync -R"}})


@pytest.mark.parametrize("word", ["--remove-source-files", "--delete-missing-args"])
def test_what_is_harmless_without_deletions_may_be(word: str) -> None:
    loaded(Rsync(), {"delete": False, "rsync": {"_extra": [word]}})
    for delete in (True, "startup", "running"):
        with pytest.raises(ConfigError, match="delete = false"):
            loaded(Rsync(), {"delete": delete, "rsync": {"_extra": [word]}})


@pytest.mark.parametrize(
    "words",
    [
        ["--exclude", "-R"],
        ["--exclude=-R"],
        ["-e", "ssh -p 2222 -R"],
        ["-essh -R"],
        ["--no-relative", "--no-R"],
        ["--numeric-ids", "--partial-dir=.p", "-h", "--del", "--delay-updates"],
        ["--info=R", "--filter=- *.tmp", "--filter=P *.db", "--filter", "merge /etc/rules"],
        ["--exclude-from=/etc/list", "--password-file=/etc/pw"],
        ["--rsync-path", "sudo rsync"],
    ],
    ids=str,
)
def test_words_that_look_like_it_or_do_no_harm_are_not(words: list[str]) -> None:
    assert loaded(Rsync(), {"rsync": {"_extra": words}}).config.get("rsync").get("_computed").list()[1:] == words


def test_the_users_aliases_are_seen_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".popt").write_text(
        "# mine\nother alias -t -R\nrsync alias --tree --relative\nrsync alias -t --times -R\n"
    )
    with pytest.raises(ConfigError, match=r'\.popt:4: "-R" cannot be used'):
        loaded(Rsync(), {})
    loaded(Rsync(), {"rsync": {"times": False}})
    with pytest.raises(ConfigError, match=r'\.popt:3: "--relative" cannot be used'):
        loaded(Rsync(), {"rsync": {"times": False, "_extra": ["--tree"]}})


def test_options_are_read_as_rsync_reads_them() -> None:
    words = ["-avR", "--exclude", "-R", "-e", "ssh -R", "-B512", "-T=/tmp", "--port=1", "name", "--", "-R"]
    assert [(word.name, word.value) for word in options_of(words)] == [
        ("archive", None),
        ("verbose", None),
        ("relative", None),
        ("exclude", "-R"),
        ("rsh", "ssh -R"),
        ("block-size", "512"),
        ("temp-dir", "/tmp"),
        ("port", "1"),
        ("", None),
    ]
    assert list(options_of(["--suffix"])) == [Word("suffix", "", "--suffix ")]
