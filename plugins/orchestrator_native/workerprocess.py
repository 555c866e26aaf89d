"""This side of helper.py: more processors for the comparing at startup.

Python's threads cannot compare side by side (see pool.py); processes can. They are taken on only for trees so
large that it pays, and hardly more of them than there are processors.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native import helper
from orchestrator_native.report import Stopped

if TYPE_CHECKING:
    import threading

    from orchestrator_native.rules import CopyRule
    from orchestrator_native.trees import OpenTree


HURRY = 200
"""Milliseconds after which a stop is noticed while a helper is at work."""


class Unlike(Enum):
    """Two directories that do not plainly hold the same, or too much for one question."""

    DIFFERENT = b"-"
    LARGE = b"+"


class Equal(NamedTuple):
    """Two directories that plainly hold the same: their identities, and the names of their sub-directories."""

    source: int
    target: int
    names: list[str]


class WorkerProcess:
    """One helper process. Raises OSError where it cannot be had or has died; then do without.

    `since`: when it was started (perf_counter).
    """

    def __init__(self, source: OpenTree, target: OpenTree, rule: CopyRule) -> None:
        if not sys.executable:
            raise FileNotFoundError("no interpreter to be started")
        self.since = time.perf_counter()
        fds = (source.root, target.root)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", helper.__file__, *map(str, fds), helper.packed(rule)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=fds,
            start_new_session=True,
            bufsize=0,
        )

    def ask(self, questions: list[str], stop: threading.Event) -> list[Equal | Unlike]:
        """The findings, for each path or part of one (`helper.question`). Raises OSError, Stopped."""
        to, come = self._process.stdin, self._process.stdout
        if to is None or come is None:
            raise BrokenPipeError
        helper.write_message(to.fileno(), os.fsencode("\0".join(questions)))
        ready = select.poll()
        ready.register(come.fileno(), select.POLLIN)
        while not ready.poll(HURRY):
            if stop.is_set():
                raise Stopped
        message = helper.read_message(come.fileno())
        answers = [] if message is None else message.split(b"\0")
        if len(answers) != len(questions):
            raise BrokenPipeError
        return [_read(answer) for answer in answers]

    def close(self) -> None:
        """End it, whatever it does: it only reads."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def _read(answer: bytes) -> Equal | Unlike:
    if not answer.startswith(b"="):
        return Unlike(answer)
    identities, *names = os.fsdecode(answer[1:]).split("/")
    source, target = identities.split(",")
    return Equal(int(source), int(target), names)
