"""Transfers that fail in every way there is, with real programs: what changed arrives, and holds up nothing else."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import AGAIN, RSYNC_EXIT_CODES
from orchestrator.control import main
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.states import is_recorded
from tests.kit.trees import snapshot, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPORARY = [code for code, verdict in RSYNC_EXIT_CODES.items() if verdict == AGAIN]
UNLISTED = [13, 77]
KILLED = [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV]


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    return tmp_path


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def sync(
    box: Path, name: str, action: str = "rsync", binary: Path | None = None, more: str = "", listed: str = '"auto"'
) -> str:
    """A sync between two directories of its own. `listed`: of `rsync`, where there is a binary."""
    (box / "src" / name).mkdir(parents=True)
    (box / "trg" / name).mkdir(parents=True)
    rsync = f'rsync = {{archive = true, binary = "{binary}", listed = {listed}}},' if binary is not None else ""
    return f"""sync{{default.{action}, name = "{name}", source = "{box}/src/{name}", target = "{box}/trg/{name}",
        delay = 0, {rsync} {more}}}
    """


def equal(box: Path, name: str, target: Path | None = None) -> bool:
    there = (target or box / "trg") / name
    return snapshot(os.fsencode(box / "src" / name)) == snapshot(os.fsencode(there))


def wait_equal(box: Path, name: str, daemon: Daemon, target: Path | None = None) -> None:
    wait_until(lambda: equal(box, name, target), f"{name} to be mirrored; it said:\n{daemon.said()}")


def ask(box: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    main(["status", "--json", "--socket", str(box / "socket")])
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)["syncs"]}


def cause_of(sync: Mapping[str, object]) -> object:
    return sync["last_error"]["cause"] if sync["last_error"] is not None else None  # type: ignore[index]


@pytest.mark.parametrize("listed", ["false", "true"])
def test_every_end_of_rsync_that_is_no_success_is_tried_again(box: Path, listed: str) -> None:
    """At the second run, the first after the startup: an exit code, listed or not, or a signal."""
    (box / "runs").mkdir()
    lua = ""
    ends = {
        **{f"code{code}": f"exit {code}" for code in (*TEMPORARY, *UNLISTED)},
        **{f"signal{signum}": f"kill -{signum} $$" for signum in KILLED},
    }
    for name, end in ends.items():
        runs = box / "runs" / name
        text = f'echo run >>{runs}; test "$(wc -l <{runs})" = 2 && {{ cat >/dev/null; {end}; }}; exec rsync "$@"'
        lua += sync(box, name, binary=script(box / f"rsync-{name}", text), listed=listed)
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", len(ends))
        for name in ends:
            (box / "src" / name / "f").write_text(name)
        for name in ends:
            wait_equal(box, name, daemon)
        said = daemon.said()
        for code in (*TEMPORARY, *(128 + signum for signum in KILLED)):
            assert said.count(f"Normal: Retrying a list after exitcode = {code}\n") == 1
        for code in UNLISTED:
            assert said.count(f'Error: Unknown exitcode "{code}" with a list\n') == 1


def test_a_program_that_is_not_there_or_must_not_be_run_and_then_is(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binaries = {name: script(box / name, 'exec rsync "$@"') for name in ("missing", "forbidden", "moved")}
    lua = f'settings{{controlSocket = "{box}/socket"}}\n'
    lua += "".join(sync(box, name, binary=binary) for name, binary in binaries.items())
    layer3 = script(box / "copy", 'exec cp -- "$1" "$2"')
    (box / "src/layer3").mkdir()
    (box / "trg/layer3").mkdir()
    lua += f"""sync{{name = "layer3", source = "{box}/src/layer3", target = "{box}/trg/layer3",
        onCreate = "{layer3} ^sourcePathname ^targetPathdir", exitcodes = {{[0] = "ok", [255] = "again"}}}}"""
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", len(binaries))
        binaries["missing"].unlink()
        binaries["forbidden"].chmod(0o644)
        layer3.chmod(0o644)
        binaries["moved"].rename(box / "away")
        binaries["moved"].mkdir()
        for name in (*binaries, "layer3"):
            (box / "src" / name / "f").write_text(name)
            daemon.wait_for(f"Error: Failed executing [ {box / name if name != 'layer3' else layer3} ]!")
        states = ask(box, capsys)
        assert {states[name]["state"] for name in (*binaries, "layer3")} == {"retrying"}
        assert cause_of(states["missing"]) == "No such file or directory"
        assert cause_of(states["forbidden"]) == cause_of(states["layer3"]) == "Permission denied"
        binaries["moved"].rmdir()
        for name in ("missing", "moved"):
            script(box / name, 'exec rsync "$@"')
        for path in (binaries["forbidden"], layer3):
            path.chmod(0o755)
        for name in (*binaries, "layer3"):
            wait_equal(box, name, daemon)
        wait_until(lambda: {one["state"] for one in ask(box, capsys).values()} == {"in sync"}, "all to be in sync")


class WithSmallTarget(Daemon):
    """Sees a file system of 1 MB at `trg`, which others see through /proc."""

    def command(self) -> list[str]:
        trees = " ".join(f"{self.box}/trg/{action}" for action in FULL)
        shell = f'mount -t tmpfs -o size=1m none {self.box}/trg && mkdir {trees} && exec "$@"'
        return ["unshare", "-r", "-m", "sh", "-c", shell, "sh", *super().command()]

    @property
    def target(self) -> Path:
        return Path(f"/proc/{self.process.pid}/root{self.box}/trg")


FULL = ("rsync", "native", "direct")


def test_a_target_that_is_full_and_then_is_not(box: Path) -> None:
    lua = "".join(sync(box, action, action) for action in FULL)
    with WithSmallTarget(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", len(FULL))
        filler = daemon.target / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left on device"):
            list(map(file.write, itertools.repeat(b"x" * 4096)))
        for action in FULL:
            (box / "src" / action / "big").write_bytes(os.urandom(200_000))
        daemon.wait_for("exitcode = 11", 2)
        daemon.wait_for("No space left on device", 3)
        filler.unlink()
        for action in FULL:
            (box / "src" / action / "small").write_text("after it")
            wait_equal(box, action, daemon, daemon.target)


class WithoutPower(Daemon):
    """Obeys the permissions of files, as one that is not run by root does."""

    def command(self) -> list[str]:
        if os.geteuid() != 0:
            return super().command()
        drop = "-dac_override,-dac_read_search,-fowner"
        return ["setpriv", "--bounding-set", drop, "--inh-caps", drop, *super().command()]


def test_a_part_that_must_not_be_read_or_written_holds_up_nothing_else(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With rsync, native, direct and layer 3: what is put right later arrives, all else at once."""
    names = ("rsync", "native", "direct", "layer3")
    lua = f'settings{{controlSocket = "{box}/socket"}}\n' + "".join(sync(box, name, name) for name in names[:3])
    for side in ("src", "trg"):
        (box / side / "layer3").mkdir()
    lua += f"""sync{{name = "layer3", source = "{box}/src/layer3", target = "{box}/trg/layer3",
        onCreate = "cp -- ^sourcePathname ^targetPathdir", onModify = "cp -- ^sourcePathname ^targetPathdir",
        exitcodes = {{[0] = "ok", [1] = "again"}}}}"""
    for name in names:
        for side in ("src", "trg"):
            (box / side / name / "locked").mkdir()
    with WithoutPower(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", 3)
        for name in names:
            (box / "trg" / name / "locked").chmod(0o500)
            os.close(os.open(box / "src" / name / "secret", os.O_CREAT | os.O_WRONLY, 0))
            (box / "src" / name / "locked/f").write_text("in a directory that is closed")
        for name in names:
            wait_until(lambda name=name: ask(box, capsys)[name]["retrying"] != 0, f"{name} to fail")  # type: ignore[misc]
        for name in names:
            begun = time.monotonic()
            (box / "src" / name / "good").write_text(name)
            wait_until(lambda name=name: text_of(box / "trg" / name / "good") == name, f"{name} to go on")  # type: ignore[misc]
            assert time.monotonic() - begun < 8
        states = ask(box, capsys)
        assert {states[name]["state"] for name in names} == {"retrying"}
        for name in ("rsync", "native"):  # what others' programs say goes to the log by itself
            assert "Permission denied" in str(cause_of(states[name]))
        for name in names:
            (box / "trg" / name / "locked").chmod(0o755)
            (box / "src" / name / "secret").chmod(0o644)
        for name in names:
            wait_equal(box, name, daemon)
        wait_until(lambda: {one["retrying"] for one in ask(box, capsys).values()} == {0}, "nothing left to retry")


def test_a_transfer_that_hangs_and_does_not_listen_is_killed_and_made_again(box: Path) -> None:
    text = f"""test -e {box}/once && exec rsync "$@"
    test -e {box}/started || {{ touch {box}/started; exec rsync "$@"; }}
    touch {box}/once; trap '' TERM; echo $$ >{box}/pid; while :; do read x </dev/zero & wait; sleep 0.1; done"""
    lua = "settings{transferTimeout = 10}\n" + sync(box, "s", binary=script(box / "stubborn", text))
    with Daemon(box, lua=lua).hurry(20) as daemon:
        daemon.wait_for("Startup of")
        (box / "src/s/f").write_text("")
        daemon.wait_for("a transfer of s runs for more than 10 s; ending it.")
        daemon.wait_for("Retrying a list after exitcode = 137")
        wait_equal(box, "s", daemon)
        pid = int(text_of(box / "pid"))
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the process that hung to be gone")


@pytest.mark.parametrize("parts", ["", "startupProcesses = 2,"], ids=["whole", "in parts"])
def test_a_restart_looks_again_at_the_file_that_never_arrives_and_at_no_other(box: Path, parts: str) -> None:
    config = f'settings{{stateDir = "{box}/state"}}\n'
    config += sync(box, "one", more=f"delete = false, rsync = {{archive = true}}, {parts}")
    source, target = box / "src" / "one", box / "trg" / "one"
    for path in ("stuck", "a", "d/b"):
        (source / path).parent.mkdir(exist_ok=True)
        (source / path).write_text(path)
    (target / "stuck" / "full").mkdir(parents=True)  # which may not be deleted for the file's sake
    with Daemon(box, lua=config):
        wait_until(lambda: is_recorded(box / "state"), "the startup to be recorded")
    with Daemon(box, lua=config) as daemon:
        daemon.wait_for("paths changed")
        (target / "stuck" / "full").rmdir()
        (target / "stuck").rmdir()
        wait_equal(box, "one", daemon)
        resumed = daemon.said().partition("resuming ")[2].partition("resuming ")[2]
        assert "recursive" not in resumed
        assert "/stuck\n" in resumed
        assert not {"/a", "/d/b"} & {line.strip() for line in resumed.splitlines()}, resumed
