"""Suggestions for unknown keys, for `orchestrator check`.

The error message itself is lsyncd's, to the letter, and considers one action; here all installed actions are searched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.model import Option
from orchestrator.config.settings import SETTINGS
from orchestrator.config.types import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.config.model import Options


def hint(message: str, actions: Mapping[str, Options]) -> str:
    """A suggestion for the unknown key that an error message names; empty where it names none, or none is close."""
    unknown = re.search(r'(Parameter|setting) "([^"]+)" unknown', message)
    if unknown is None:
        return ""
    if unknown[1] == "setting":
        return _setting(unknown[2])
    return _parameter(unknown[2], actions)


def _setting(key: str) -> str:
    close = nearest(key, SETTINGS)
    if close is not None:
        return f'Did you mean "{close}"?'
    return f'"{key}" is a key of a sync, not a setting.' if key in SYNC_KEYS else ""


def _parameter(path: str, actions: Mapping[str, Options]) -> str:
    owners: dict[str, list[str]] = {}  # the full path of each key → the actions that have it
    for name, options in actions.items():
        for known in _paths(options):
            owners.setdefault(known, []).append(f"default.{name}")
    above, _, key = path.rpartition(".")
    if path in owners:
        return f'"{path}" is a key of {" and ".join(sorted(owners[path]))} only.'
    elsewhere = [known for known in (*owners, *SYNC_KEYS) if known.rpartition(".")[2] == key]
    if elsewhere:
        return _place_of(key, min(elsewhere, key=len), above)
    if not above and key in SETTINGS:
        return f'"{key}" is a setting: it belongs into settings {{…}}.'
    beside = {known.rpartition(".")[2] for known in (*owners, *SYNC_KEYS) if known.rpartition(".")[0] == above}
    close = nearest(key, sorted(beside))
    return f'Did you mean "{close}"?' if close is not None else ""


def _place_of(key: str, known: str, above: str) -> str:
    table = known.rpartition(".")[0]
    if table:
        return f'"{key}" belongs into {table} = {{ … }}.'
    return f'"{key}" belongs into the sync itself, beside {above} = {{ … }}.'


def _paths(options: Options, above: str = "") -> Iterator[str]:
    for key, option in options.items():
        yield above + key
        if not isinstance(option, Option):
            yield from _paths(option, f"{above}{key}.")
