"""A real daemon in the foreground, in a directory of the test's own, from which it can't get out.

Where the machine has mount name spaces, everything but that directory is read-only for the daemon and its
children: whatever the code or a config gets wrong, nothing else can be deleted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.testing.confine import confined
from orchestrator.testing.plugins import declare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

DEADLINE = 30.0
"""Seconds after which a wait fails; generous, for machines that do much else at the time."""

TERMINATED = 128 + signal.SIGTERM


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Wait until the condition holds; fails with `what` after `deadline` seconds.

    It is asked again every 20 ms, or when as much time has passed as the answer took: what is waited for needs the
    processor, too.
    """
    end = time.monotonic() + deadline
    begun = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"waited {deadline:g} s for {what}, which did not come")
        time.sleep(max(0.02, now - begun))
        begun = time.monotonic()


class Daemon:
    """`lsyncd -nodaemon ARGUMENTS…` with `box` as its working directory. Use it in a `with`.

    `lua` or `toml`: the text of a config for it. `plugins`: such as are not installed (see plugins.py). Leaving
    the block sends TERM and asks for status 143, unless the daemon was waited for before; leaving it with an
    error prints what the daemon said.
    """

    def __init__(
        self,
        box: Path,
        *arguments: str | Path,
        lua: str = "",
        toml: str = "",
        plugins: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.box = box
        self._arguments = [str(argument) for argument in arguments]
        for ending, text in (("lua", lua), ("toml", toml)):
            if text:
                (box / f"config.{ending}").write_text(text)
                self._arguments.append(str(box / f"config.{ending}"))
        self._plugins = plugins or {}
        self._environment = environment or {}
        self._log = box / "console"
        self._status: int | None = None
        self.process: subprocess.Popen[bytes]

    def python_path(self) -> list[str]:
        """Where the daemon finds modules: where the test does."""
        return [path for path in sys.path if path]

    def command(self) -> list[str]:
        """The command line of the daemon."""
        return [sys.executable, "-m", "orchestrator.cli"]

    def check_config(self, text: str) -> None:
        """Raise where this config must not be run. To be overridden; called before each start."""

    def __enter__(self) -> Daemon:
        for argument in self._arguments:
            if argument.endswith((".lua", ".toml")):
                self.check_config(Path(argument).read_text())
        path = self.python_path()
        if self._plugins:
            declare(self.box / "plugins", self._plugins)
            path.insert(0, str(self.box / "plugins"))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                confined(self.box, *self.command(), "-nodaemon", *self._arguments),
                cwd=self.box,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **self._environment,
                },
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
        """Wait until it watches so many directories: changes from then on are seen."""

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
