"""default.command: what is run for which change, with real processes and names that lead programs astray (spec 4.5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_command.action import Command
from tests.kit.inlet import FakeInlet
from tests.kit.trees import HOSTILE, Pair

if TYPE_CHECKING:
    from pathlib import Path

KEEP = ["sh", "-c", 'cat >"$0"']


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def inlet_of(pair: Pair, **config: Any) -> FakeInlet:
    return FakeInlet(Command(), pair.config(**config), source=pair.source)


def batch(pair: Pair, names: list[bytes], **config: Any) -> FakeInlet:
    """A batch of new files, run to its end."""
    inlet = inlet_of(pair, **config)
    for name in names:
        inlet.change("Create", b"/" + name)
    inlet.settle()
    return inlet


def content(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_a_batch_comes_on_stdin(pair: Pair) -> None:
    inlet = batch(pair, list(HOSTILE), command=[*KEEP, "^target/list"])
    (spawn,) = inlet.spawned
    assert spawn.argv == [b"sh", b"-c", b'cat >"$0"', pair.target + b"/list"]
    assert content(pair.target + b"list") == b"".join(name + b"\0" for name in HOSTILE)
    assert inlet.waiting == []
    assert inlet.lines("Normal")[0].startswith(f"Batch of {len(HOSTILE)} spawns action ")


def test_a_batch_comes_as_arguments(pair: Pair) -> None:
    script = 'out=$1; shift; for one; do printf "%s\\0" "$one"; done >"$out"'
    command = ["sh", "-c", script, "sh", "^target/list", "^paths", "last"]
    batch(pair, list(HOSTILE), command=command, paths="arguments", each="^sourcePathname")
    wanted = [*(pair.source + b"/" + name for name in HOSTILE), b"last"]
    assert content(pair.target + b"list") == b"".join(one + b"\0" for one in wanted)


def test_without_a_word_for_them_they_stand_at_the_end(pair: Pair) -> None:
    inlet = batch(pair, [b"-rf", b"b"], command=["true", "--"], paths="arguments")
    assert inlet.spawned[0].argv == [b"true", b"--", b"-rf", b"b"]


def test_more_than_the_kernel_takes_goes_in_several_runs(pair: Pair) -> None:
    names = [b"%06d" % number + b"x" * 200 for number in range(12000)]
    script = 'for one; do printf "%s\\n" "$one"; done >>"$0"'
    inlet = batch(pair, names, command=["sh", "-c", script, "^target/list", "^paths"], paths="arguments")
    assert 2 <= len(inlet.spawned) <= 4
    assert content(pair.target + b"list").splitlines() == names
    assert inlet.waiting == []


def test_a_batch_comes_in_a_file(pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = ["sh", "-c", 'stat -c %a "$1" >"$0.mode"; cat "$1" >"$0"', "^target/list", "^pathsFile"]
    inlet = batch(pair, list(HOSTILE), command=command, paths="file")
    assert content(pair.target + b"list") == b"".join(name + b"\0" for name in HOSTILE)
    assert content(pair.target + b"list.mode") == b"600\n"
    assert not os.path.exists(inlet.spawned[0].argv[-1])
    assert sorted(os.listdir(tmp_path)) == ["src", "trg"]


def test_line_by_line_a_name_with_a_newline_is_left_out_and_told(pair: Pair) -> None:
    inlet = batch(pair, [b"a\nb", b"c"], command=[*KEEP, "^target/list"], separator="newline")
    assert content(pair.target + b"list") == b"c\n"
    assert inlet.lines("Warn") == ["Sync1: a name with a newline cannot be listed line by line, and is left out: a\nb"]
    inlet.change("Create", b"/d\ne")
    inlet.settle()
    assert len(inlet.spawned) == 1
    assert inlet.waiting == []


def test_each_change_may_be_told_in_other_words(pair: Pair) -> None:
    inlet = inlet_of(pair, command=[*KEEP, "^target/list"], each="^etype ^path ^pathdir", separator="newline")
    inlet.change("Create", b"/d/")
    inlet.change("Modify", b"/e/f")
    inlet.change("Delete", b"/g")
    inlet.settle()
    assert content(pair.target + b"list") == b"Create d/ \nModify e/f e/\nDelete g \n"


def test_a_shell_string_gets_values_never_text(pair: Pair) -> None:
    name = b"$(touch x)`touch x`'\";touch x;#"
    inlet = inlet_of(pair, per="event", command="printf %s ^path >^target/out; printf %s ^etype >>^target/out")
    inlet.change("Create", b"/" + name)
    inlet.settle()
    assert content(pair.target + b"out") == name + b"Create"
    assert not os.path.exists("x")


def test_one_run_for_each_event(pair: Pair) -> None:
    inlet = inlet_of(
        pair,
        per="event",
        command=["cp", "--", "^sourcePathname", "^targetPathname"],
        events={"delete": ["rm", "--", "^targetPathname"], "attrib": False},
    )
    for name in HOSTILE:
        pair.both(b"gone" + name)
        os.unlink(pair.source + b"gone" + name)
        inlet.change("Delete", b"/gone" + name)
        with open(pair.source + name, "wb") as file:
            file.write(name)
        inlet.change("Create", b"/" + name)
    inlet.change("Attrib", b"/other")
    inlet.settle()
    assert {name: content(pair.target + name) for name in os.listdir(pair.target)} == {name: name for name in HOSTILE}
    assert len(inlet.spawned) == 2 * len(HOSTILE)
    assert inlet.waiting == []


def test_moves_come_as_such_where_there_is_a_command_for_them(pair: Pair) -> None:
    inlet = inlet_of(pair, per="event", events={"move": ["mv", "-T", "--", "^o.targetPathname", "^d.targetPathname"]})
    pair.both(b"a")
    inlet.change("Move", b"/a", b"/b")
    inlet.change("Modify", b"/c")
    inlet.settle()
    assert os.listdir(pair.target) == [b"b"]
    assert [spawn.argv[0] for spawn in inlet.spawned] == [b"mv"]

    inlet = inlet_of(pair, per="event", command=["true", "^etype"])
    inlet.change("Move", b"/a", b"/b")
    inlet.settle()
    assert sorted(spawn.argv[1] for spawn in inlet.spawned) == [b"Create", b"Delete"]


def test_startup_and_full_runs(pair: Pair) -> None:
    inlet = inlet_of(pair, command=["true"], startupCommand=["cp", "-a", "^source.", "^target"], name="mine")
    pair.both(b"d/f")
    os.unlink(pair.target + b"d/f")
    inlet.startup()
    inlet.settle()
    assert content(pair.target + b"d/f") == b"data"
    inlet.full_event()
    inlet.settle()
    assert [spawn.argv[0] for spawn in inlet.spawned] == [b"cp", b"cp"]

    inlet = inlet_of(pair, command=["true"], startupCommand="true", fullCommand="/bin/echo ^name ^source")
    inlet.full_event()
    inlet.settle()
    assert inlet.spawned[0].argv == [b"/bin/echo", b"Sync1", pair.source]


def test_without_a_command_for_it_the_startup_does_nothing(pair: Pair) -> None:
    inlet = inlet_of(pair, command=["true"])
    inlet.startup()
    inlet.full_event()
    inlet.settle()
    assert inlet.spawned == []
    assert inlet.waiting == []
    (line,) = inlet.lines("Warn")
    assert "there is no fullCommand and no startupCommand" in line


def test_exit_codes(pair: Pair) -> None:
    inlet = inlet_of(pair, command=["true"], exitcodes={5: "ok", 6: "again"})
    inlet.change("Create", b"/f")
    inlet.turn()
    assert inlet.end(inlet.spawned[0], 6) == "again"
    inlet.advance(1.0)
    inlet.turn()
    assert inlet.end(inlet.spawned[1], 5) == "ok"
    assert inlet.waiting == []


def test_without_a_table_what_fails_is_tried_again(pair: Pair) -> None:
    inlet = inlet_of(pair, command=["false"])
    inlet.change("Create", b"/f")
    inlet.turn()
    assert inlet.execute(inlet.spawned[0]) == "again"
    assert inlet.waiting == [("Create", b"/f")]


WRONG = {
    "nothing": ({}, 'default.command needs "command" configured'),
    "nothing per event": ({"per": "event"}, 'default.command needs "command" configured, or "events"'),
    "empty": ({"command": []}, '"command" must be a string, or a list of strings, and not empty'),
    "blank": ({"command": " "}, '"command" must be a string, or a list of strings, and not empty'),
    "list in a list": ({"command": [["x"]]}, '"command" must be a string, or a list of strings, and not empty'),
    "per": ({"command": ["x"], "per": "file"}, '"per" must be "batch" or "event", not "file"'),
    "paths": ({"command": ["x"], "paths": "x"}, '"paths" must be "stdin" or "arguments" or "file", not "x"'),
    "separator": ({"command": ["x"], "separator": ";"}, '"separator" must be "nul" or "newline", not ";"'),
    "no file": ({"command": ["x"], "paths": "file"}, 'paths = "file" needs ^pathsFile in the command'),
    "a file": ({"command": ["x", "^pathsFile"]}, '^pathsFile in the command needs paths = "file"'),
    "no arguments": ({"command": ["x", "^paths"]}, '^paths in the command needs paths = "arguments"'),
    "part": ({"command": ["x", "a^paths"], "paths": "arguments"}, "^paths must stand alone"),
    "shell": ({"command": "x", "paths": "arguments"}, 'paths = "arguments" needs a list'),
    "events": ({"command": ["x"], "events": {"create": ["x"]}}, '"events" needs per = "event"'),
    "event": ({"per": "event", "events": {"create": []}}, '"events.create" must be a string, or a list'),
    "each": ({"command": ["x"], "each": 3}, '"each" must be a string'),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(pair: Pair, case: str) -> None:
    config, message = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        inlet_of(pair, **config)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
