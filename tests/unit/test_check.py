"""`orchestrator check`: what it says of a config, and that nothing of the world changes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import inotify_simple
import pytest

from orchestrator.control import main

if TYPE_CHECKING:
    from pathlib import Path

flags = inotify_simple.flags
CHANGES = (
    flags.CREATE | flags.DELETE | flags.MODIFY | flags.ATTRIB | flags.MOVED_FROM | flags.MOVED_TO | flags.CLOSE_WRITE
)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    (tmp_path / "src/a file").write_text("")
    return tmp_path


def write(box: Path, text: str, name: str = "c.lua") -> str:
    path = box / name
    path.write_text(text.replace("SRC", f"{box}/src").replace("BOX", str(box)))
    return str(path)


WORLDLY = """
os.execute("touch BOX/made1")
local pipe = io.popen("touch BOX/made2; echo name")
local name = pipe:read("*l")
pipe:close()
local ok, how, code = io.popen("touch BOX/made3", "w"):close()
assert(name == nil and ok == true and how == "exit" and code == 0)
for _, mode in ipairs{"w", "a", "w+", "a+", "wb"} do
    local file = assert(io.open("BOX/made4", mode))
    assert(file:write("text"))
    file:close()
end
local file = assert(io.open("BOX/precious", "r+"))
assert(file:read("*a") == "as it was")
file:write("changed")
file:close()
assert(os.remove("BOX/precious"))
assert(os.rename("BOX/precious", "BOX/made5"))
io.open(os.tmpname(), "w"):close()
io.tmpfile():write("x")
io.output("BOX/made6")
io.write("to nobody")
lsyncd.exec("touch", "BOX/made7")
local module = require "worldly"
module.touch("BOX/made8")
local function touch() os.execute("touch BOX/made9") io.open("BOX/made10", "w"):close() end
settings{logfile = "BOX/log", pidfile = "BOX/pid", statusFile = "BOX/status", controlSocket = "BOX/socket"}
alarm(now(), touch)
sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {binary = "true"}, onBatchStart = touch,
     onBatchEnd = touch, prepare = function(config, level) touch() return default.rsync.prepare(config, level) end}
sync{source = "SRC", onStartup = touch, onCreate = touch, onModify = touch}
sync{source = "SRC", init = touch, action = touch}
sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {binary = "true"}, init = touch, action = touch}
sync{default.command, source = "SRC", command = {"true", "^pathsFile"}, paths = "file", startupCommand = "true",
     onBatchStart = "touch BOX/made11 ^pathsFile"}
