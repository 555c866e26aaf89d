"""Whose line it is (setting `logSync`), and what has too long a path to be watched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.logic.filters import Filters
from orchestrator.logic.roots import RootIndex
from orchestrator.runner import LONGEST_PATH, _Wanted
from orchestrator.sync.host import Host, RunOptions
from orchestrator.sync.toodeep import TooDeep


@pytest.mark.parametrize(("is_set", "prefix"), [(True, "[one] "), (False, "")])
def test_a_line_of_a_sync_begins_with_its_name_where_that_is_set(is_set: bool, prefix: str) -> None:
    said: list[str] = []
    nothing: Any = None
    host = Host(nothing, lambda category, *parts: said.append("".join(parts)), nothing, nothing)  # type: ignore[arg-type]
    log = host.log_of("one")
    host.run.begin(RunOptions(log_sync=is_set))  # the setting may stand behind the sync in the config
    log("Normal", "text")
    assert said == [f"{prefix}text"]


def test_what_no_program_can_be_given_is_not_wanted_and_that_is_said_once() -> None:
    said: list[str] = []
    sync: Any = SimpleNamespace(source=b"/src/", filters=Filters())
    too_deep = TooDeep(lambda category, *parts: said.append(category))  # type: ignore[arg-type]
    wanted = _Wanted(RootIndex([(b"/src/", sync)]), too_deep)
    longest = b"/src/" + b"d" * (LONGEST_PATH - 6) + b"/"
    assert len(longest) == LONGEST_PATH
    assert wanted(longest)
    assert said == []
    assert not wanted(longest + b"e/")
    assert not wanted(longest + b"f/")
    assert said == ["Warn"]
    assert wanted.all_in(b"/src/")
    assert not wanted.all_in(longest)
