"""What `orchestrator check` says of a key that nobody knows."""

from __future__ import annotations

import pytest

from orchestrator.config.hints import hint
from orchestrator.plugins import make_manager

ACTIONS = {name: action.options for name, action in make_manager().actions().items()}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("host", '"host" is a key of default.rsyncssh only.'),
        ("rsync.ssh", '"ssh" belongs into the sync itself, beside rsync = { … }.'),
        ("ssh.rsync", '"rsync" belongs into the sync itself, beside ssh = { … }.'),
        ("rsync.delay", '"delay" belongs into the sync itself, beside rsync = { … }.'),
        ("archive", '"archive" belongs into rsync = { … }.'),
        ("identityFile", '"identityFile" belongs into ssh = { … }.'),
        ("statusInterval", '"statusInterval" is a setting: it belongs into settings {…}.'),
        ("excludeForm", 'Did you mean "excludeFrom"?'),
        ("rsync.archiv", 'Did you mean "archive"?'),
        ("ssh.prot", 'Did you mean "port"?'),
        ("quite.another", ""),
        ("1", ""),
    ],
)
def test_a_parameter(key: str, words: str) -> None:
    message = f'c.lua:1: Parameter "{key}" unknown. ( if this is not a typo add it to checkgauge )'
    assert hint(message, ACTIONS) == words


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("inist", 'Did you mean "insist"?'),
        ("target", '"target" is a key of a sync, not a setting.'),
        ("nothing like it", ""),
    ],
)
def test_a_setting(key: str, words: str) -> None:
    assert hint(f'c.lua:1: setting "{key}" unknown.', ACTIONS) == words


@pytest.mark.parametrize("path", [*sorted({key for options in ACTIONS.values() for key in options})])
def test_a_key_is_never_taken_for_itself(path: str) -> None:
    for key in (path, f"rsync.{path}", f"ssh.{path}"):
        assert "Did you mean" not in hint(f'Parameter "{path}" unknown', ACTIONS)
        assert f'mean "{path}"' not in hint(f'Parameter "{key}" unknown', ACTIONS)


def test_no_other_error_gets_one() -> None:
    assert hint("source missing from sync.", ACTIONS) == ""
