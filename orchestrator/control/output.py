"""The output of the command `orchestrator`: its report on stdout, and nothing else there.

A config that is loaded prints, so do plugins, and what is shown of names and of a daemon's answer is other people's
words: one line stays one line, and nothing in it steers the terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TextIO

from orchestrator.logic.message import printable
from orchestrator.logic.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Iterator


def clean(text: object) -> str:
    """Somebody else's text as one harmless line: passwords masked, what is no character to be seen written out."""
    return printable(mask(str(text)))


class Output:
    """Where the report goes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """A line of the report (see clean)."""
        self.raw(clean(text))

    def raw(self, text: str) -> None:
        """Text that is meant to be read by a program."""
        self._stream.write(text + "\n")

    def flush(self) -> None:
        """Have everything so far be seen: what follows may take long."""
        self._stream.flush()

    def terminal(self) -> os.terminal_size | None:
        """The size of the terminal that shows the report; None: a file or a pipe gets it."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return None
        # one that does not know its size says 0
        return os.terminal_size((size.columns or 80, size.lines or 24))

    def has_colour(self) -> bool:
        """Whether colours are wanted: by a terminal, unless NO_COLOR says otherwise (no-color.org)."""
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and self.terminal() is not None

    def complain(self, text: str) -> None:
        """A line on stderr."""
        sys.stderr.write(clean(text) + "\n")


@contextlib.contextmanager
def report() -> Iterator[Output]:
    """The report's way to stdout; whatever else is printed meanwhile, by Lua or Python, goes to stderr."""
    before, stream = sys.stdout, sys.__stdout__
    if stream is None or stream is not sys.stdout:  # of somebody who has called us, as a function
        with contextlib.redirect_stdout(sys.stderr):
            yield Output(before)
        return
    stream.flush()
    kept = os.dup(1)
    with open(kept, "w", encoding=stream.encoding, errors="backslashreplace") as out:
        os.dup2(2, 1)
        try:
            yield Output(out)
        finally:
            # also when the reader has gone: the flush that fails is the one of closing
            stream.flush()
            os.dup2(kept, 1)
