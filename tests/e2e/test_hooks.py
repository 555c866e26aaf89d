"""The observer hooks of a plugin, in a real daemon. Each hook has a test here that bears its name."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

WATCHER = """\
import json, os
from orchestrator.api import hookimpl

def note(hook, **values):
    with open("notes", "a") as file:
        file.write(json.dumps([hook, values]) + "\\n")

"""

LUA = """
settings {{ statusFile = "{box}/status", statusInterval = 0 }}
sync {{
    default.native,
    source = "{box}/source",
    target = "{box}/target",
    delay = 0,
}}
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    return tmp_path


def watched(box: Path, hook: str, lua: str = LUA) -> Daemon:
    """A daemon with a plugin that has this one hook and writes down, by `note`, what it is told."""
    return Daemon(box, lua=lua.format(box=box), plugins={"watcher": f"{WATCHER}@hookimpl\n{hook}"})


def notes(box: Path) -> list[dict[str, Any]]:
    """What the hook has been told so far."""
    try:
        return [json.loads(line)[1] for line in (box / "notes").read_text().splitlines()]
    except FileNotFoundError:
        return []


def arrives(box: Path, name: str) -> None:
    (box / "source" / name).write_text(name)
    wait_until((box / "target" / name).exists, f"{name} to arrive")


def test_orchestrator_configured(box: Path) -> None:
    hook = """def orchestrator_configured(settings, inlets):
        note("configured", interval=settings["statusInterval"], syncs=[i.name for i in inlets],
             source=[os.fsdecode(i.source) for i in inlets], watches=len(os.listdir("target")))
    """
    (box / "source" / "before").touch()
    with watched(box, hook) as daemon:
        wait_until((box / "target" / "before").exists, "the startup")
        assert notes(box) == [{"interval": 0, "syncs": ["Sync1"], "source": [f"{box}/source/"], "watches": 0}]

        (box / "config.lua").write_text(LUA.format(box=box).replace("delay = 0,", 'delay = 0, name = "new",'))
        daemon.process.send_signal(1)
        wait_until(lambda: len(notes(box)) == 2, "the second configuration")
        assert notes(box)[1]["syncs"] == ["new"]
        daemon.wait_for("--- Startup ---", times=2)


SETTINGS = """
@hookimpl
def orchestrator_settings():
    return {"words": Option((str,), "none", "to be noted"), "key": Option((str,), None, "password", secret=True)}

@hookimpl
def orchestrator_configured(settings, inlets):
    own = settings["plugins"]["watcher"]
    note("configured", words=own["words"])
    inlets[0].log("Normal", "the key is ", own["key"])

@hookimpl
def orchestrator_check_settings(values):
    if values["words"] == "bad":
        raise ConfigError("no such words")
"""


def with_settings(box: Path, own: str) -> str:
    return f"settings {{ plugins = {{ watcher = {{ {own} }} }} }}\n{LUA.format(box=box)}"


def test_orchestrator_settings(box: Path) -> None:
    plugin = WATCHER.replace("import hookimpl", "import ConfigError, Option, hookimpl") + SETTINGS
    with Daemon(
        box, lua=with_settings(box, 'words = "good", key = "opensesame"'), plugins={"watcher": plugin}
    ) as daemon:
        daemon.wait_for("the key is ***")
        (box / "config.lua").write_text(with_settings(box, 'words = "bad"'))
        daemon.process.send_signal(1)
        daemon.wait_for("keeping the old configuration.")
        (box / "config.lua").write_text(with_settings(box, ""))
        daemon.process.send_signal(1)
        daemon.wait_for("the key is (nil)")
        arrives(box, "new")
    assert [note["words"] for note in notes(box)] == ["good", "none"]
    assert "/config.lua:1: settings.plugins.watcher: no such words\n" in daemon.said()


def test_orchestrator_check_settings(box: Path) -> None:
    plugin = WATCHER.replace("import hookimpl", "import ConfigError, Option, hookimpl") + SETTINGS
    with Daemon(box, lua=with_settings(box, 'words = "bad"'), plugins={"watcher": plugin}) as daemon:
        assert daemon.wait() == 255
    assert "/config.lua:1: settings.plugins.watcher: no such words" in daemon.said()
    assert notes(box) == []


