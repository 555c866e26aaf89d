"""What is measured. Each case runs one daemon and gives figures, the first of which counts."""

from __future__ import annotations

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remote import remote  # also makes tests.kit known
from world import BASE, World, contents, entries, touch, tree_of_directories, wait_for

from tests.kit.states import is_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Figures = dict[str, float]

THEIRS = "/usr/bin/lsyncd"

FILES = 20
"""In a directory of a tree of small files."""

WRITE = """
import os, sys
root, count, layout = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.chdir(root)
for number in range(count):
    name = f"f{number}"
    if layout == "newdirs":
        if number % 1000 == 0:
            os.makedirs(f"n{number // 1000}", exist_ok=True)
        name = f"n{number // 1000}/{name}"
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))
"""


def with_monitor(binary: str, monitor: str) -> str:
    """The command, with a monitor of ours if it is ours; the original has but one."""
    return f"{binary} -monitor {monitor}" if monitor and binary != THEIRS else binary


def startup(binary: str, count: int, monitor: str = "") -> Figures:
    """Seconds from exec to the startup transfer, all directories watched; MB at most."""
    with World(with_monitor(binary, monitor), source=tree_of_directories(count)) as world:
        world.wait_started()
        return {"seconds": (world.calls()[0][0] - world.started) / 1e9, "cpu": world.cpu(), "MB": world.peak_memory()}


def burst(binary: str, count: int, layout: str, monitor: str = "") -> Figures:
    """CPU seconds for so many new files, written at full speed on the other core; overflows."""
    with World(with_monitor(binary, monitor)) as world:
        world.wait_started()
        before = world.cpu()
        subprocess.run([sys.executable, "-c", WRITE, str(world.source), str(count), layout], check=True)
        wait_for("a transfer", lambda: len(world.calls()) > 1)
        world.wait_quiet(1.2)
        return {"cpu": world.cpu() - before, "overflows": world.said("OVERFLOW"), "calls": len(world.calls()) - 1}


def backlog(binary: str, count: int) -> Figures:
    """CPU seconds for so many changed files while a transfer runs."""
    with World(binary, delay=0, settings='statusFile="{box}/status", statusInterval=1') as world:
        for number in range(count):
            touch(world.source, f"f{number}")
        world.wait_started()
        world.wait_quiet()
        world.hold.touch()
        touch(world.source, "trigger")
        wait_for("the held transfer", lambda: len(world.calls()) > 1)
        world.wait_quiet()
        before = world.cpu()
        for number in range(count):
            os.close(os.open(world.source / f"f{number}", os.O_WRONLY))
            if number % 2000 == 1999:
                world.wait_quiet(0.05)  # never more than the kernel holds
        world.wait_quiet()
        return {"cpu": world.cpu() - before, "us_per_event": (world.cpu() - before) / count * 1e6}


def storm(binary: str, files: int, times: int) -> Figures:
    """CPU seconds for the same files written again and again; delays that pile up behind a transfer."""
    with World(binary, delay=3600, settings='statusFile="{box}/status", statusInterval=1, maxDelays=10000000') as world:
        world.wait_started()
        before = world.cpu()
        for turn in range(times):
            for number in range(files):
                touch(world.source, f"f{number}")
            if turn % 2:
                world.wait_quiet(0.05)
        world.wait_quiet()
        wait_for("the status file", lambda: "There are" in world.status.read_text())
        time.sleep(1.1)  # the interval of the status file
        delays = int(world.status.read_text().partition("There are ")[2].split()[0])
        return {"cpu": world.cpu() - before, "delays": delays}


def latency(binary: str, count: int) -> Figures:
    """Milliseconds from close() to the start of the transfer, without delay."""
    with World(binary, delay=0) as world:
        world.wait_started()
        found = []
        for _number in range(count):
            calls = len(world.calls())
            fd = os.open(world.source / "f", os.O_CREAT | os.O_WRONLY)
            written = time.monotonic_ns()
            os.close(fd)
            wait_for("its transfer", lambda calls=calls: len(world.calls()) > calls)  # type: ignore[misc]
            world.wait_quiet(0.03)
            later = [start for start, _ in world.calls() if start > written]
            found.append((min(later) - written) / 1e6)
        return {"ms p50": statistics.median(found), "ms p99": sorted(found)[int(len(found) * 0.99)]}


