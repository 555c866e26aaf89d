"""Where one fault is done to one daemon, the real lsyncd or ours: real programs, real trees, and what gets lost.

Each has a mount name space of its own, kept by a holder: a file system may be mounted there, may run full and go, and
what the daemon leaves behind can be looked at when it has ended. All of it is read-only but the box.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from differential.commands import ENVIRONMENT, REPOSITORY
from differential.confine import UnsafeCase, check_targets

from orchestrator.testing.confine import confinement
from tests.kit.processes import is_lifeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

POLL = 0.02
SOON = 40.0
"""Seconds within which what must happen happens."""

NEVER = 10.0
"""Seconds after which what has not happened is taken not to happen: ten times the longest pause of the real lsyncd."""


class NotDone(Exception):
    """A step of a scenario could not be done: nothing can be said of the fault."""


class World:
    """Source `src`, target `trg`, one daemon at a time. Use it in a `with`.

    Paths of trees are those that the daemon sees (`see`), also where something is mounted.
    """

    def __init__(self, box: Path, command: Sequence[str], *, is_ours: bool) -> None:
        self.box = box
        self.is_ours = is_ours
        self.changes = 0
        self._command = command
        self._stack = ExitStack()
        self._plugins: dict[str, str] = {}
        self._config = box / "config.lua"
        self._holder: subprocess.Popen[bytes]
        self.daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> World:
        wall = confinement()
        if wall is None:
            raise UnsafeCase("faults are tried only where there are mount name spaces")
        for name in ("src", "trg", "disk"):
            (self.box / name).mkdir(parents=True)
        self._holder = self.run(*wall, str(self.box), "sh", "-c", "touch held; exec sleep 10000")
        self.wait("the holder", (self.box / "held").exists)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # ---- running things

    def run(self, *command: str, **more: object) -> subprocess.Popen[bytes]:
        """Start a program that is killed, with all that it started, when the world goes."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        process = subprocess.Popen(command, cwd=self.box, start_new_session=True, **streams)  # type: ignore[call-overload]
        self._stack.callback(_end, process)
        return process  # type: ignore[no-any-return]

    def inside(self, *command: str) -> list[str]:
        """A command, run in the box as the daemon sees it."""
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        enter = ["nsenter", "-t", str(self._holder.pid), *user, "-m"]
        return [*enter, "sh", "-c", f'cd {self.box} && exec "$@"', "sh", *command]

    def do(self, *command: str) -> None:
        """Run a program in the box to its end."""
        done = subprocess.run(
            self.inside(*command), stdin=subprocess.DEVNULL, capture_output=True, timeout=SOON, check=False
        )
        if done.returncode:
            raise NotDone(f"{command}: {done.stderr!r}")

    def unmount(self, name: str) -> None:
        """Unmount what is mounted there; the daemon or a transfer may keep it busy for a moment."""

        def can() -> bool:
            command = self.inside("umount", name)
            return not subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode

        self.wait(f"{name} to be unmounted", can)

    def see(self, name: str) -> Path:
        """A path of the box as the daemon sees it."""
        return Path(f"/proc/{self._holder.pid}/root{self.box}/{name}")

    def script(self, name: str, text: str) -> str:
        path = self.box / name
        path.write_text(f"#!/bin/sh\nBOX={self.box}\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def configure(self, text: str) -> None:
        """Write the config; `@` is the box."""
        text = text.replace("@", str(self.box))
        check_targets(self.box, text.replace('"rsync://127.0.0.1:', f'"{self.box}/'), ())
        self._config.write_text(text)

    def hurry(self, rate: float) -> None:
        """Ours is on a clock that goes `rate` times as fast from its next start. The real one has no patience."""
        if self.is_ours:
            self._command = [sys.executable, "-m", "tests.kit.hurried", f"{rate:g}"]

    def start(self, *arguments: str, before: Sequence[str] = (), shell: str = "") -> None:
        """Start the daemon in the foreground. `shell`: redirections; `before`: a command to run it by."""
        python_path = [str(self.box / "plugins"), str(REPOSITORY), str(REPOSITORY / "plugins")]
        environment = {
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(python_path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [*before, *self._command, "-nodaemon", *arguments, str(self._config)]
        if shell:
            command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
        with (self.box / "console").open("ab") as console:
            self.daemon = self.run(*self.inside(*command), env=environment, stdout=console, stderr=console)

    @property
    def pid(self) -> int:
        assert self.daemon is not None
        return self.daemon.pid

    def signal(self, signum: int) -> None:
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            pass

    def status(self) -> int | None:
        """The daemon's exit status, as a shell has it; None while it runs."""
        assert self.daemon is not None
        code = self.daemon.poll()
        return code if code is None or code >= 0 else 128 - code

    def children(self) -> list[int]:
        """What the daemon runs now, but for the shell of ours that ends it all should the daemon be killed."""
        try:
            pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [int(pid) for pid in pids if not is_lifeline(pid)]

    def watches(self) -> int:
        """How many inotify watches the daemon has."""
        return sum(text_of(info).count("inotify wd:") for info in Path(f"/proc/{self.pid}/fdinfo").iterdir())

    def limit_descriptors(self, soft: int | None) -> None:
        """Let the daemon have no more than so many descriptors from now on; None: as many as before."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, most if soft is None else (soft, most[1]))

    # ---- changing things

    def write(self, *names: str | bytes, text: str = "new") -> None:
        """Write files of the source; each is a change that may get lost."""
        for name in names:
            path = os.path.join(os.fsencode(self.see("src")), os.fsencode(name))
            with open(path, "w") as file:
                file.write(text)
            self.changes += 1

    # ---- looking at things

    def wait(self, what: str, condition: Callable[[], object], seconds: float = SOON) -> None:
        """Wait for what belongs to the scenario; raises NotDone."""
        if not self.happens(condition, seconds):
            raise NotDone(f"waited in vain for {what}; it said:\n{self.said()[-3000:]}")

    def happens(self, condition: Callable[[], object], seconds: float | None = None) -> bool:
        """Whether it comes to be: soon with ours, which is waited for; with the real one, that may never do so."""
        end = time.monotonic() + (seconds or (SOON if self.is_ours else NEVER))
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(POLL)
        return True

    def said(self) -> str:
        return text_of(self.box / "console")

    def started(self, times: int = 1) -> None:
        """Wait until the daemon has done its startup."""
        self.wait("its startup", lambda: len(startups(self.said())) >= times)

    def lost(self, target: str = "trg", source: str = "src") -> int:
        """How many paths are not on the target as they are in the source."""
        ours, theirs = (snapshot(os.fsencode(self.see(name))) for name in (source, target))
        return len({path for path in ours.keys() | theirs.keys() if ours.get(path, ()) != theirs.get(path, ())})

    def outcome(self, target: str = "trg", source: str = "src") -> str:
        """What came of it, in words."""
        self.happens(lambda: not self.lost(target, source) or self.status() is not None)
        lost = self.lost(target, source)
        what = "nothing lost" if not lost else f"lost {lost} of {max(lost, self.changes)} changes"
        status = self.status()
        return what if status is None else f"ended with {status}, {what}"


def startups(said: str) -> list[str]:
    """The lines that tell of a startup that is done."""
    return [line for line in said.splitlines() if " finished" in line and "tartup of" in line]


def text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def snapshot(root: bytes) -> Mapping[bytes, object]:
    """Relative path → content; None for a directory, a number for what is neither."""
    found: dict[bytes, object] = {}
    for top, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(top, name)
            relative = path[len(root) :]
            try:
                if os.path.isdir(path) and not os.path.islink(path):
                    found[relative] = None
                elif os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        found[relative] = file.read()
                else:
                    found[relative] = os.lstat(path).st_mode
            except FileNotFoundError:  # it is being replaced
                found[relative] = ()
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
