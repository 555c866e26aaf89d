"""A daemon under measurement: a source in memory, a stub in place of rsync, CPU time by the process clock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = Path("/dev/shm") if os.path.ismount("/dev/shm") else Path(tempfile.gettempdir())

STUB = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* In place of rsync. In the directory of this program: notes start time and size of its input as a
   file in calls/, then waits for as long as there is a file `hold`. */
int main(void)
{
    static char dir[4096], path[4200], buf[65536];
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    if (n < 0) return 1;
    *strrchr(dir, '/') = 0;
    long long size = 0, names = 0;
    while ((n = read(0, buf, sizeof buf)) > 0) {
        size += n;
        for (ssize_t i = 0; i < n; i++) names += buf[i] == 0;
    }
    snprintf(path, sizeof path, "%s/tmp.%d", dir, getpid());
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    fprintf(f, "%lld %lld\n", t.tv_sec * 1000000000LL + t.tv_nsec, names + (size > 0));
    fclose(f);
    snprintf(buf, sizeof buf, "%s/calls/%d", dir, getpid());
    if (rename(path, buf)) return 1;
    snprintf(path, sizeof path, "%s/hold", dir);
    while (!access(path, F_OK)) usleep(2000);
    return 0;
}
"""

CONFIG = """settings{{ {settings} }}
sync{{ {sync}, source="{source}", delay={delay} }}
"""

RSYNC = 'default.rsync, target="{box}/trg", rsync={{ binary="{rsync}" }}'


class Failed(Exception):
    """The daemon ended, or what was waited for did not come."""


def wait_for(what: str, condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds:g} s for {what}")
        time.sleep(0.002)


class World:
    """One run of one daemon. Use it in a `with`; everything is gone afterwards."""

    def __init__(
        self,
        binary: str,
        *,
        source: Path | None = None,
        delay: float = 1,
        settings: str = "",
        rsync: str = "",
        sync: str = "",
        more: str = "",
    ) -> None:
        """`rsync`: the program to transfer with, in place of the stub. `sync`: the sync's other keys, in place of a
        default.rsync to the directory `trg` of the box. `more`: Lua after it."""
        self.box = Path(tempfile.mkdtemp(prefix="orchestrator-bench-", dir=BASE))
        for name in ("src", "trg", "calls"):
            (self.box / name).mkdir()
        self.source = source or self.box / "src"
        self.hold = self.box / "hold"
        self.status = self.box / "status"
        shutil.copy2(compiled_stub(), self.box / "stub")
        (self.box / "c.lua").write_text(
            CONFIG.format(
                box=self.box,
                source=self.source,
                delay=delay,
                settings=settings.format(box=self.box),
                sync=sync or RSYNC.format(box=self.box, rsync=rsync or self.box / "stub"),
            )
            + more
        )
        self._log = (self.box / "log").open("wb")
        self.started = time.monotonic_ns()
        self.process = subprocess.Popen(
            [*binary.split(), "-nodaemon", str(self.box / "c.lua")],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        shutil.rmtree(self.box)

    def cpu(self) -> float:
        """Seconds of CPU that the daemon has used (its process clock, see clock_getcpuclockid(3))."""
        if self.process.poll() is not None:
            raise Failed(f"the daemon ended: {(self.box / 'log').read_text()[-500:]}")
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def calls(self) -> list[tuple[int, int]]:
        """(start in ns of the monotonic clock, names in its input) of each transfer, oldest first."""
        return sorted(tuple(map(int, file.read_text().split())) for file in (self.box / "calls").iterdir())  # type: ignore[misc]

    def said(self, words: str) -> int:
        return (self.box / "log").read_text(errors="replace").count(words)

    def wait_said(self, words: str, times: int = 1) -> None:
        """Until the log has these words so often. Raises Failed where the daemon has ended."""
        wait_for(words, lambda: self.cpu() and self.said(words) >= times)

    def peak_memory(self) -> float:
        """MB of resident memory at most."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024

    def wakeups(self) -> int:
        """Voluntary context switches of all threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(
            int((task / "status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for task in tasks
        )

    def wait_started(self) -> None:
        """The startup transfer has begun and, unless held, ended."""
        wait_for("the startup", lambda: self.process.poll() is not None or self.calls())
        wait_for("its end", lambda: self.hold.exists() or self.said("Startup of "))

    def wait_quiet(self, seconds: float = 0.4) -> None:
        """The daemon has used next to no CPU for a while."""
        last, since = self.cpu(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.02)
            now = self.cpu()
            if now - last > 0.002:
                since = time.monotonic()
            last = now


def contents(top: Path) -> dict[str, bytes | None]:
    """What is in a tree, by relative path: a file's content, None for a directory."""
    found: dict[str, bytes | None] = {}
    for directory, names, files in os.walk(top):
        inside = os.path.relpath(directory, top)
        found |= {os.path.join(inside, name): None for name in names}
        found |= {os.path.join(inside, name): Path(directory, name).read_bytes() for name in files}
    return found


def compiled_stub() -> Path:
    path = BASE / f"orchestrator-bench-stub-{os.getuid()}"
    if not path.exists():
        new = f"{path}.{os.getpid()}"
        subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", new], input=STUB, text=True, check=True)
        os.rename(new, path)
    return path


def tree_of_directories(count: int) -> Path:
    """A cached tree of so many directories, ten below each."""
    path = BASE / f"orchestrator-bench-tree-{count}"
    if not path.exists():
        new = Path(tempfile.mkdtemp(dir=BASE))
        made = [str(new)]
        for number in range(1, count):
            made.append(f"{made[(number - 1) // 10]}/d{number}")
            os.mkdir(made[-1])
        new.rename(path)
    return path


def entries(directory: Path, count: int) -> None:
    """So many entries, each with the same time everywhere; names of one file, which is made faster than files are."""
    directory.mkdir(parents=True)
    for number in range(count):
        if number % 10_000 == 0:
            first = directory / f"entry-{number:07}"
            first.touch()
            os.utime(first, (0, 0))
        else:
            os.link(first, directory / f"entry-{number:07}")


def touch(path: Path, name: str) -> None:
    os.close(os.open(path / name, os.O_CREAT | os.O_WRONLY, 0o644))
