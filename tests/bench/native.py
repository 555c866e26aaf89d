#!/usr/bin/env python3
"""native beside rsync and beside the real lsyncd's default.direct.

`startup`: a tree that is already equal, in directories of 20 files and in a single one: the best of some runs of
native's engine (in a process started for it, less the start of Python, as the daemon is there already) and of `rsync
-a --delete`, in turn; wall-clock seconds, with the CPU seconds of all processes. `-aX` compares extended attributes, as
native does unless told otherwise. `many`: 100 native syncs of 1,000 files that start at once, to empty targets and to
equal ones: seconds from exec until the status socket answers and until all are in sync, and the longest time that it
took to answer meanwhile. `churn`: small files made at once in a watched tree;
seconds until the target equals the source, and CPU seconds of daemon and children. Both daemons wait `delay = 0`.

    python3 tests/bench/native.py [--files 100000] [--syncs 100] [--churn 10000] [--runs 5] [--lsyncd /usr/bin/lsyncd]
    python3 tests/bench/native.py --only startup

Writes to a new directory where temporary files go, and removes it. All else is read-only for the programs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.differential.confine import confinement  # noqa: E402

PATHS = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]), "PYTHONDONTWRITEBYTECODE": "1"}

ENGINE = """
import os, sys, threading, time
from orchestrator_native.engine import MirrorSpec, mirror
from orchestrator_native.memory import Memory
source, target = map(os.fsencode, sys.argv[1:3])
begun = time.perf_counter()
report = mirror(MirrorSpec(source, target, xattrs=sys.argv[3] == "X"), Memory(), threading.Event(), deletes=True)
print(time.perf_counter() - begun)
sys.exit(report.exit_code)
"""

CONFIG = """
settings {{ nodaemon = true }}
sync {{ default.{action}, source = "{box}/source", target = "{box}/target", delay = 0 }}
"""


def confined(box: Path, *command: str) -> list[str]:
    wall = confinement()
    if wall is None:
        sys.exit("needs mount name spaces: run it as root")
    return [*wall, str(box), *command]


def run(box: Path, *command: str) -> tuple[float, float]:
    """Seconds by the wall clock, or those that the program prints, and of CPU of all processes."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        confined(box, *command), check=True, env={**os.environ, **PATHS}, stdout=subprocess.PIPE, text=True
    )
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return float(done.stdout or wall), cpu