sync{default.direct, source = "SRC", target = "BOX/trg"}
sync{default.native, source = "SRC", target = "BOX/trg", maxDelete = 3}
sync{source = "SRC", onStartup = "touch BOX/made12", onCreate = "touch BOX/made13", collect = touch}
"""


@pytest.mark.parametrize("version", ["5.1", "5.2", "5.3", "5.4", "jit"])
def test_a_check_starts_no_program_and_changes_no_file(
    box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(box))
    (box / "precious").write_text("as it was")
    (box / "worldly.so").write_text("no library at all")
    path = write(box, f'package.cpath = "BOX/?.so"\n{WORLDLY}')
    with inotify_simple.INotify() as inotify:
        for directory in (box, box / "src", box / "trg"):
            inotify.add_watch(directory, CHANGES)
        before = sorted(box.rglob("*"))
        assert main(["check", "--lua", version, path]) == 0
        assert inotify.read(timeout=0) == []
    assert sorted(box.rglob("*")) == before
    out = capsys.readouterr().out
    for number in (1, 2, 3, 7, 9):
        assert f"would run: touch {box}/made{number}" in out
    assert f"would write: {box}/made4  ({path}:" in out
    assert f"would write: {box}/precious" in out
    assert f"would remove: {box}/precious  ({path}:18)" in out
    assert f"would rename: {box}/precious to {box}/made5" in out
    assert "would load: the module worldly" in out
    assert "would call: worldly.touch()" in out
    line = 2 + WORLDLY.count("\n", 0, WORLDLY.index("local function touch"))
    for handler in ("onBatchStart", "onBatchEnd", "onStartup", "onCreate", "collect", "init", "action"):
        assert f": the function {handler} ({path}:{line}) would be called" in out
    # what is a command, a program of an action's own, is told of as before
    assert f"at startup: touch {box}/made11 {box}/lsyncd-paths-" not in out
    assert f"when a file changes: sh -c 'touch {box}/made13' sh" in out or f"touch {box}/made13" in out


def test_for_real_a_config_does_what_it_does(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        box,
        """os.execute("touch BOX/made1")
        local pipe = io.popen("echo trg")
        local name = pipe:read("*l")
        pipe:close()
        sync{default.rsync, source = "SRC", target = "BOX/" .. name, rsync = {binary = "true"}}
        sync{source = "SRC", onStartup = function() io.open("BOX/made2", "w"):close() end}""",
    )
    assert main(["check", "--for-real", path]) == 0
    assert f"{box}/trg/" in capsys.readouterr().out
    assert (box / "made1").exists()
    assert (box / "made2").exists()


def test_what_was_not_done_may_be_why_it_does_not_load(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        box, 'local pipe = io.popen("hostname") local host = pipe:read("*l") pipe:close()\nprint("name: " .. host)'
    )
    assert main(["check", path]) == 1
    captured = capsys.readouterr()
    assert "would run: hostname" in captured.out
    assert (
        f"What the config does at {path}:1 was not done, which may be the reason; --for-real does it." in captured.err
    )


def test_what_a_config_prints_is_no_part_of_the_report(box: Path) -> None:
    path = write(
        box,
        """print("by print") io.write("by write\\n") io.stdout:write("by stdout\\n") os.execute("echo by a program")
        sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {binary = "true"}}""",
    )
    command = "import sys; from orchestrator.control import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "check", "--for-real", path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Sync1: ")
    assert done.stderr == "by print\nby write\nby stdout\nby a program\n"


# ---- where the daemon would end ---------------------------------------------------------------------

SYNC = 'sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {binary = "true"}}'

ENDS = {
    "inotifyMode": ('settings{inotifyMode = "Open"}' + SYNC, "'Open' not a valid"),
    "logfacility": ('settings{logfacility = "loud"}' + SYNC, "Logging facility 'loud' unknown."),
    "monitor": (SYNC + 'settings{monitor = "crystal"}', 'event monitor "crystal" unknown.'),
    "logfile": ('settings{logfile = "BOX/no/log"}' + SYNC, "logfile BOX/no/log cannot be made: there is no directory"),
    "logfile is a directory": ('settings{logfile = "SRC"}' + SYNC, "logfile SRC cannot be made: Is a directory."),
    "pidfile": ('settings{pidfile = "BOX/no/pid"}' + SYNC, "pidfile BOX/no/pid cannot be made: there is no"),
    "control socket": ('settings{controlSocket = "BOX/c.lua"}' + SYNC, "Cannot create control socket"),
    "control group": ('settings{controlGroup = "no such group"}' + SYNC, 'there is no group "no such group".'),
    "place of the target": (
        'sync{default.native, source = "SRC", target = "BOX/no/trg"}',
        "Sync1: its target cannot be made: there is no directory BOX/no ",
    ),
    "place of the target of a sync whose action is the user's": (
        'sync{default.direct, source = "SRC", target = "BOX/no/trg", collect = function(agent, code) return "ok" end}',
        "Sync1: its target cannot be made: there is no directory BOX/no ",
    ),
    "program of a tunnel": (
        SYNC.replace("target", 'tunnel = tunnel{command = "no-such-ssh -N"}, target'),
        "Sync1: there is no program 'no-such-ssh' to run.",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_what_would_end_the_daemon_is_an_error(box: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    text, message = ENDS[case]
    assert main(["check", write(box, text)]) == 1
    assert message.replace("SRC", f"{box}/src").replace("BOX", str(box)) in capsys.readouterr().out


def test_places_that_the_daemon_makes_or_does_without(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'settings{logfile = "BOX/log", pidfile = "BOX/no/pid", statusFile = "BOX/no/status", nodaemon = true}'
    assert main(["check", write(box, text + SYNC)]) == 0
    out = capsys.readouterr().out
    assert f"Warn: statusFile {box}/no/status cannot be made: there is no directory {box}/no." in out
    assert f"Warn: pidfile {box}/no/pid cannot be made: there is no directory {box}/no." in out
    assert not (box / "log").exists()


def test_with_insist_the_place_of_a_target_is_waited_for(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'settings{insist = true} sync{default.native, source = "SRC", target = "BOX/no/trg"}'
    assert main(["check", write(box, text)]) == 0
    assert f"Warn: Sync1: its target cannot be made: there is no directory {box}/no " in capsys.readouterr().out


def test_more_directories_than_the_kernel_watches(
    box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (box / "src/d").mkdir()
    for limit, is_warned in ((2, False), (1, True)):
        (box / "limit").write_text(f"{limit}\n")
        monkeypatch.setattr("orchestrator.control.check.LIMIT", str(box / "limit"))
        assert main(["check", write(box, SYNC)]) == 0
        assert (f"Warn: 2 directories need as many watches; {box}/limit allows {limit}" in capsys.readouterr().out) is (
            is_warned
        )


def test_an_action_that_fails_is_an_error(
    box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.plugins import make_manager

    def broken(inlet: object) -> None:
        raise KeyError("nothing works")

    monkeypatch.setattr(make_manager().actions()["rsync"].__class__, "action", lambda self, inlet: broken(inlet))
    assert main(["check", write(box, SYNC)]) == 1
    assert "Error: Sync1: plugin \"rsync\" failed in action(): KeyError: 'nothing works'" in capsys.readouterr().out


def test_directories_that_nobody_watches_are_not_counted(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kept/below", "left/out/of/it", "here/left"):
        (box / "src" / name).mkdir(parents=True)
    one = SYNC.replace("target", 'exclude = {"/left/"}, target')
    for text, number in (
        (one, 5),  # src, kept, kept/below, here, here/left
        (one + one.replace("/left/", "/here/"), 9),
        (one + SYNC.replace("SRC", "SRC/left"), 9),
        (SYNC + SYNC.replace("SRC", "SRC/kept"), 9),
    ):
        main(["check", write(box, text)])
        assert f"{number} directories to watch" in capsys.readouterr().out


def test_a_sync_through_a_tunnel_shows_what_it_would_run(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """local way = tunnel{name = "way", mode = "pool", command = {"true", "-L", "^localport:h:873"}}
    sync{default.rsync, source = "SRC", target = "rsync://^localhost:^localport/m/", tunnel = way,
         rsync = {binary = "true"}}"""
    assert main(["check", write(box, text)]) == 0
    out = capsys.readouterr().out
    assert "  through tunnel way: true -L ^localport:h:873" in out.replace("'", "")
    assert out.count("rsync://^localhost:^localport/m/") == 2


def test_which_ssh_connections_are_shared_is_shown(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """settings{sshShare = 60}
    local way = tunnel{name = "way", mode = "pool", command = {"true", "-L", "^localport:h:22"}}
    local function mirror(target, more)
        sync{default.rsync, source = "SRC", target = target, rsync = {binary = "true", rsh = more.rsh},
             tunnel = more.tunnel, sshShare = more.share}
    end
    mirror("u@a:/trg", {})
    mirror("b:/trg", {share = 1})
    mirror("c:/trg", {share = false})
    mirror("d:/trg", {rsh = "ssh -S none"})
    mirror("localhost:/trg", {tunnel = way, rsh = "ssh -p ^localport"})
    """
    assert main(["check", write(box, text)]) == 0
    out = capsys.readouterr().out
    assert [line.strip() for line in out.splitlines() if "shares" in line] == [
        "shares an ssh connection to u@a, which is closed when unused for 60 seconds",
        "shares an ssh connection to b, which is closed when unused for 1 second",
    ]
    assert "ControlPath" not in out


def test_what_a_program_reads_a_password_from_is_not_shown(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sshpass", "other"):
        (box / name).touch(0o755)
        text = SYNC.replace('"true"', f'"BOX/{name}"').replace("target", 'exclude = "*.secret", target', 1)
        assert main(["check", write(box, text)]) == 0
        assert ("*.secret" in capsys.readouterr().out) is (name == "other")


def test_a_sync_that_does_nothing_is_warned_of(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", write(box, 'sync{source = "SRC", onDelete = "echo ^path"}')]) == 0
    assert "Warn: Sync1: it does nothing, neither at the startup nor when a file changes." in capsys.readouterr().out


def test_a_config_for_another_machine(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """settings{logfile = "/no/such/log", pidfile = "/no/such/pid"}
    sync{default.rsync, source = "/no/such/source", target = "/no/such/target", rsync = {binary = "/no/rsync"},
         excludeFrom = "/no/such/excludes", exclude = "*.tmp"}"""
    path = write(box, text)
    assert main(["check", path]) == 1
    assert main(["check", "--elsewhere", path]) == 0
    out = capsys.readouterr().out
    assert (
        "at startup: /no/rsync --exclude-from=- --delete --ignore-errors -lst -r /no/such/source/ /no/such/target/"
        in out
    )
    assert "Warn: excludeFrom /no/such/excludes is not here: its patterns are not known." in out
    assert main(["check", "--elsewhere", write(box, text.replace("default.rsync", "default.nosuch"))]) == 1


def test_names_steer_no_terminal_and_forge_no_line(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (box / "src/a file").unlink()
    (box / "src/\x1bc\u202etxt\nError: forged").write_text("")
    os.mkdir(os.fsencode(box) + b"/src/\x9bdir")
    assert main(["check", write(box, SYNC)]) == 0
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\u202e\x9b")
    assert "\nError: forged" not in out
    assert "\\x1bc\\u202etxt\\nError: forged" in out


def test_a_startup_in_parts(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = 'source = "SRC", target = "BOX/trg", startupProcesses = 3'
    path = write(box, f"sync{{default.rsync, {keys}}} sync{{default.rsync, {keys}, rsync = {{hard_links = true}}}}")
    assert main(["check", path]) == 0
    first, second = capsys.readouterr().out.split("Sync2: ", 1)
    assert "at startup: look how large the tree is: if it is worth it, what follows is done in parts" in first
    assert first.count("at startup: rsync ") == second.count("at startup: rsync ") == 1
    assert first.count("when a file changes: rsync ") == 1
    assert "look how large" not in second


def test_what_a_restart_transfers(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    syncs = """
sync{default.rsync, name = "a", source = "SRC", target = "BOX/trg"}
sync{default.rsync, name = "b", source = "SRC", target = "BOX/trg", resume = false}
sync{default.rsync, name = "c", source = "SRC", target = "BOX/trg", rsync = {copy_links = true}}
sync{default.rsync, name = "d", source = "SRC", target = "BOX/trg", collect = function(agent, code) return "ok" end}
"""
    main(["check", write(box, 'settings{stateDir = "BOX/state"}' + syncs)])
    found = [line.strip() for line in capsys.readouterr().out.splitlines() if "at a restart" in line]
    nothing = "at a restart: everything, as its action makes no promise, or resume is false"
    assert found == [
        "at a restart: what has changed since, by the recorded state",
        nothing,
        nothing,
        "at a restart: everything, as functions of the config stand in the action's place",
    ]
    assert not (box / "state").exists()
    main(["check", write(box, syncs)])
    assert "at a restart" not in capsys.readouterr().out


def test_how_changes_travel(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    syncs = """
sync{default.rsync, source = "SRC", target = "BOX/trg"}
sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {listed = true}}
sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {listed = false}}
sync{default.rsync, source = "SRC", target = "BOX/trg", rsync = {prune_empty_dirs = true}}
sync{default.direct, source = "SRC", target = "BOX/trg"}
sync{default.rsync, source = "SRC", target = "BOX/trg", action = function(inlet) end}
"""
    main(["check", write(box, syncs)])
    assert [line.strip() for line in capsys.readouterr().out.splitlines() if "changes go by" in line] == [
        "changes go by a list of names where directories are large, or changes many (rsync.listed)",
        "changes go by a list of names always (rsync.listed)",
        "changes go by filter lists: --prune-empty-dirs would mean something else with a list of names",
    ]