def test_orchestrator_verified(box: Path) -> None:
    hook = """def orchestrator_verified(inlet, result, differences):
        found = [[path.decode(), kind] for path, kind in differences]
        note("verified", sync=inlet.name, is_equal=result.is_equal, differences=found)
    """
    lua = LUA.replace("delay = 0,", 'delay = 0, verify = "* * * * * *",')
    (box / "source" / "f").touch()
    with watched(box, hook, lua):
        equal = {"sync": "Sync1", "is_equal": True, "differences": []}
        wait_until(lambda: equal in notes(box), "a verification")
        (box / "target" / "extra").touch()
        # nobody is told of the time of the target's directory, but that differs as well
        wait_until(lambda: ["/extra", "extra"] in notes(box)[-1]["differences"], "the difference")


def test_orchestrator_sync_state(box: Path) -> None:
    hook = """def orchestrator_sync_state(inlet, state):
        note("state", sync=inlet.name, state=state)
    """
    lua = """
    sync {{
        source = "{box}/source",
        delay = 0,
        onStartup = "true",
        onCreate = "test -e {box}/works",
        exitcodes = {{ [0] = "ok", [1] = "again" }},
    }}
    """

    def states() -> list[str]:
        return [note["state"] for note in notes(box)]

    with watched(box, hook, lua) as daemon:
        wait_until(lambda: states() == ["starting", "in sync"], "the startup to be told")
        (box / "source" / "new").touch()
        wait_until(lambda: states()[-1] == "retrying", "the failure to be told")
        assert states()[2:4] == ["syncing", "retrying"]  # it may have been tried again by now
        (box / "works").touch()
        wait_until(lambda: states()[-1] == "in sync", "the success to be told")
        daemon.wait_for("Finished Create")
        (box / "source").rename(box / "gone")
        wait_until(lambda: states()[-1] == "suspended", "the source's end to be told")
        (box / "gone").rename(box / "source")
        wait_until(lambda: states()[-1] == "in sync", "its return to be told")
    assert {note["sync"] for note in notes(box)} == {"Sync1"}


def test_orchestrator_status_written(box: Path) -> None:
    hook = """def orchestrator_status_written(path):
        note("written", path=os.fsdecode(path), text=open(path).read())
    """
    with watched(box, hook):
        arrives(box, "new")
        wait_until(lambda: notes(box), "the status to be told")
    assert {note["path"] for note in notes(box)} == {f"{box}/status"}
    assert all(note["text"].startswith("Lsyncd status report at ") for note in notes(box))


