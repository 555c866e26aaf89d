"""`orchestrator status` says of each sync what it is about, in every state there is, and what is wrong with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from orchestrator.control import main
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.trees import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Case(NamedTuple):
    """What rsync does at the startup and afterwards, until the file `NAME.go` is there, and what the status says."""

    state: str
    startup: str = ""
    later: str = ""
    delays: int = 0
    retrying: int = 0
    cause: str | None = None
    exit_code: int | None = None
    has_succeeded: bool = True
    changes: int = 1


HANGS = "while [ ! -e $go ]; do sleep 0.05; done"

CASES = {
    "starting": Case("starting", startup=HANGS, delays=1, has_succeeded=False, changes=0),
    "equal": Case("in sync"),
    "busy": Case("syncing", later=HANGS, delays=2, changes=2),
    "down": Case("retrying", later="echo no route >&2; exit 10", delays=1, cause="no route", exit_code=10),
    "never": Case(
        *("retrying", "echo refused >&2; exit 5"),
        delays=1,
        cause="refused",
        exit_code=5,
        has_succeeded=False,
        changes=0,  # type: ignore[arg-type]
    ),
    "partial": Case("retrying", later="echo locked >&2; exit 23", retrying=1, cause="locked", exit_code=23),
    "silent": Case("retrying", later="exit 77", delays=1, cause="exit code 77", exit_code=77),
    "gone": Case("suspended", changes=0),
    "broken": Case("stopped", later="echo bad option >&2; exit 1", delays=1, cause="bad option", exit_code=1),
}


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    return tmp_path


def sync(box: Path, name: str, case: Case) -> str:
    for side in ("src", "trg"):
        (box / side / name).mkdir(parents=True)
    stub = box / name
    stub.write_text(f"""#!/bin/sh
    go={box}/{name}.go
    if [ ! -e $go ]; then
        if [ -e {box}/{name}.started ]; then :; {case.later or "true"}; else
        {case.startup or "true"}
        fi
    fi
    touch {box}/{name}.started
    exec rsync "$@"
    """)
    stub.chmod(0o755)
    return f"""sync{{default.rsync, name = "{name}", source = "{box}/src/{name}", target = "{box}/trg/{name}",
        delay = 0, rsync = {{binary = "{stub}"}}}}
    """


def ask(box: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["status", *options, "--socket", str(box / "socket")])
    return status, capsys.readouterr().out


def syncs(box: Path, capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    return {one["name"]: one for one in json.loads(ask(box, capsys, "--json")[1])["syncs"]}


def problem(told: Mapping[str, Any], case: Case) -> str | None:
    """What of it is not as it should be."""
    error = told["last_error"] or {"cause": None, "exit_code": None}
    right = {
        "state": told["state"] == case.state,
        # a new file is created and then written: while the former travels the latter may wait
        "waiting": case.delays <= told["waiting"] <= case.delays + case.changes,
        "retrying": told["retrying"] == case.retrying,
        "cause": error["cause"] == case.cause,
        "exit_code": error["exit_code"] == case.exit_code,
        "last_success": (told["last_success"] is not None) == case.has_succeeded,
        "oldest": (told["oldest"] is not None) == (told["waiting"] + told["retrying"] > 0),
        "unreachable": told["unreachable"] is None,
    }
    wrong = [key for key, is_right in right.items() if not is_right]
    return f"{wrong} of {told}" if wrong else None


def test_every_state(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.time()
    files = f'controlSocket = "{box}/socket", statusFile = "{box}/status", statusInterval = 0'
    lua = f"settings{{insist = true, {files}}}\n"
    lua += "".join(sync(box, name, case) for name, case in CASES.items())
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", sum(case.has_succeeded for case in CASES.values()))
        for name, case in CASES.items():
            for number in range(case.changes):
                (box / "src" / name / f"{number}").write_text("")
                if case.changes > 1:
                    wait_until(lambda name=name: syncs(box, capsys)[name]["state"] == "syncing", "the first to travel")  # type: ignore[misc]
        shutil.rmtree(box / "src/gone")
        changed = time.time()

        def problems() -> list[str]:
            told = syncs(box, capsys)
            return [f"{name}: {wrong}" for name, case in CASES.items() if (wrong := problem(told[name], case))]

        wait_until(lambda: not problems(), f"every state; wrong: {problems()}")
        time_told = syncs(box, capsys)
        for name, told in time_told.items():
            if told["last_success"] is not None:
                assert begun - 1 <= told["last_success"] <= time.time() + 1, name
            if told["last_error"] is not None:
                assert begun - 1 <= told["last_error"]["time"] <= time.time() + 1, name
        # the age is the change's, however often it has failed since
        wait_until(lambda: time.time() - changed > 4, "some seconds to go by")
        for name in ("down", "busy", "silent", "broken"):
            age = time.time() - syncs(box, capsys)[name]["oldest"]
            assert 3 < age < time.time() - begun + 1, f"{name} {age}"

        def is_told_in_words() -> bool:  # one that fails is tried again now and then, and is "syncing" meanwhile
            status, text = ask(box, capsys)
            rows = [rf"^{name} +{case.state} .*{box}/trg/{name}/ " for name, case in CASES.items()]
            return status == 1 and all(re.search(row, text, re.M) for row in rows) and told_once(text)

        def told_once(text: str) -> bool:
            return "  1 path is tried again" in text and text.count("no route (") == 1

        def is_in_file() -> bool:
            parts = {part.partition(" source=")[0]: part for part in text_of(box / "status").split("\n\n\n")}
            found = {name: part for name in CASES for start, part in parts.items() if start.split()[-1:] == [name]}
            return found.keys() == CASES.keys() and all(is_told(CASES[name], part) for name, part in found.items())

        def is_told(case: Case, part: str) -> bool:
            is_well = case.state in ("starting", "in sync", "syncing")
            is_cause_told = case.cause is None or re.search(rf"\nLast error: .*: {case.cause}\n", part) is not None
            return (f"\nState: {case.state}\n" in part) == (not is_well) and is_cause_told

        wait_until(is_told_in_words, f"every state in words; it says:\n{ask(box, capsys)}")
        wait_until(is_in_file, f"every state in the status file; it says:\n{text_of(box / 'status')}")

        for name in CASES:
            (box / f"{name}.go").touch()
        (box / "src/gone").mkdir()
        healed = {name: "in sync" if name != "broken" else "stopped" for name in CASES}
        wait_until(
            lambda: {name: told["state"] for name, told in syncs(box, capsys).items()} == healed,
            f"all to be in sync but the broken one; it said:\n{daemon.said()}",
        )
        told = syncs(box, capsys)
        assert all(one["waiting"] == one["retrying"] == 0 for name, one in told.items() if name != "broken")
        assert told["down"]["last_success"] > told["down"]["last_error"]["time"]
        daemon.process.terminate()
        assert daemon.wait() == 255, "a sync was stopped"


def test_files_have_safe_modes_and_no_link_is_followed(box: Path) -> None:
    """Pid file, status file and socket, in a directory where everybody may write, as /tmp is."""
    (box / "run").mkdir()
    (box / "run").chmod(0o1777)
    (box / "precious").write_text("precious")
    for name in ("status",):
        (box / "run" / name).symlink_to(box / "precious")
    settings = f"""settings{{pidfile = "{box}/run/pid", statusFile = "{box}/run/status", statusInterval = 0,
        controlSocket = "{box}/run/socket", logfile = "{box}/run/log"}}\n"""
    copies = sync(box, "s", Case("in sync"))
    with Daemon(box, lua=settings + copies) as daemon:
        daemon.wait_for("Startup of")
        wait_until(lambda: "There are" in text_of(box / "run/status"), "the status file")
        for name, mode in {"pid": 0o644, "status": 0o644, "log": 0o644, "socket": 0o600}.items():
            status = (box / "run" / name).lstat()
            assert not stat.S_ISLNK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) & 0o777 == mode, name
    assert (box / "precious").read_text() == "precious"
    # without a pid file it goes on in the foreground, as lsyncd has none there
    for name, words, status in (("pid", "Cannot create pidfile", 143), ("socket", "Cannot create control socket", 255)):
        (box / "run" / name).symlink_to(box / "precious")
        with Daemon(box, lua=settings + copies) as daemon:
            wait_until(lambda words=words: words in text_of(box / "run/log"), words)
            if status == 143:
                daemon.process.terminate()
            assert daemon.wait() == status
        (box / "run" / name).unlink()
    assert (box / "precious").read_text() == "precious"


def test_lists_of_paths_are_for_the_daemon_alone(box: Path) -> None:
    """`^pathsFile`, with a directory of everybody's for temporary files."""
    (box / "tmp").mkdir()
    (box / "tmp").chmod(0o1777)
    lua = sync(box, "s", Case("in sync")).replace(
        "delay = 0,", f'delay = 0, onBatchEnd = "stat -c %a:%F ^pathsFile >>{box}/seen",'
    )
    with Daemon(box, lua=lua, environment={"TMPDIR": str(box / "tmp")}) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/s/f").write_text("")
        wait_until(lambda: text_of(box / "seen").count("\n") >= 2, "two batches")
        assert set(text_of(box / "seen").split("\n")) <= {"600:regular file", "600:regular empty file", ""}
    assert os.listdir(box / "tmp") == []
