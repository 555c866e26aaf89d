"""Another process that compares directories: `quick_compare`, asked over a pipe. Run as a program (workerprocess.py).

It only reads, and only knows how to say "plainly the same" or "look yourself"; so whatever becomes of it
(killed, out of memory) costs nothing but time. It ends when its input does.

A message is its length (4 bytes) and that many bytes. Question: paths, NUL between them. Answer: for each
path, NUL between them, `-` or `=` and, `/` between them, the identities of both directories (a comma between them)
and the names of the sub-directories.
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

from orchestrator_native.quickcompare import quick_compare
from orchestrator_native.rules import CopyRule, Trust, identity
from orchestrator_native.trees import OpenTree

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


def answer(source: OpenTree, target: OpenTree, path: str, rule: CopyRule) -> bytes:
    try:
        here, there = source.open(path), target.open(path)
        names = quick_compare(here, there, rule, alone=True)
        mine, other = os.fstat(here), os.fstat(there)
    except OSError:
        return b"-"
    if names is None:
        return b"-"
    return b"=" + os.fsencode("/".join([f"{identity(mine)},{identity(other)}", *names]))


def serve(source: OpenTree, target: OpenTree, rule: CopyRule) -> None:
    while (question := read_message(0)) is not None:
        paths = os.fsdecode(question).split("\0")
        write_message(1, b"\0".join(answer(source, target, path, rule) for path in paths))


if __name__ == "__main__":
    serve(OpenTree(int(sys.argv[1])), OpenTree(int(sys.argv[2])), unpacked(sys.argv[3]))
