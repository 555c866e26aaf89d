"""A program that turns a tree upside down until it is told to stop: `churner.py TOP SEED`, its end: its stdin closed.

It works in TOP/src and TOP/out: makes, fills, renames and removes directories at any depth, swaps branches of a big
tree (TOP/src/big, see `plant`) in, out and around, and writes files. Imports nothing of ours: it is to be fast.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import sys
from contextlib import suppress

NAMES = [b"a", b"b", b"c", b"d"]


def plant(top: bytes, branches: int, twigs: int) -> None:
    """The big tree: so many branches with so many directories each, a file in each of those."""
    for branch in range(branches):
        _branch(top + b"/src/big/x%d" % branch, twigs)


def _branch(path: bytes, twigs: int) -> None:
    for twig in range(twigs):
        os.makedirs(path + b"/y%d" % twig)
        _write(path + b"/y%d/f" % twig, b"")


def _write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


class Churner:
    """`step()` does one thing; what cannot be done is not."""

    def __init__(self, top: bytes, seed: int) -> None:
        self._top = top
        self._dice = random.Random(seed)
        self._count = 0

    def step(self) -> None:
        self._count += 1
        with suppress(OSError):
            self._act()

    def _somewhere(self) -> bytes:
        dice = self._dice
        path = self._top + (b"/src" if dice.random() < 0.85 else b"/out")
        for _ in range(dice.randrange(1, 5)):
            path += b"/" + dice.choice(NAMES)
        return path

    def _big(self) -> bytes:
        branches = os.listdir(self._top + b"/src/big") or [b"x0"]
        return self._top + b"/src/big/" + self._dice.choice(branches)

    def _act(self) -> None:
        dice, path = self._dice, self._somewhere()
        data = b"." * self._count  # of a size of its own: rsync takes what was written in the same second for the same
        kind = dice.randrange(16)
        if kind < 4:
            os.makedirs(path, exist_ok=True)
            _write(path + b"/f", data)
        elif kind < 6:
            _write(path, data)
        elif kind == 6:
            shutil.rmtree(path)
        elif kind == 7:
            os.unlink(path)
        elif kind < 11:
            os.rename(path, self._somewhere())
        elif kind == 11:
            os.rename(self._big(), path)
        elif kind == 12:
            os.rename(path, self._top + b"/src/big/" + dice.choice(NAMES))
        elif kind == 13:
            os.rename(self._big(), self._top + b"/src/big/z%d" % dice.randrange(10))
        elif kind == 14:
            branch = self._big()
            shutil.rmtree(branch)
            _branch(branch, 5)
        else:
            with open(self._big() + b"/y%d/f" % dice.randrange(20), "ab") as file:
                file.write(data)


if __name__ == "__main__":
    churner = Churner(os.fsencode(sys.argv[1]), int(sys.argv[2]))
    pause = float(sys.argv[3])
    while not select.select([sys.stdin], [], [], pause)[0]:
        churner.step()