def churn(binary: str, operations: int) -> Figures:
    """Real rsync: seconds from the end of random changes, 1 ms apart, until both trees are equal; transfers."""
    with World(binary, rsync=shutil.which("rsync") or "rsync") as world:
        dice = random.Random(1)
        directories, files = [world.source], [world.source / "first"]
        files[0].write_text("first")
        wait_for("the startup", lambda: world.said("Startup of "))
        for made in range(operations):
            what = dice.choices(("new", "write", "rename", "delete", "mkdir", "mvdir"), (30, 35, 15, 15, 3, 2))[0]
            directory = dice.choice(directories)
            if what == "new" or len(files) < 2:
                files.append(directory / f"f{made}")
            if what in ("new", "write"):
                dice.choice(files[-1:] if what == "new" else files).write_bytes(dice.randbytes(dice.randrange(1, 8192)))
            elif what == "rename":
                old = files.pop(dice.randrange(len(files)))
                files.append(old.rename(directory / f"f{made}") if old.exists() else directory / f"f{made}")
            elif what == "delete":
                files.pop(dice.randrange(len(files))).unlink(missing_ok=True)
            elif what == "mkdir":
                directories.append(world.source / f"d{made}")
                directories[-1].mkdir()
            elif len(directories) > 1:
                old = directories.pop(dice.randrange(1, len(directories)))
                directories.append(old.rename(world.source / f"d{made}"))
                files = [directories[-1] / file.name if file.parent == old else file for file in files]
            time.sleep(0.001)
        ended = time.monotonic()
        source = contents(world.source)

        def is_equal() -> bool:
            try:
                return contents(world.box / "trg") == source
            except FileNotFoundError:  # a transfer is at work there
                return False

        wait_for("equality", is_equal)
        return {"seconds": time.monotonic() - ended, "transfers": world.said("Calling rsync")}


def edited(binary: str, round_trip: float, count: int, ours: str = "") -> Figures:
    """Seconds from close() of a small file to equality on a target over ssh, delay 0. `ours`: keys for ours alone."""
    keys = "" if binary == THEIRS else ours
    with remote(round_trip) as far, World(binary, delay=0, sync=far.rsyncssh(keys)) as world:
        world.wait_said("Startup of ")
        target, found = far.target / "f", []
        for number in range(count):
            content = f"{number} of {count}"
            (world.source / "f").write_text(content)
            closed = time.monotonic()
            wait_for("equality", lambda content=content: target.exists() and target.read_text() == content)  # type: ignore[misc]
            found.append(time.monotonic() - closed)
            world.wait_said("Finished ", number + 1)
        return {"seconds": statistics.median(found), "at most": max(found)}


def among(binary: str, count: int, directories: int = 1, changes: int = 5) -> Figures:
    """Real rsync: seconds from close() of a file in each of these directories, with `count` entries each, until the
    target has them all; the delay is 0."""
    box = Path(tempfile.mkdtemp(prefix="orchestrator-bench-", dir=BASE))
    try:
        for name in ("src", "trg"):
            for number in range(directories):
                entries(box / name / f"d{number}", count)
        sync = f'default.rsync, target="{box}/trg", rsync={{ binary="{shutil.which("rsync")}" }}'
        with World(binary, source=box / "src", delay=0, sync=sync) as world:
            wait_for("the startup", lambda: world.said("Startup of "))
            found = []
            for change in range(changes):
                text = "x" * (change + 1)  # of another size each time: lsyncd's rsync misses others within a second
                files = [f"d{number}/changed" for number in range(directories)]
                begun = time.monotonic()
                for file in files:
                    (box / "src" / file).write_text(text)
                wait_for("the files", lambda files=files, text=text: all(_has(box / "trg" / f, text) for f in files))
                found.append(time.monotonic() - begun)
                finished = change + 1
                wait_for("the end of the run", lambda least=finished: world.said("Finished a list") >= least)
                time.sleep(0.2)  # so that the next change is one of a daemon at rest
            return {"seconds": statistics.median(found), "seconds at least": min(found)}
    finally:
        shutil.rmtree(box)