def grow(top: Path, files: int, *, each: int) -> None:
    for number in range(files // each):
        directory = top / f"d{number // 100}" / f"e{number}"
        directory.mkdir(parents=True)
        for file in range(each):
            (directory / f"file-{file}").write_text("x" * 100)


def startup(box: Path, files: int, each: int, runs: int) -> None:
    source, target = box / "source", box / "target"
    grow(source, files, each=each)
    run(box, "rsync", "-a", f"{source}/", f"{target}/")
    engine = (sys.executable, "-c", ENGINE, f"{source}/", f"{target}/")
    ways = {
        "native": (*engine, "X"),
        "native, xattrs = false": (*engine, "-"),
        "rsync -a --delete": ("rsync", "-a", "--delete", f"{source}/", f"{target}/"),
        "rsync -aX --delete": ("rsync", "-aX", "--delete", f"{source}/", f"{target}/"),
    }
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, command in ways.items():
            taken[way].append(run(box, *command))
    for way, times in taken.items():
        wall, cpu = min(times)
        print(f"startup, {files} equal files, {each} in a directory: {way:24} {wall:7.2f} s, {cpu:6.2f} s CPU")
    ratio = min(taken["native"])[0] / min(taken["rsync -a --delete"])[0]
    print(f"startup, {files} equal files, {each} in a directory: native takes {ratio:.2f} of rsync's time")


def many(box: Path, syncs: int, *, equal: bool) -> None:
    config = [f'settings {{ nodaemon = true, controlSocket = "{box}/socket" }}']
    for number in range(syncs):
        source, target = box / f"source-{number}", box / f"target-{number}"
        grow(source, 1000, each=100)
        target.mkdir()
        if equal:
            subprocess.run(["rsync", "-a", f"{source}/", f"{target}/"], check=True)
        config.append(f'sync {{ default.native, source = "{source}", target = "{target}", delay = 0 }}')
    (box / "config.lua").write_text("\n".join(config))
    start, first, slowest = time.perf_counter(), 0.0, 0.0
    with (box / "log").open("wb") as log:
        daemon = subprocess.Popen(
            confined(box, sys.executable, "-m", "orchestrator.cli", str(box / "config.lua")),
            stdout=log,
            stderr=log,
            env={**os.environ, **PATHS},
        )
    try:
        while True:
            asked = time.perf_counter()
            states = ask(box / "socket")
            if states:
                first = first or time.perf_counter() - start
                slowest = max(slowest, time.perf_counter() - asked)
                if set(states) == {"in sync"}:
                    break
            time.sleep(0.05)
        wall = time.perf_counter() - start
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
    what = f"{syncs} syncs at once, targets {'equal' if equal else 'empty'}"
    print(f"{what}: in sync after {wall:.2f} s, first answer after {first:.2f} s, slowest {slowest * 1000:.0f} ms")


def ask(path: Path) -> list[str]:
    """The states of all syncs, by the status socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return []
        with client.makefile("rwb") as lines:
            lines.write(b'{"id": 1, "command": "status"}\n')
            lines.flush()
            lines.readline()  # the greeting
            return [sync["state"] for sync in json.loads(lines.readline())["result"]["syncs"]]


def churn(box: Path, files: int, what: str, action: str, *command: str) -> tuple[float, float]:
    source, target = box / "source", box / "target"
    for top in (source, target):
        for number in range(100):
            (top / f"d{number}").mkdir(parents=True)
    (box / "config.lua").write_text(CONFIG.format(action=action, box=box))
    before = os.times()
    with (box / "log").open("wb") as log:
        daemon = subprocess.Popen(
            confined(box, *command, "-nodaemon", str(box / "config.lua")),
            stdout=log,
            stderr=log,
            env={**os.environ, **PATHS},
        )
    try:
        while b"finished" not in (box / "log").read_bytes():
            time.sleep(0.05)
        start = time.perf_counter()
        for number in range(files):
            (source / f"d{number % 100}" / f"f{number}").write_bytes(b"x" * 500)
        while not is_equal(source, target):
            time.sleep(0.1)
        wall = time.perf_counter() - start
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"churn, {files} new small files: {what:24} {wall:7.2f} s, {cpu:6.2f} s CPU")
    return wall, cpu


def is_equal(source: Path, target: Path) -> bool:
    """Names and sizes; looks at a directory at a time, so that the looking costs little until the end."""
    for directory in sorted(source.iterdir(), reverse=True):
        with os.scandir(directory) as here:
            wanted = {entry.name: entry.stat().st_size for entry in here}
        with os.scandir(target / directory.name) as there:
            if wanted != {entry.name: entry.stat().st_size for entry in there}:
                return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--syncs", type=int, default=100)
    parser.add_argument("--churn", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lsyncd", default="/usr/bin/lsyncd")
    parser.add_argument("--only", choices=["startup", "many", "churn"])
    options = parser.parse_args()
    if options.only in (None, "startup"):
        for each in (20, options.files):
            with tempfile.TemporaryDirectory(prefix="bench-native-") as box:
                startup(Path(box), options.files, each, options.runs)
    if options.only in (None, "many"):
        for equal in (False, True):
            with tempfile.TemporaryDirectory(prefix="bench-native-") as box:
                many(Path(box), options.syncs, equal=equal)
    if options.only in (None, "churn"):
        compare_churn(options.churn, options.lsyncd)


def compare_churn(files: int, lsyncd: str) -> None:
    ours = (sys.executable, "-m", "orchestrator.cli")
    taken = []
    for what, action, command in (
        ("native", "native", ours),
        ("our direct", "direct", ours),
        ("lsyncd's direct", "direct", (lsyncd,)),
    ):
        with tempfile.TemporaryDirectory(prefix="bench-native-") as box:
            taken.append(churn(Path(box), files, what, action, *command))
    (wall, cpu), (old_wall, old_cpu) = taken[0], taken[-1]
    print(f"native is {old_wall / wall:.0f} times as fast as lsyncd's direct, with 1/{old_cpu / cpu:.0f} of the CPU")


if __name__ == "__main__":
    main()