def test_orchestrator_before_spawn(box: Path) -> None:
    """It changes arguments and environment, and forbids."""
    hook = """def orchestrator_before_spawn(inlet, agent, spawn):
        note("asked", etype=agent.etype)
        if os.path.exists("forbidden"):
            return False
        spawn.argv.append(b"more")
        spawn.env = {**os.environ, "WHO": "me"}
    """
    lua = """
    sync {{
        source = "{box}/source",
        delay = 0,
        onCreate = function( event ) spawnShell( event, 'echo "$WHO $2" >"$1"', event.target .. "/" .. event.name ) end,
        target = "{box}/target",
    }}
    """
    (box / "forbidden").touch()
    with watched(box, hook, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").touch()
        wait_until(lambda: notes(box), "the question")
        assert not (box / "target" / "new").exists()
        (box / "forbidden").unlink()
        wait_until(lambda: (box / "target" / "new").exists(), "the process to be allowed")
        daemon.wait_for("Finished Create")
    assert (box / "target" / "new").read_text() == "me more\n"


def test_orchestrator_after_collect(box: Path) -> None:
    hook = """def orchestrator_after_collect(inlet, agent, paths, exit_code, verdict, duration, stderr):
        note("ended", paths=[os.fsdecode(path) for path in paths], code=exit_code, verdict=verdict,
             seconds=duration, stderr=os.fsdecode(stderr))
    """
    lua = """
    sync {{
        source = "{box}/source",
        delay = 0,
        onCreate = "sleep 0.1; exit 7",
        exitcodes = {{ [0] = "ok", [7] = "ok" }},
    }}
    """
    with watched(box, hook, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").touch()
        wait_until(lambda: notes(box), "the end to be told")
    (told,) = notes(box)
    assert told.pop("seconds") >= 0.1
    assert told == {"paths": ["/new"], "code": 7, "verdict": "ok", "stderr": ""}


def test_orchestrator_transfer_started(box: Path) -> None:
    hook = """def orchestrator_transfer_started(inlet, transfer):
        (same,) = inlet.status()["transfers"]
        note("started", id=transfer.id, sync=transfer.sync, kind=transfer.kind, pid=transfer.pid,
             paths=[os.fsdecode(path) for path in transfer.paths], is_over=transfer.is_over, same=same["id"])
    """
    lua = """
    sync {{ source = "{box}/source", delay = 0, onStartup = "true", onCreate = "test -e ^sourcePathname" }}
    sync {{ default.native, source = "{box}/target", target = "{box}/third", delay = 0 }}
    """
    with watched(box, hook, lua) as daemon:
        wait_until(lambda: len(notes(box)) == 2, "both startups")
        daemon.wait_for_watches(2)
        (box / "source" / "new").symlink_to("x")
        wait_until(lambda: len(notes(box)) == 3, "the change")
        daemon.wait_for("finished.")
    told = {note["sync"] + " " + note["kind"]: note for note in notes(box)}
    assert set(told) == {"Sync1 startup", "Sync2 startup", "Sync1 changes"}
    assert told["Sync1 changes"]["paths"] == ["/new"]
    assert told["Sync1 changes"]["pid"] > 1
    assert told["Sync2 startup"]["pid"] is None  # a job of a thread
    assert all(note["id"] == note["same"] and not note["is_over"] for note in told.values())


def test_orchestrator_transfer_ended(box: Path) -> None:
    hook = """def orchestrator_transfer_started(transfer):
        transfer.begun = True

@hookimpl
def orchestrator_transfer_ended(inlet, transfer):
        note("ended", begun=transfer.begun, kind=transfer.kind, verdict=transfer.verdict, code=transfer.exit_code,
             cause=transfer.cause, files=transfer.files, bytes=transfer.bytes)
    """
    lua = """
    sync {{ default.rsync, source = "{box}/source", target = "{box}/target", delay = 0 }}
    """
    (box / "source" / "before").write_text("x" * 100_000)
    with watched(box, hook, lua) as daemon:
        wait_until(lambda: notes(box), "the startup")
        daemon.wait_for_watches(1)
        os.mkfifo(box / "source" / "fifo")
        arrives(box, "new")
        wait_until(lambda: any(note["kind"] == "changes" for note in notes(box)), "the change")
    startup = notes(box)[0]
    assert startup.pop("bytes") > 100_000
    assert startup == {"begun": True, "kind": "startup", "verdict": "ok", "code": 0, "cause": "", "files": None}
    assert all(note["files"] for note in notes(box)[1:])


def test_orchestrator_full_run_ended(box: Path) -> None:
    hook = """def orchestrator_full_run_ended(inlet, is_startup, verdict):
        note("full run", sync=inlet.name, is_startup=is_startup, verdict=verdict)
    """
    lua = """
    sync {{ default.native, source = "{box}/source", target = "{box}/target", delay = 0, crontab = "* * * * * *" }}
    """
    with watched(box, hook, lua):
        wait_until(lambda: len(notes(box)) >= 2, "a full run after the startup")
    same = {"sync": "Sync1", "verdict": "ok"}
    assert notes(box)[:2] == [{**same, "is_startup": True}, {**same, "is_startup": False}]


def test_orchestrator_retry_ended(box: Path) -> None:
    hook = """def orchestrator_retry_ended(inlet, paths, is_done):
        note("retry", paths=[os.fsdecode(path) for path in paths], is_done=is_done)
    """
    lua = """
    sync {{ source = "{box}/source", delay = 0, onCreate = "test -e {box}/works",
            exitcodes = {{ [0] = "ok", [1] = "again" }} }}
    """
    with watched(box, hook, lua) as daemon:
        daemon.wait_for_watches(1)
        (box / "source" / "new").symlink_to("x")
        daemon.wait_for("Retrying Create")
        (box / "works").touch()
        wait_until(lambda: notes(box), "the retry")
    assert notes(box) == [{"paths": ["/new"], "is_done": True}]


def test_orchestrator_fading(box: Path) -> None:
    hook = """def orchestrator_fading(reason):
        note("fading", reason=reason)
    """
    with watched(box, hook) as daemon:
        arrives(box, "new")
        daemon.process.send_signal(1)
        daemon.wait_for("--- Startup ---", times=2)
    assert [note["reason"] for note in notes(box)] == ["reset", "--- TERM signal, fading ---"]


def test_orchestrator_actions(box: Path) -> None:
    plugin = """
from orchestrator.api import Action, Option, hookimpl

class Touch(Action):
    name = "touch"
    options = {"target": Option((str,), None, "a directory"), "mark": Option((str,), "", "what is written")}
    def action(self, inlet):
        events = inlet.get_events()
        names = [inlet.target + path for path in events.paths()]
        inlet.spawn(events, ["sh", "-c", 'for name; do echo "$0" >"$name"; done', inlet.config.get("mark"), *names])

@hookimpl
def orchestrator_actions():
    return [Touch()]
"""
    lua = f'sync {{ default.touch, source = "{box}/source", target = "{box}/target", mark = "seen", delay = 0 }}'
    with Daemon(box, lua=lua, plugins={"touch": plugin}) as daemon:
        daemon.wait_for_watches(1)
        arrives(box, "new")
    assert (box / "target" / "new").read_text() == "seen\n"


def test_orchestrator_monitors(box: Path) -> None:
    plugin = """
from orchestrator.api import MonitorKind, hookimpl
from orchestrator.monitor.inotify import InotifyMonitor  # as the test has no monitor of its own

def make(mode, wants, log):
    log("Normal", "the monitor of a plugin, mode ", mode)
    return InotifyMonitor(mode, wants, log)

@hookimpl
def orchestrator_monitors():
    return [MonitorKind("mine", make)]
"""
    lua = f"""
    settings {{ monitor = "mine", inotifyMode = "Modify" }}
    sync {{ default.native, source = "{box}/source", target = "{box}/target", delay = 0 }}
    """
    with Daemon(box, lua=lua, plugins={"mine": plugin}) as daemon:
        daemon.wait_for("the monitor of a plugin, mode Modify")
        daemon.wait_for_watches(1)
        arrives(box, "new")


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("orchestrator_configured", "settings"),
        ("orchestrator_sync_state", "state"),
        ("orchestrator_status_written", "path"),
        ("orchestrator_before_spawn", "spawn"),
        ("orchestrator_transfer_started", "transfer"),
        ("orchestrator_transfer_ended", "transfer"),
        ("orchestrator_after_collect", "paths"),
        ("orchestrator_fading", "reason"),
    ],
)
def test_a_hook_that_raises_is_named_and_all_goes_on(box: Path, hook: str, arguments: str) -> None:
    lua = """
    settings {{ statusFile = "{box}/status", statusInterval = 0 }}
    sync {{ source = "{box}/source", target = "{box}/target", delay = 0,
            onCreate = "cp ^sourcePathname ^targetPathname" }}
    """
    with watched(box, f'def {hook}({arguments}):\n    raise RuntimeError("no luck")\n', lua) as daemon:
        daemon.wait_for_watches(1)
        arrives(box, "new")
        daemon.wait_for("Finished Create")
    assert f'Error: hook {hook} of plugin "watcher" failed: RuntimeError: no luck (' in daemon.said()