def initial(binary: str, round_trip: float, count: int, ours: str = "") -> Figures:
    """Seconds from the start until so many small files are on an empty target over ssh. `ours`: keys for ours alone."""
    keys = "" if binary == THEIRS else ours
    box = Path(tempfile.mkdtemp(prefix="orchestrator-bench-", dir=BASE))
    try:
        source = box / "src"
        for number in range(count // FILES):
            directory = source / f"{number % 100}" / f"{number}"
            directory.mkdir(parents=True)
            for name in range(FILES):
                (directory / f"{name}").write_text("small")
        with remote(round_trip) as far, World(binary, source=source, delay=0, sync=far.rsyncssh(keys)) as world:
            wait_for("the startup", lambda: world.cpu() and world.said("Startup of "), 1200)
            return {"seconds": (time.monotonic_ns() - world.started) / 1e9}
    finally:
        shutil.rmtree(box)


def restart(binary: str, count: int, directories: int, changes: int = 100) -> Figures:
    """Real rsync over ssh, 20 ms away: seconds from exec to the end of a start after which both sides are equal, that
    many files having changed while no daemon ran; ours with `stateDir`, and its bytes for each path."""
    box = Path(tempfile.mkdtemp(prefix="orchestrator-bench-", dir=BASE))
    try:
        for number in range(directories):
            entries(box / "src" / f"d{number // 100}" / f"e{number}", count // directories)
        state = "" if binary == THEIRS else f'stateDir = "{box}/state", '
        figures: Figures = {"seconds": 0, "bytes a path": 0}
        with remote(0.02) as far:
            subprocess.run(["rsync", "-a", f"{box}/src/", far.target], check=True)
            for is_again in (False, True):
                with World(binary, source=box / "src", delay=1, sync=far.rsyncssh(""), settings=state) as world:
                    world.wait_said("Startup of ")
                    figures["seconds"] = time.monotonic() - world.started / 1e9
                    if state and not is_again:
                        wait_for("the state", lambda: is_recorded(box / "state"))
                if state:
                    size = sum(file.stat().st_size for file in (box / "state").iterdir())
                    figures["bytes a path"] = size / (count + directories)
                for number in range(0 if is_again else changes):
                    place = box / "src" / f"d{number % directories // 100}" / f"e{number % directories}"
                    (place / f"changed{number}").write_text("while nobody looked")
        return figures
    finally:
        shutil.rmtree(box)


def _has(file: Path, text: str) -> bool:
    try:
        return file.read_text() == text
    except FileNotFoundError:
        return False


def reloaded(binary: str, syncs: int, count: int, *, hangs: bool = False) -> Figures:
    """Real rsync, so many syncs with as many directories each, delay 1, one option of one of them changed: seconds from
    the reload (HUP for lsyncd, USR2 for ours) until a change of another one, made right after it, has arrived; full
    runs that the reload makes. `hangs`: the transfer of a third one stands still (SIGSTOP), which lsyncd waits for."""
    box, rsync = Path(tempfile.mkdtemp(prefix="orchestrator-bench-", dir=BASE)), shutil.which("rsync")
    try:
        for number in range(syncs):
            for directory in range(count):
                (box / f"src{number}" / f"d{directory}").mkdir(parents=True)
                (box / f"src{number}" / f"d{directory}" / "f").touch()
        (box / "rsync").write_text(
            f'#!/bin/sh\ntest -e {box}/hang && echo $$ >{box}/hung && kill -STOP $$\nexec rsync "$@"\n'
        )
        (box / "rsync").chmod(0o755)
        others = "".join(
            f'sync{{ default.rsync, source="{box}/src{number}", target="{box}/trg{number}", delay=1,'
            f' rsync={{ binary="{box / "rsync" if number == 2 else rsync}" }} }}\n'
            for number in range(1, syncs)
        )
        sync = f'default.rsync, target="{box}/trg0", rsync={{ binary="{rsync}" }}'
        with World(binary, source=box / "src0", sync=sync, more=others) as world:
            wait_for("the startups", lambda: world.said("Startup of ") == syncs)
            hung = 0
            if hangs:
                (box / "hang").touch()
                (box / "src2/stays").touch()
                wait_for("the transfer to hang", lambda: (box / "hung").exists() and (box / "hung").read_text())
                hung = int((box / "hung").read_text())
                (box / "hang").unlink()
            config = world.box / "c.lua"
            config.write_text(config.read_text().replace(f'"{box}/trg1", delay=1', f'"{box}/trg1", delay=2'))
            begun = time.monotonic()
            world.process.send_signal(signal.SIGHUP if binary == THEIRS else signal.SIGUSR2)
            wait_for("it to be heard", lambda: world.said("signal, re"))
            (box / f"src{syncs - 1}" / "new").touch()
            wait_for("the change", (box / f"trg{syncs - 1}" / "new").exists)
            seconds = time.monotonic() - begun
            if hung:
                os.kill(hung, signal.SIGCONT)
            runs = syncs if binary == THEIRS else 1
            wait_for("the full runs", lambda: world.said("Startup of ") >= syncs + runs)
            return {"seconds": seconds, "full runs": world.said("Startup of ") - syncs}
    finally:
        shutil.rmtree(box)


def renamed(binary: str, count: int) -> Figures:
    """Seconds from the renaming of a directory with so many below it to the transfer of it."""
    with World(binary) as world:
        world.wait_started()
        made = [world.source / "old"]
        made[0].mkdir()
        for number in range(1, count):
            made.append(made[(number - 1) // 10] / f"d{number}")
            made[-1].mkdir()
        wait_for("all of it", lambda: sum(names for _, names in world.calls()) >= count)
        world.wait_quiet()
        before, calls, begun = world.cpu(), len(world.calls()), time.monotonic()
        made[0].rename(world.source / "new")
        wait_for("the transfer", lambda: len(world.calls()) > calls)
        return {"seconds": time.monotonic() - begun, "cpu": world.cpu() - before}


def idle(binary: str, count: int) -> Figures:
    """Wake-ups in ten seconds without anything to do."""
    settings = 'statusFile="{box}/status", statusInterval=1'
    with World(binary, source=tree_of_directories(count), settings=settings) as world:
        world.wait_started()
        world.wait_quiet(2)
        before, cpu = world.wakeups(), world.cpu()
        time.sleep(10)  # what is measured is this very time
        return {"wake-ups": world.wakeups() - before, "cpu": world.cpu() - cpu}


def batch(binary: str, count: int) -> Figures:
    """Seconds until so many new files have been handed to a transfer, without the delay."""
    with World(binary) as world:
        world.wait_started()
        begun = time.monotonic_ns()
        subprocess.run([sys.executable, "-c", WRITE, str(world.source), str(count), "newdirs"], check=True)
        wait_for("the files", lambda: sum(names for _, names in world.calls()[1:]) >= count or world.said("OVERFLOW"))
        return {"seconds": (world.calls()[-1][0] - begun) / 1e9}


@dataclass(frozen=True)
class Case:
    """A measurement: what is called with what; `ours_only`: it would take the original minutes."""

    name: str
    run: Callable[..., Figures]
    arguments: Mapping[str, object]
    bound: str = ""
    is_quick: bool = False
    ours_only: bool = False


CASES = (
    Case("start, 1 directory", startup, {"count": 1}, "250 ms for ours", True),
    Case("start, 10,000 directories", startup, {"count": 10_000}, "", True),
    Case("start, 50,000 directories", startup, {"count": 50_000}, "1.0", True),
    Case("start, 150,000 directories", startup, {"count": 150_000}, "1.0; memory 1.3"),
    Case("start, 1 directory, fanotify", startup, {"count": 1, "monitor": "fanotify"}, "", True),
    Case(
        "start, 150,000 directories, fanotify",
        startup,
        {"count": 150_000, "monitor": "fanotify"},
        "0.1; as with 1 directory",
    ),
    Case("burst, 1,000 files", burst, {"count": 1_000, "layout": "flat"}, "0.2", True),
    Case("burst, 10,000 files", burst, {"count": 10_000, "layout": "flat"}, "0.1", True),
    Case("burst, 200,000 files", burst, {"count": 200_000, "layout": "flat"}, "no overflow"),
    Case("burst, 200,000 files in new directories", burst, {"count": 200_000, "layout": "newdirs"}, "0.15"),
    Case(
        "burst, 200,000 files in new directories, fanotify",
        burst,
        {"count": 200_000, "layout": "newdirs", "monitor": "fanotify"},
        "0.15",
    ),
    Case("batch of 40,000 files", batch, {"count": 40_000}, "", True),
    Case("backlog, 1,000 changes", backlog, {"count": 1_000}, "", True),
    Case("backlog, 5,000 changes", backlog, {"count": 5_000}, "0.02"),
    Case("backlog, 10,000 changes, both", backlog, {"count": 10_000}, "0.02"),
    Case("backlog, 10,000 changes", backlog, {"count": 10_000}, "twice the changes: at most 2.3", True, True),
    Case("backlog, 20,000 changes", backlog, {"count": 20_000}, "twice the changes: at most 2.3", True, True),
    Case("backlog, 200,000 changes", backlog, {"count": 200_000}, "exponent 1.1", False, True),
    Case("1,000 files written 20 times", storm, {"files": 1_000, "times": 20}, "0.3"),
    Case("1,000 files written 100 times", storm, {"files": 1_000, "times": 100}, "1,000 delays", False, True),
    Case("latency", latency, {"count": 40}, "1.2", True),
    Case("end to end, 2,000 changes with rsync", churn, {"operations": 2_000}, "1.0", True),
    Case("a file over ssh, 50 ms away", edited, {"round_trip": 0.05, "count": 5}, "", True),
    Case(
        "a file over ssh, 50 ms away, sshShare",
        edited,
        {"round_trip": 0.05, "count": 5, "ours": "sshShare=60,"},
        "0.6",
        True,
    ),
    Case("a change in a directory of 100", among, {"count": 100, "changes": 15}, "1.05", True),
    Case("a change in a directory of 20,000", among, {"count": 20_000}, "", True),
    Case("a change in a directory of 100,000", among, {"count": 100_000}, "0.2"),
    Case("a change in a directory of 1,000,000", among, {"count": 1_000_000}, "0.05"),
    Case("changes in 10 directories of 10,000", among, {"count": 10_000, "directories": 10}, "0.3", True),
    Case("startup, 20,000 files, 50 ms away", initial, {"round_trip": 0.05, "count": 20_000}),
    Case(
        "startup, 20,000 files, 50 ms away, in parts",
        initial,
        {"round_trip": 0.05, "count": 20_000, "ours": "startupProcesses=4,"},
    ),
    Case("startup, 200,000 files, 50 ms away", initial, {"round_trip": 0.05, "count": 200_000}),
    Case(
        "startup, 200,000 files, 50 ms away, in parts",
        initial,
        {"round_trip": 0.05, "count": 200_000, "ours": "startupProcesses=4,"},
        "0.4",
    ),
    Case("restart, 100,000 files", restart, {"count": 100_000, "directories": 5_000}, "0.2"),
    Case("restart, 1,000,000 files", restart, {"count": 1_000_000, "directories": 50_000}, "0.2"),
    Case("one of 20 syncs changed, reloaded", reloaded, {"syncs": 20, "count": 500}, "delay + 1 s", True),
    Case(
        "one of 20 syncs changed, reloaded, another one hangs",
        reloaded,
        {"syncs": 20, "count": 500, "hangs": True},
        "delay + 1 s",
        True,
        True,
    ),
    Case("directory renamed, 50,000 below it", renamed, {"count": 50_000}, "not seconds", False, True),
    Case("idle, 10,000 directories", idle, {"count": 10_000}, "0 wake-ups", True),
)
