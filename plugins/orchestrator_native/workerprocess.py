"""This side of helper.py: more processors for the comparing at startup.

Python's threads cannot compare side by side (see run.py); processes can. They are taken on only for trees so
large that it pays, and hardly more of them than there are processors.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native import helper

if TYPE_CHECKING:
    from orchestrator_native.rules import CopyRule
    from orchestrator_native.trees import OpenTree


class Equal(NamedTuple):
    """Two directories that plainly hold the same: their identities, and the names of their sub-directories."""

    source: int
    target: int
    names: list[str]


class WorkerProcess:
    """One helper process. Raises OSError where it cannot be had or has died; then do without."""

    def __init__(self, source: OpenTree, target: OpenTree, rule: CopyRule) -> None:
        if not sys.executable:
            raise FileNotFoundError("no interpreter to be started")
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

    def ask(self, paths: list[str]) -> list[Equal | None]:
        """For each path what was found; None where one has to look oneself."""
        to, come = self._process.stdin, self._process.stdout
        if to is None or come is None:
            raise BrokenPipeError
        helper.write_message(to.fileno(), os.fsencode("\0".join(paths)))
        message = helper.read_message(come.fileno())
        answers = [] if message is None else message.split(b"\0")
        if len(answers) != len(paths):
            raise BrokenPipeError
        return [_equal(answer) for answer in answers]

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def _equal(answer: bytes) -> Equal | None:
    if not answer.startswith(b"="):
        return None
    identities, *names = os.fsdecode(answer[1:]).split("/")
    source, target = identities.split(",")
    return Equal(int(source), int(target), names)


def processors() -> int:
    return len(os.sched_getaffinity(0))
