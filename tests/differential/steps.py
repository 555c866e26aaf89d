"""What a case may do and wait for while its daemon runs. Every step is a function of the box; none sleeps blindly."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from typing import TYPE_CHECKING

from differential.world import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from differential.world import Box

    Step = Callable[[Box], None]


def logged(pattern: str, times: int = 1) -> Step:
    """Wait until the log (console or file) matches so many times; ``pattern`` is a regular expression."""
    compiled = re.compile(pattern, re.M)

    def step(box: Box) -> None:
        box.wait(f"{times} times {pattern!r} in the log", lambda: len(compiled.findall(box.log_text())) >= times)

    return step


def started(watches: int | None = None) -> Step:
    """Wait until the daemon has started and watches: so many directories, or all that the source has.

    The original watches a directory before it reads it: it is not through with the last one until it sleeps.
    """
    said = logged("--- Startup")

    def step(box: Box) -> None:
        said(box)
        wanted = watches or sum(1 for _ in os.walk(box.src))
        box.wait(f"{wanted} watches", lambda: box.watches() >= wanted)
        box.wait("the daemon to wait for events", lambda: box.state() == "S")

    return step


def called(times: int) -> Step:
    """Wait until so many stub calls are on record."""
    return lambda box: box.wait(f"{times} calls", lambda: len(box.calls()) >= times)


def release(number: int | str) -> Step:
    """Let the stub call with this number, which holds, go on."""

    def step(box: Box) -> None:
        gate = box.bin / "plan" / f"gate.{number}"

        def opened() -> bool:
            try:
                fd = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                return False
            os.write(fd, b"\n")
            os.close(fd)
            return True

        box.wait(f"the stub at gate {number}", opened)

    return step


def write(name: str | bytes, text: str = "x") -> Step:
    """Write a file of the source, created where it is missing."""

    def step(box: Box) -> None:
        fd = os.open(
            os.path.join(os.fsencode(box.src), os.fsencode(name)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644
        )
        os.write(fd, text.encode())
        os.close(fd)

    return step


def node(name: str | bytes) -> Step:
    """Make a FIFO: one Create event and no close-write, where a case wants a single event."""
    return lambda box: os.mkfifo(os.path.join(os.fsencode(box.src), os.fsencode(name)))


def mkdir(name: str) -> Step:
    return lambda box: (box.src / name).mkdir()


def chmod(name: str, mode: int = 0o600) -> Step:
    return lambda box: (box.src / name).chmod(mode)


def rename(old: str, new: str) -> Step:
    """Names are relative to the source; ``../`` leads into the sandbox.

    The kernel queues the two ends of a move one after the other. A daemon that reads in between sees a move out and a
    move in: so it is stopped meanwhile.
    """

    def step(box: Box) -> None:
        with frozen(box):
            os.rename(box.src / old, box.src / new)

    return step


@contextlib.contextmanager
def frozen(box: Box) -> Iterator[None]:
    """The daemon stands still: what is done here reaches it all at once."""
    os.kill(box.pid(), signal.SIGSTOP)
    box.wait("the daemon to stand still", lambda: box.state() == "T")
    try:
        yield
    finally:
        os.kill(box.pid(), signal.SIGCONT)


def at_once(*steps: Step) -> Step:
    """Changes that the daemon finds in its kernel queue together."""

    def step(box: Box) -> None:
        with frozen(box):
            for one in steps:
                one(box)

    return step


def unlink(name: str) -> Step:
    return lambda box: (box.src / name).unlink()


def rmtree(name: str) -> Step:
    return lambda box: shutil.rmtree(box.src / name)


def put(name: str, text: str) -> Step:
    """Write a file of the sandbox, not of the source."""

    def step(box: Box) -> None:
        (box.root / name).write_text(box.fill(text))

    return step


def config(text: str) -> Step:
    """Replace the config file, for a reset."""
    return lambda box: box.write_config(text)


def kill(number: int = signal.SIGTERM) -> Step:
    return lambda box: os.kill(box.pid(), number)


def status(pattern: str) -> Step:
    """Wait until the status file (``status`` in the sandbox) matches, then keep it for comparison."""
    compiled = re.compile(pattern, re.M | re.S)

    def step(box: Box) -> None:
        seen = ""

        def matches() -> bool:
            nonlocal seen
            seen = box.text("status")
            return compiled.search(seen) is not None

        box.wait(f"{pattern!r} in the status file", matches)
        box.kept[f"status {len(box.kept) + 1}"] = seen

    return step


def ends() -> Step:
    """Wait until the daemon ends by itself."""

    def step(box: Box) -> None:
        try:
            box.wait("the end of the daemon", lambda: False)
        except StepFailed:
            if not box.ended():
                raise

    return step


def killed(box: Box) -> None:
    """End the daemon at once, where children still hold and its way of ending is not the matter."""
    os.kill(box.pid(), signal.SIGKILL)
    ends()(box)
