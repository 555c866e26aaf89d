"""One process of a tunnel: when it is started, counts as up, is given up (spec 4.6). Pure: time is an argument.

    DOWN → CONNECTING → UP               without a check
    DOWN → CONNECTING ⇄ CHECKING → UP    with one; failed too often: → ENDING
    any  → DOWN                          when the process has ended

`process/tunnel.py` starts and kills; it asks here what comes next, and when.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COMMAND: Final = "command"
POOL: Final = "pool"

LOCALPORT: Final = b"^localport"
LOCALHOST: Final = b"^localhost"
_ANY: Final = b"^local"

SHORTEST_LIFE: Final = 1.0
"""Seconds. A process that ended sooner has not been started well, even if `readyDelay` is shorter."""

SHORTEST_RETRY: Final = 0.1
"""Seconds. With a `retryDelay` of 0, a command that can't work would be started as fast as the machine can."""

SHORTEST_CHECK: Final = 0.1
"""Seconds between two checks."""

GRACE: Final = 5.0
"""Seconds that a process has to end after a TERM."""


class TunnelState(Enum):
    """What a process of a tunnel is about, for log and status."""

    DOWN = "DOWN"
    CONNECTING = "CONNECTING"
    CHECKING = "CHECKING"
    UP = "UP"
    ENDING = "ENDING"


class TunnelOptions(NamedTuple):
    """What `tunnel{…}` was given. Delays in seconds; commands hold `^localport` and `^localhost` as written."""

    name: str
    command: tuple[bytes, ...]
    mode: str = COMMAND
    parallel: int = 1
    retry_delay: float = 10.0
    ready_delay: float = 5.0
    check_command: tuple[bytes, ...] = ()
    check_exit_codes: frozenset[int] = frozenset({0})
    check_max_failed: int = 5
    localhost: bytes = b"localhost"


class Strand:
    """One of a tunnel's `parallel` processes. `due`: when its next step is to be taken by itself, None for never.

    `failures` counts starts in a row after which it did not come up.
    """

    def __init__(self, options: TunnelOptions) -> None:
        self._options = options
        self.state = TunnelState.DOWN
        self.due: float | None = None
        self.failures = 0
        self._failed_checks = 0
        self._started = 0.0

    def request(self, now: float) -> None:
        """To be started as soon as may be."""
        self.due = now

    def start(self, now: float) -> None:
        """DOWN → CONNECTING: it has been started."""
        self.state = TunnelState.CONNECTING
        self._started = now
        self._failed_checks = 0
        self.due = now + self._options.ready_delay

    def ripen(self) -> bool:
        """CONNECTING → UP, or CHECKING where there is a check (True): it has lived for `readyDelay`."""
        self.due = None
        if self._options.check_command:
            self.state = TunnelState.CHECKING
            return True
        self._come_up()
        return False

    def check(self, now: float, exit_code: int) -> None:
        """CHECKING → UP, CONNECTING or ENDING: the check has ended."""
        if exit_code in self._options.check_exit_codes:
            self._come_up()
            return
        self._failed_checks += 1
        if self._failed_checks < self._options.check_max_failed:
            self.state = TunnelState.CONNECTING
            self.due = now + max(self._options.ready_delay, SHORTEST_CHECK)
        else:
            self.state = TunnelState.ENDING
            self.due = now + GRACE

    def lose_patience(self) -> None:
        """ENDING, and it has not ended by itself: killed now, it will."""
        self.due = None

    def die(self, now: float) -> float:
        """Any state → DOWN: the process has ended. Returns in how many seconds it is to be started again.

        At once where it had been up, after `retryDelay` where it had never been.
        """
        is_failed = self.state is not TunnelState.UP or now - self._started < SHORTEST_LIFE
        self.state = TunnelState.DOWN
        self.failures = self.failures + 1 if is_failed else 0
        pause = max(self._options.retry_delay, SHORTEST_RETRY) if is_failed else 0.0
        self.due = now + pause
        return pause

    def _come_up(self) -> None:
        self.state = TunnelState.UP
        self.due = None


def status_of(strands: Iterable[Strand]) -> TunnelState:
    """A tunnel is up when any of its processes is; else it is what the furthest of them is."""
    states = {strand.state for strand in strands}
    for state in (TunnelState.UP, TunnelState.CHECKING, TunnelState.CONNECTING, TunnelState.ENDING):
        if state in states:
            return state
    return TunnelState.DOWN


def next_up(strands: Sequence[Strand], last: int) -> int | None:
    """The place of the next live process after `last`, in turn; None where none lives."""
    count = len(strands)
    for step in range(1, count + 1):
        place = (last + step) % count
        if strands[place].state is TunnelState.UP:
            return place
    return None


def fill(arguments: Iterable[bytes], localhost: bytes, port: int, names: Iterable[bytes] = ()) -> list[bytes]:
    """The arguments with `^localport` and `^localhost` replaced.

    `names` are paths of what is transferred (with leading slash). A file may be called `^localport`: where an
    argument ends with such a path, or with a directory above it, that end stays as it is.
    """
    kept = _ends(names)
    return [_filled(argument, localhost, b"%d" % port, kept) for argument in arguments]


def _filled(argument: bytes, localhost: bytes, port: bytes, kept: Sequence[bytes]) -> bytes:
    if _ANY not in argument:
        return argument
    head = len(argument)
    if kept:
        # a remote shell's quotes and a directory's slash may stand behind the name
        bare = argument.rstrip(b"/'\"")
        end = max((len(name) for name in kept if bare.endswith(name)), default=None)
        if end is not None:
            head = len(bare) - end
    return argument[:head].replace(LOCALPORT, port).replace(LOCALHOST, localhost) + argument[head:]


def _ends(names: Iterable[bytes]) -> list[bytes]:
    ends: set[bytes] = set()
    for name in names:
        path = name.strip(b"/")
        while _ANY in path and path not in ends:
            ends.add(path)
            path = path.rpartition(b"/")[0]
    return list(ends)
