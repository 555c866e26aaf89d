#!/usr/bin/env python3
"""How many files csync2 looks at for a batch: default.csync2 beside the article's `csync2 -x -r`.

Two real csync2 nodes on loopback hold the same tree (20,000 directories, a file in each, unless told
otherwise). Our daemon runs on the first one, once with configs/csync2-layer1.lua and once with default.csync2, and
1, 10, 100, … files are changed at once. `examined` is counted in csync2's own words: with `-v -v` it says
"Checking PATH." of each file and "Checking DIRECTORY/* .." of each directory that it reads. As that slows it
down, its CPU time (seconds, user and system together) comes from a second pass without.

    python3 tests/bench/csync2_examined.py [--directories N] [--changes 1,10,100] [--out FILE]

Needs csync2, root and as many inotify watches as there are directories. It writes to a new directory in
/dev/shm (else the usual place for temporary files), some 200 MB for 20,000 directories, and removes it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.kit.csync2 import Cluster, csync2_binary  # noqa: E402
from tests.kit.daemon import Daemon, wait_until  # noqa: E402

WRAPPER = """\
#!{python}
import json, os, resource, subprocess, sys
command = [{csync2!r}, *sys.argv[1:]]
examined = 0
if {count}:
    # What is said at -v goes on to the daemon, which reads it; the rest is only counted.
    child = subprocess.Popen(command + ["-v", "-v"], stderr=subprocess.PIPE)
    for line in child.stderr:
        examined += line.startswith(b"Checking ")
        if not line.startswith((b"SQL", b"Match", b"Checking ")):
            sys.stderr.buffer.write(line)
    code = child.wait()
else:
    code = subprocess.call(command)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
record = {{"examined": examined, "cpu": used.ru_utime + used.ru_stime}}
with open({record!r}, "a") as file:
    file.write(json.dumps(record) + "\\n")
sys.exit(code)
"""

WAYS = ("article", "action")


class Bench:
    def __init__(self, directory: Path, cluster: Cluster, directories: int) -> None:
        self.directory = directory
        self.cluster = cluster
        self.here, self.there = cluster.nodes
        self.files = [Path(f"d{number // 200}", f"e{number}", "file") for number in range(directories)]
        self.record = directory / "record"
        self.serial = 0

    def grow(self) -> None:
        """The same tree on both nodes, and both databases know it."""
        for node in self.cluster:
            for path in self.files:
                file = node.tree / path
                file.parent.mkdir(parents=True)
                file.write_text(str(path))
                os.utime(file, (1, 1))
            node.csync2("-cIr", "/").check_returncode()

    def daemon(self, way: str, count: bool) -> Daemon:
        node, cluster = self.here, self.cluster
        wrapper = self.directory / "csync2"
        wrapper.write_text(
            WRAPPER.format(python=sys.executable, csync2=csync2_binary(), count=count, record=str(self.record))
        )
        wrapper.chmod(0o755)
        (self.directory / "console").unlink(missing_ok=True)
        if way == "action":
            config = self.directory / "action.lua"
            config.write_text(
                f"sync{{ default.csync2, source = '{node.tree}', syncid = '{cluster.syncid}', delay = 1, "
                f"csync2 = {{ binary = '{wrapper}', hostname = '{node.name}', database = '{node.database}', "
                f"config_dir = '{cluster.system}', port = {cluster.port} }} }}\n"
            )
            return Daemon(self.directory, config)
        logs = self.directory / f"logs-{count}"
        logs.mkdir()
        settings = {
            "CSYNC2_BINARY": str(wrapper),
            "CSYNC2_OPTIONS": " ".join(node.options),
            "CSYNC2_SOURCE": str(node.tree),
            "CSYNC2_SYNCID": cluster.syncid,
            "LSYNCD_LOG_DIR": str(logs),
        }
        config = ROOT / "configs" / "csync2-layer1.lua"
        return Daemon(self.directory, config, environment={**cluster.environment, **settings})

    def measure(self, way: str, changes: list[int], count: bool) -> dict[int, dict[str, float]]:
        figures = {}
        with self.daemon(way, count) as daemon:
            wait_until(lambda: "Startup of 'web' instance finished." in daemon.said(), "the startup", 600)
            for number in changes:
                self.record.write_text("")
                self.change(number)
                figures[number] = self.figures()
        return figures

    def change(self, number: int) -> None:
        """Change some files all over the tree and wait until the other node has them."""
        self.serial += 1
        step = max(1, len(self.files) // number)
        files = self.files[: number * step : step]
        text = f"change {self.serial}"
        for path in files:
            (self.here.tree / path).write_text(text)
        wait_until(lambda: all((self.there.tree / path).read_text() == text for path in files), "the other node", 600)
        # The node has the last file a moment before csync2 ends.
        wait_until(lambda: self.record.read_text() and not self.is_running(), "the end of csync2")

    def is_running(self) -> bool:
        """Whether the wrapper runs: it holds its script open as an argument of its interpreter."""
        wanted = os.fsencode(self.directory / "csync2")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in command[:2]:
                return True
        return False

    def figures(self) -> dict[str, float]:
        records = [json.loads(line) for line in self.record.read_text().splitlines()]
        return {
            "runs": len(records),
            "examined": sum(record["examined"] for record in records),
            "cpu": round(sum(record["cpu"] for record in records), 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directories", type=int, default=20_000)
    parser.add_argument("--changes", default="1,10,100,1000", help="numbers of files changed at once")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    changes = [int(word) for word in options.changes.split(",")]
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    result: dict[str, dict[int, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="csync2-examined-", dir=base) as name:
        directory = Path(name)
        with Cluster(directory / "cluster") as cluster:
            bench = Bench(directory, cluster, options.directories)
            bench.grow()
            for way in WAYS:
                counted = bench.measure(way, changes, count=True)
                timed = bench.measure(way, changes, count=False)
                result[way] = {number: {**counted[number], "cpu": timed[number]["cpu"]} for number in changes}
    print(f"{options.directories} directories, as many files")
    print("changed   examined: article     action      CPU s: article   action")
    for number in changes:
        article, action = (result[way][number] for way in WAYS)
        print(
            f"{number:7} {article['examined']:19} {action['examined']:10} {article['cpu']:19.3f} {action['cpu']:8.3f}"
        )
    if options.out:
        options.out.write_text(json.dumps({"directories": options.directories, "ways": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
