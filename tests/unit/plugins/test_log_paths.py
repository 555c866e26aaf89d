"""How many of a batch's paths the log lists: all, or with `logPaths = "short"` ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.config.settings import make_settings
from orchestrator.errors import ConfigError
from orchestrator.sync.host import RunOptions
from orchestrator_native.action import Native
from orchestrator_rsync.action import Rsync
from orchestrator_rsyncssh.action import RsyncSsh
from tests.kit.inlet import FakeInlet
from tests.kit.trees import Pair, write

if TYPE_CHECKING:
    from pathlib import Path

RSYNC = "Calling rsync with filter-list of new/modified files/dirs"
NATIVE = "Calling native with list of new/modified files/dirs"


def lines_of(action: Any, config: dict[str, Any], paths: list[bytes], source: bytes, *, is_short: bool) -> list[str]:
    """Of the message that announces these changes."""
    inlet = FakeInlet(action, config, source=source)
    inlet.sync.host.run.begin(RunOptions(has_short_lists=is_short))
    for path in paths:
        write(source + path[1:])
        inlet.change("Create", path)
    inlet.turn()
    # split at newlines as people would, and not within a name
    return inlet.lines("Normal")[-1].replace("a\nb", "a_b").split("\n")


@pytest.mark.parametrize(("count", "left_out"), [(10, 0), (11, 1), (200, 190)])
def test_native(tmp_path: Path, count: int, left_out: int) -> None:
    pair = Pair(tmp_path)
    paths = [b"/f%03d" % number for number in range(count)]
    shown = lines_of(Native(), pair.config(), paths, pair.source, is_short=True)
    more = [f"(and {left_out} more)"] if left_out else []
    assert shown == [NATIVE, *(f"/f{number:03}" for number in range(10)), *more]
    assert len(lines_of(Native(), pair.config(), paths, pair.source, is_short=False)) == count + 1


@pytest.mark.parametrize("listed", [True, False])
def test_rsync(tmp_path: Path, listed: bool) -> None:
    """Its list has the directories that the paths are in as well, and rsync gets all of it."""
    pair = Pair(tmp_path)
    config = pair.config(rsync={"listed": listed})
    paths = [b"/%02d" % number for number in range(20)]
    shown = lines_of(Rsync(), config, paths, pair.source, is_short=True)
    assert len(shown) == 12
    assert shown[0] == RSYNC
    assert shown[-1] == "(and 11 more)"
    assert len(lines_of(Rsync(), config, paths, pair.source, is_short=False)) == 22


def test_a_name_with_a_newline_is_one_path(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    paths = [b"/a\nb%02d" % number for number in range(12)]
    assert lines_of(Rsync(), pair.config(), paths, pair.source, is_short=True)[-1] == "(and 3 more)"


def test_moves_on_the_target(tmp_path: Path) -> None:
    inlet = FakeInlet(RsyncSsh(), {"host": "HOST", "targetdir": "/t"}, source=Pair(tmp_path).source)
    inlet.sync.host.run.begin(RunOptions(has_short_lists=True))
    for number in range(12):
        inlet.change("Move", b"/a%d" % number, b"/b%d" % number)
    inlet.turn()
    inlet.end(inlet.running[0], 81)  # the host says what it can do
    inlet.turn()
    said = inlet.lines("Normal")
    assert said[-11:] == [*(f"Moving a{number} -> b{number}" for number in range(10)), "(and 2 more)"]
    script = inlet.spawned[-1].stdin or b""
    assert b"'a11'" in script


def test_the_setting() -> None:
    assert make_settings({"logPaths": "short"}).log_paths == "short"
    assert make_settings({}).log_paths == "all"
    with pytest.raises(ConfigError, match='setting "logPaths" must be "all" or "short", not "few"'):
        make_settings({"logPaths": "few"})
