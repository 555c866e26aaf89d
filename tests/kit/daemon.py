"""Our daemon in the foreground, in a directory of the test's own, from which it can't get out.

Where the machine has mount name spaces, everything but that directory is read-only for the daemon and its children:
whatever the code or a config gets wrong, nothing else can be deleted. Elsewhere a config that names a target
outside of it is not started at all.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.differential.confine import UnsafeCase, confinement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]

DEADLINE = 30.0
"""Seconds after which a wait fails; generous, for machines that do much else at the time."""

TERMINATED = 128 + signal.SIGTERM

TARGET = re.compile(r"^[^-\n]*\btarget(?:dir)?\s*=\s*(.*?),?\s*$", re.M)


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Wait until the condition holds; fails with `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline:g} s in vain for {what}")
        time.sleep(0.02)


def confined(box: Path, *command: str) -> list[str]:
    """The command, kept in the box where the machine can do that."""
    return [*(confinement() or ()), *((str(box),) if confinement() else ()), *command]


def check_targets(box: Path, text: str) -> None:
    """Raise UnsafeCase where a config's target neither lies in the box nor is below `demo`, which the test sets."""
    for expression in TARGET.findall(text):
        if not expression.startswith(("demo ..", 'os.getenv( "TARGETDIR" )', f'"{box}/')):
            raise UnsafeCase(f"target {expression} may be outside of the sandbox")


class Daemon:
    """`lsyncd -nodaemon ARGUMENTS…` with `box` as its working directory. Use it in a `with`.

    Leaving the block sends TERM and asks for status 143, unless the daemon was waited for before; leaving it with
    an error prints what the daemon said.
    """

    def __init__(
        self, box: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, lua: str = ""
    ) -> None:
        self.box = box
        self._arguments = [str(argument) for argument in arguments]
        if lua:
            (box / "config.lua").write_text(lua)
            self._arguments.append(str(box / "config.lua"))
        self._environment = environment or {}
        self._log = box / "console"
        self._status: int | None = None
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Daemon:
        for argument in self._arguments:
            if argument.endswith(".lua") and confinement() is None:
                check_targets(self.box, Path(argument).read_text())
        path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                confined(self.box, sys.executable, "-m", "orchestrator.cli", "-nodaemon", *self._arguments),
                cwd=self.box,
                env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                print(self.said())
            elif self._status is None:
                self.process.terminate()
                assert self.wait() == TERMINATED, self.said()
                assert "Traceback" not in self.said()
        finally:
            # children of a daemon that has ended may live on, and belong to the test all the same
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def wait(self) -> int:
        """Wait until it has ended; its exit status."""
        self._status = self.process.wait(DEADLINE)
        return self._status

    def said(self) -> str:
        """All that it has written to the console."""
        return self._log.read_bytes().decode("utf-8", "backslashreplace")

    def wait_for_watches(self, count: int) -> None:
        """Wait until it watches so many directories: what changes from then on is seen."""

        def watches() -> int:
            number = 0
            for info in Path(f"/proc/{self.process.pid}/fdinfo").iterdir():
                try:
                    number += info.read_text().count("inotify wd:")
                except FileNotFoundError:  # closed meanwhile
                    continue
            return number

        wait_until(
            lambda: self.process.poll() is not None or watches() >= count, f"{count} watches; it said:\n{self.said()}"
        )
        assert self.process.poll() is None, f"it ended before it watched {count} directories:\n{self.said()}"

    def wait_for(self, words: str, times: int = 1) -> None:
        """Wait until it has said that, so many times."""

        def has_said() -> bool:
            return self.said().count(words) >= times

        wait_until(lambda: has_said() or self.process.poll() is not None, f"{words!r} in its log:\n{self.said()}")
        assert has_said(), f"it ended before it said {words!r}:\n{self.said()}"
