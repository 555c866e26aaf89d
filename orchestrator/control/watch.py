"""`orchestrator status --watch`: the table, drawn again whenever something has changed.

The daemon says when that is (a subscription); between two of its events only the ages in the table grow. Nothing of
the terminal's state is changed, so whatever ends the command leaves it as it was.
"""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orchestrator.control import client
from orchestrator.control.asking import CHANGES_STATUS, ask, attention
from orchestrator.control.exits import NO_DAEMON, WRONG_CALL, Refused
from orchestrator.control.table import table

if TYPE_CHECKING:
    import argparse
    import os
    from collections.abc import Sequence

    from orchestrator.control.answer import StatusAnswer
    from orchestrator.control.output import Output

OFTEN: Final = 0.5
"""Seconds between two questions to the daemon, at least."""
TICK: Final = 1.0
"""Seconds after which ages have grown."""

_CLEAR: Final = "\x1b[2J"
_HOME: Final = "\x1b[H"
_END_OF_LINE: Final = "\x1b[K"
_BELOW: Final = "\x1b[J"


def watch(options: argparse.Namespace, output: Output) -> int:
    """Draw until Ctrl-C. Returns the exit status, for the last table. Raises Refused when the daemon has gone."""
    if options.json or output.terminal() is None:
        raise Refused("--watch needs a terminal; `orchestrator events` follows a daemon without one", WRONG_CALL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answer: StatusAnswer | None = None
    try:
        with (
            client.reach(options.socket, options.pid) as daemon,
            client.connect(daemon.path) as teller,
        ):
            changes = _Changes(teller, options.syncs)
            output.raw(_CLEAR)
            while True:
                changes.clear()
                _, answer = ask(daemon, options.syncs)
                asked = time.monotonic()
                _draw(answer, output)
                while not changes.wait(TICK, asked + OFTEN):
                    _draw(replace(answer, time=answer.time + time.monotonic() - asked), output)
                if changes.is_over:
                    raise Refused("the daemon has ended", NO_DAEMON)
    except KeyboardInterrupt:
        return 0 if answer is None else attention(answer, output)


class _Changes:
    """The daemon's events, read in a thread: all that is kept of them is that there were some."""

    def __init__(self, teller: client.Connection, syncs: Sequence[str]) -> None:
        teller.ask("subscribe", syncs=[*syncs] or None, topics=[*CHANGES_STATUS])
        self._event = threading.Event()
        self.is_over = False
        threading.Thread(target=self._read, args=(teller,), daemon=True).start()

    def _read(self, teller: client.Connection) -> None:
        try:
            for _ in teller.events():
                self._event.set()
        except (Refused, OSError, ValueError):
            pass  # it has gone, or the main thread has hung up
        self.is_over = True
        self._event.set()

    def clear(self) -> None:
        if not self.is_over:
            self._event.clear()

    def wait(self, seconds: float, not_before: float) -> bool:
        """Wait until there are some, so many seconds at most. Whether there were; true at that time the earliest."""
        if not self._event.wait(seconds):
            return False
        time.sleep(max(0.0, not_before - time.monotonic()))
        return True


def _draw(answer: StatusAnswer, output: Output) -> None:
    size = output.terminal()
    if size is None:
        return
    lines = list(table(answer, size.columns, is_coloured=output.has_colour()))
    shown = _fitting(lines, size)
    output.raw(_HOME + "".join(f"{line}{_END_OF_LINE}\n" for line in shown) + _BELOW)
    output.flush()


def _fitting(lines: Sequence[str], size: os.terminal_size) -> Sequence[str]:
    """As many as there is room for; the summary at the end stays."""
    room = size.lines - 2
    if len(lines) <= room:
        return lines
    end = lines[lines.index("") :] if "" in lines else lines
    kept = max(0, room - len(end) - 1)
    return [*lines[:kept], f"({len(lines) - len(end) - kept} more lines; name the syncs to see them)", *end]
