"""What a user has done around each batch: onBatchStart and onBatchEnd, as functions and as commands."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.trees import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

START = 'echo "start ^count ^name ^source ^target" >>{box}/notes; cat ^pathsFile >>{box}/paths; ls ^pathsFile'
END = 'echo "end ^count ^name ^exitcode ^verdict ^seconds" >>{box}/notes; cat ^pathsFile >>{box}/paths.end'


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "tmp").mkdir()
    return tmp_path


def start(box: Path, sync: str, *, ending: str = "lua") -> Daemon:
    """A daemon whose temporary files go into the box."""
    text = sync.replace("{box}", str(box))
    environment = {"TMPDIR": str(box / "tmp")}
    if ending == "toml":
        return Daemon(box, toml=text, environment=environment)
    return Daemon(box, lua=text, environment=environment)


def notes(box: Path) -> list[str]:
    return (box / "notes").read_text().splitlines() if (box / "notes").exists() else []


def rsync(*more: str) -> str:
    keys = ", ".join(more)
    return f'sync {{ default.rsync, source = "{{box}}/source", target = "{{box}}/target", delay = 0.2, {keys} }}'


def test_commands_around_the_startup_and_a_batch_of_hostile_names(box: Path) -> None:
    program("rsync")
    names = [name for name in HOSTILE if b"/" not in name]
    with start(box, rsync(f"onBatchStart = [[{START}]]", f"onBatchEnd = [[{END}]]")) as daemon:
        wait_until(lambda: len(notes(box)) == 2, "the startup's hooks")
        for name in names:
            (box / "source" / os.fsdecode(name)).write_text("x")
        wait_until(lambda: set(os.listdir(bytes(box / "target"))) == set(names), "all to arrive")
        wait_until(lambda: notes(box)[-1].startswith("end") and len(notes(box)) % 2 == 0, "the batch's hooks")
        daemon.wait_for("onBatchEnd of Sync1 spawns shell")
    first, second, *batches = notes(box)
    assert first == f"start 0 Sync1 {box}/source/ {box}/target/"
    assert re.fullmatch(r"end 0 Sync1 0 ok \d+\.\d+", second)
    assert [line.split()[0] for line in batches] == ["start", "end"] * (len(batches) // 2)
    for listed in ("paths", "paths.end"):
        paths = (box / listed).read_bytes()
        assert paths.endswith(b"\0")
        assert {path[1:] for path in paths[:-1].split(b"\0")} == set(names)
    assert os.listdir(box / "tmp") == []
    assert {"notes", "paths", "paths.end"} == set(os.listdir(box)) - {
        "config.lua",
        "console",
        "source",
        "target",
        "tmp",
    }


def test_the_list_is_for_nobody_else(box: Path) -> None:
    with start(box, rsync("onBatchStart = [[stat -c %a ^pathsFile >{box}/notes]]")):
        wait_until(lambda: notes(box) == ["600"], "the list to be looked at")


def test_functions(box: Path) -> None:
    lua = """
    sync {
        default.native, source = "{box}/source", target = "{box}/target", delay = 0.2,
        onBatchStart = function( paths, agent )
            log( "Normal", "S ", #paths, " ", agent.isList, " ", agent.config.name, " ", table.concat( paths, "," ) )
        end,
        onBatchEnd = function( paths, exitcode, seconds, verdict )
            log( "Normal", "E ", #paths, " ", exitcode, " ", seconds >= 0 and seconds < 10, " ", verdict )
        end,
        name = "mine",
    }
    """
    with start(box, lua) as daemon:
        daemon.wait_for("Normal: S 0 (false) mine \n")
        daemon.wait_for("Normal: E 0 0 (true) ok\n")
        (box / "source" / "new").write_text("x")
        daemon.wait_for("Normal: S 1 (true) mine /new\n")
        daemon.wait_for("Normal: E 1 0 (true) ok\n")
    assert (box / "target" / "new").exists()


def test_a_function_that_fails_ends_the_daemon_as_any_of_the_users(box: Path) -> None:
    with start(box, rsync('onBatchEnd = function() error( "no luck" ) end')) as daemon:
        assert daemon.wait() == 255
    assert "config.lua:1: no luck\n" in daemon.said()


LAYERS = {
    "layer 1": """
        init = false,
        action = function( inlet ) spawn( inlet.getEvents(), "touch", "{box}/target/new" ) end,
    """,
    "layer 2": """
        onCreate = function( event ) spawn( event, "touch", event.targetPathname ) end,
    """,
    "layer 3": """
        onCreate = "touch ^targetPathname",
    """,
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", ["command", "function"])
def test_other_layers_wait_too(box: Path, layer: str, kind: str) -> None:
    """A batch that may not start is not forgotten, whatever layer the config is written for."""
    condition = {
        "command": "onBatchStart = [[echo asked >>{box}/notes; test -e {box}/works]]",
        "function": """onBatchStart = function( paths )
            os.execute( "echo asked >>{box}/notes" )
            local file = io.open( "{box}/works" )
            if not file then return false end
            file:close()
        end""",
    }[kind]
    lua = f"""sync {{ source = "{{box}}/source", target = "{{box}}/target", delay = 0, {LAYERS[layer]}
        {condition}, onBatchEnd = [[echo ^exitcode >>{{box}}/notes]] }}"""
    with start(box, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").write_text("x")
        wait_until(lambda: notes(box).count("asked") >= 2, "a second try")
        assert not (box / "target" / "new").exists()
        assert "0" not in notes(box)
        (box / "works").touch()
        wait_until(lambda: (box / "target" / "new").exists(), "the transfer")
        wait_until(lambda: notes(box)[-1] == "0", "the end to be told")
    if kind == "command":
        assert "Warn: onBatchStart of Sync1 ended with 1: the batch waits and is tried again.\n" in daemon.said(), (
            daemon.said()
        )


def test_a_startup_waits_too(box: Path) -> None:
    """Without `insist`: it is no failure of the transfer."""
    (box / "source" / "before").write_text("x")
    with start(box, rsync("onBatchStart = [[test -e {box}/works]]")) as daemon:
        daemon.wait_for("onBatchStart of Sync1 ended with 1")
        assert not (box / "target" / "before").exists()
        (box / "works").touch()
        wait_until(lambda: (box / "target" / "before").exists(), "the startup")
        daemon.wait_for("finished.")


def test_a_slow_command_holds_up_nothing_but_its_sync(box: Path) -> None:
    (box / "other").mkdir()
    lua = (
        rsync("onBatchStart = [[while test -e {box}/slow; do sleep 0.05; done]]")
        + """
    sync { default.rsync, source = "{box}/source", target = "{box}/other", delay = 0 }
    """
    )
    (box / "slow").touch()
    with start(box, lua) as daemon:
        daemon.wait_for("finished.")
        (box / "source" / "new").write_text("x")
        wait_until(lambda: (box / "other" / "new").exists(), "the other sync's transfer")
        assert not (box / "target" / "new").exists()
        (box / "slow").unlink()
        wait_until(lambda: (box / "target" / "new").exists(), "the transfer")


def test_both_are_waited_for_at_the_end(box: Path) -> None:
    """What began before TERM ends with its onBatchEnd."""
    lua = """sync { source = "{box}/source", delay = 0,
        onCreate = "while ! test -e {box}/go; do sleep 0.05; done",
        onBatchEnd = "sleep 0.3; echo done >{box}/notes" }"""
    with start(box, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").write_text("x")
        daemon.wait_for("Event Create spawns")
        daemon.process.terminate()
        daemon.wait_for("waiting for 1 more child processes.")
        (box / "go").touch()
        assert daemon.wait() == 128 + 15
    assert notes(box) == ["done"]


def test_a_batch_that_only_got_ready_before_the_end_does_not_start(box: Path) -> None:
    lua = """sync { source = "{box}/source", delay = 0, onCreate = "touch {box}/target/new",
        onBatchStart = "while ! test -e {box}/go; do sleep 0.05; done" }"""
    with start(box, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").write_text("x")
        daemon.wait_for("onBatchStart of Sync1 spawns")
        daemon.process.terminate()
        daemon.wait_for("waiting for 1 more child processes.")
        (box / "go").touch()
        assert daemon.wait() == 128 + 15
    assert not (box / "target" / "new").exists()


def test_onepass_waits_for_them(box: Path) -> None:
    with start(
        box, "settings { onepass = true } " + rsync("onBatchEnd = [[sleep 0.3; echo done >{box}/notes]]")
    ) as daemon:
        assert daemon.wait() == 0
    assert notes(box) == ["done"]


def test_a_failing_end_is_only_told(box: Path) -> None:
    (box / "source" / "before").write_text("x")
    with start(box, rsync("onBatchEnd = 'exit 3'")) as daemon:
        daemon.wait_for("Warn: onBatchEnd of Sync1 ended with 3.")
        (box / "source" / "new").write_text("x")
        wait_until(lambda: (box / "target" / "new").exists(), "the next transfer")
        daemon.wait_for("Warn: onBatchEnd of Sync1 ended with 3.", times=2)


def test_it_tells_of_failures(box: Path) -> None:
    lua = """sync { source = "{box}/source", delay = 0, onCreate = "exit 4", exitcodes = { [4] = "again" },
        onBatchEnd = "echo ^exitcode ^verdict >>{box}/notes" }"""
    with start(box, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").write_text("x")
        wait_until(lambda: notes(box)[:2] == ["4 again"] * 2, "two failures")


def test_toml(box: Path) -> None:
    toml = f"""
[[sync]]
action = "rsync"
source = "{{box}}/source"
target = "{{box}}/target"
delay = 0.2
onBatchStart = '{START}'
onBatchEnd = '{END}'

[[sync]]
source = "{{box}}/source"
onCreate = "true"
name = "other"
onBatchEnd = "/bin/sh {{box}}/script ^name ^pathsFile"
"""
    (box / "script").write_text(f'tr "\\0" "\\n" <"$2" >"{box}/$1"')
    with start(box, toml, ending="toml") as daemon:
        wait_until(lambda: len(notes(box)) == 2, "the startup's hooks")
        daemon.wait_for_watches(1)
        (box / "source" / "it's new").write_text("x")
        wait_until(lambda: (box / "other").exists() and (box / "other").read_text() == "/it's new\n", "a layer 3 batch")
        wait_until(lambda: len(notes(box)) == 4, "the batch's hooks")
    assert (box / "paths").read_bytes() == b"/it's new\0"


@pytest.mark.parametrize("value", ["3", "{ 'x' }", "true"])
def test_a_wrong_type_names_the_line(box: Path, value: str) -> None:
    with start(box, f"\n{rsync(f'onBatchStart = {value}')}") as daemon:
        assert daemon.wait() == 255
    assert "config.lua:2: onBatchStart must be a function or a string, a command, not a " in daemon.said()


def test_no_list_is_left_of_what_fails(box: Path) -> None:
    with start(box, rsync("onBatchStart = [[cat ^pathsFile; exit 1]]")) as daemon:
        daemon.wait_for("onBatchStart of Sync1 ended with 1", times=2)
    assert os.listdir(box / "tmp") == []


@pytest.mark.parametrize("layer", [*LAYERS, "layer 4"])
def test_a_list_that_cannot_be_written_is_told_and_the_batch_waits(box: Path, layer: str) -> None:
    keys = LAYERS.get(layer, "default.rsync, init = false,")
    lua = f"""sync {{ {keys} source = "{{box}}/source", target = "{{box}}/target", delay = 0,
        onBatchStart = [[cat ^pathsFile >>{{box}}/paths]] }}"""
    with start(box, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "first").write_text("x")
        wait_until(lambda: (box / "paths").exists() and not os.listdir(box / "tmp"), "the first batch")
        (box / "tmp").rename(box / "tmp was")  # another batch of the file may have its list there by now
        (box / "source" / "new").write_text("x")
        daemon.wait_for("Warn: onBatchStart of Sync1 has no list of paths (No such file or directory): the batch waits")
        assert b"/new" not in (box / "paths").read_bytes()
        (box / "tmp").mkdir()
        wait_until(lambda: b"/new\0" in (box / "paths").read_bytes(), "the batch")


def test_a_batch_of_which_a_part_did_not_arrive(box: Path) -> None:
    program("rsync")
    (box / "target" / "f" / "in the way").mkdir(parents=True)
    with start(box, rsync(f"onBatchEnd = [[{END}]], delete = false")) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "f").write_text("x")
        wait_until(lambda: any(line.startswith("end 1 Sync1 23 partial") for line in notes(box)), "the verdict")
        (box / "target" / "f" / "in the way").rmdir()
        wait_until(lambda: notes(box)[-1].startswith("end 1 Sync1 0 ok"), "the next try to go well")
