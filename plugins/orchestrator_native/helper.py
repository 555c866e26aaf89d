"""Another process that compares directories: `quick_compare`, asked over a pipe. Run as a program (workerprocess.py).

It only reads, and only knows how to say "plainly the same" or "look yourself"; so whatever becomes of it
(killed, out of memory) costs nothing but time. It ends when its input does.

A message is its length (4 bytes) and that many bytes. Question: paths, NUL between them; `/NUMBER/PARTS/` before one
stands for a part of its entries. Answer: for each path, NUL between them, `-`; `+` where the directory is so large that
one should ask for parts; or `=` and, `/` between them, the identities of both directories (a comma between them) and
the names of the sub-directories.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import types

if __name__ == "__main__":
    # The package as a whole imports the daemon's interface, which takes ten times as long as all of this.
    package = types.ModuleType("orchestrator_native")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["orchestrator_native"] = package

from orchestrator_native.quickcompare import LARGE, WHOLE, Part, quick_compare
from orchestrator_native.rules import CopyRule, Trust, identity
from orchestrator_native.trees import DIRECTORY, OpenTree

LENGTH = struct.Struct("!I")


def read_message(fd: int) -> bytes | None:
    """None: the other side has closed."""
    head = _read(fd, LENGTH.size)
    return None if head is None else _read(fd, LENGTH.unpack(head)[0])


def write_message(fd: int, message: bytes) -> None:
    view = memoryview(LENGTH.pack(len(message)) + message)
    while view:
        view = view[os.write(fd, view) :]


def _read(fd: int, count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = os.read(fd, count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def packed(rule: CopyRule) -> str:
    return json.dumps([rule.root, sorted(rule.groups), rule.granularity, rule.xattrs, rule.hard_links, rule.trust])


def unpacked(text: str) -> CopyRule:
    root, groups, granularity, by_xattrs, hard_links, trust = json.loads(text)
    return CopyRule(root, frozenset(groups), granularity, by_xattrs, hard_links, Trust(trust))


def question(path: str, part: Part) -> str:
    """A part of a directory, as it is asked for."""
    return f"/{part.number}/{part.parts}/{path}"


def asked_for(question: str) -> tuple[str, Part]:
    """The directory, and which part of it."""
    if not question.startswith("/"):
        return question, WHOLE
    _, number, parts, path = question.split("/", 3)
    return path, Part(int(number), int(parts))


def answer(source: OpenTree, target: OpenTree, question: str, rule: CopyRule) -> bytes:
    path, part = asked_for(question)
    try:
        here, there = source.open(path), target.open(path)
        mine, other = os.fstat(here), os.fstat(there)
        if part is WHOLE and mine.st_size >= LARGE:
            return b"+"
        names = quick_compare(here, there, rule, alone=True, part=part)
    except OSError:
        return b"-"
    if names is None:
        return b"-"
    return b"=" + os.fsencode("/".join([f"{identity(mine)},{identity(other)}", *names]))


def serve(source: OpenTree, target: OpenTree, rule: CopyRule) -> None:
    while (message := read_message(0)) is not None:
        questions = os.fsdecode(message).split("\0")
        write_message(1, b"\0".join(answer(source, target, question, rule) for question in questions))


def reopened(root: int) -> OpenTree:
    """A tree with a root of our own: one that is inherited has one place of reading in all processes."""
    return OpenTree(os.open(".", DIRECTORY, dir_fd=root))


if __name__ == "__main__":
    serve(reopened(int(sys.argv[1])), reopened(int(sys.argv[2])), unpacked(sys.argv[3]))
