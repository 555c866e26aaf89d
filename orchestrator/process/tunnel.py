"""Keeps the processes of one tunnel running (spec 4.6), and says which of them the next transfer goes through.

The next step, and its time, is decided in logic/tunnel.py; here are the children. A tunnel is no transfer: its
processes are not counted (see Processes), so nothing waits for them, and they are killed after the last transfer.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.logic.text import counted
from orchestrator.logic.tunnel import LOCALPORT, Strand, TunnelOptions, TunnelState, fill, next_up, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orchestrator.clock import Clock
    from orchestrator.logic.alarms import Alarms
    from orchestrator.process.child import Child
    from orchestrator.process.processes import LogLike, Processes

LOOPBACK = "127.0.0.1"


class Running(NamedTuple):
    """A process of a tunnel, for the status file. `started` in seconds since 1970."""

    pid: int
    kind: str
    started: float


class _Line:
    """A strand with its children and its port."""

    def __init__(self, options: TunnelOptions) -> None:
        self.strand = Strand(options)
        self.port = 0
        self.child: Child | None = None
        self.checking: Child | None = None


class Tunnel:
    """One tunnel of a config. Made when that is loaded, started and closed with the syncs."""

    def __init__(
        self, options: TunnelOptions, processes: Processes, clock: Clock, alarms: Alarms, log: LogLike
    ) -> None:
        self.options = options
        self._processes = processes
        self._clock = clock
        self._alarms = alarms
        self._log = log
        self._lines = [_Line(options) for _ in range(options.parallel)]
        self._strands = [line.strand for line in self._lines]
        self._last = -1
        self._is_closed = False
        self._status = TunnelState.DOWN
        self._when_up: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        return self.options.name

    @property
    def status(self) -> TunnelState:
        return status_of(self._strands)

    @property
    def is_up(self) -> bool:
        return self.status is TunnelState.UP

    def when_up(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the tunnel has come up."""
        self._when_up.append(callback)

    def no_longer_when_up(self, callback: Callable[[], None]) -> None:
        """Undo `when_up`."""
        self._when_up.remove(callback)

    def start(self) -> None:
        """Start the processes, and keep them running from now on."""
        for line in self._lines:
            line.strand.request(self._clock.now())
        self._turn()

    def close(self) -> None:
        """Tell all of them to end (TERM). Nothing is started any more."""
        self._is_closed = True
        self._kill(signal.SIGTERM)

    def kill(self) -> None:
        """End those that have not done so after `close`."""
        self._kill(signal.SIGKILL)

    def _kill(self, signum: signal.Signals) -> None:
        for line in self._lines:
            for child in (line.checking, line.child):
                if child is not None:
                    self._processes.kill(child, signum)

    def through(self, arguments: Iterable[bytes], names: Sequence[bytes]) -> list[bytes] | None:
        """A transfer's arguments for the next live process, in turn; None where none lives.

        `names` are the paths of what is transferred: nothing in them is replaced.
        """
        place = next_up(self._strands, self._last)
        if place is None:
            return None
        self._last = place
        return fill(arguments, self.options.localhost, self._lines[place].port, names)

    def running(self) -> list[Running]:
        """What runs now."""
        children = [(line.child, "tunnel") for line in self._lines] + [(line.checking, "check") for line in self._lines]
        offset = self._clock.wall() - self._clock.now()
        return [Running(child.pid, kind, child.started + offset) for child, kind in children if child and child.pid]

    # ---- what is due --------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._is_closed:
            return
        now = self._clock.now()
        for line in self._lines:
            if line.strand.due is not None and line.strand.due <= now:
                self._step(line, now)

    def _step(self, line: _Line, now: float) -> None:
        if line.strand.state is TunnelState.DOWN:
            self._start(line, now)
        elif line.strand.state is TunnelState.CONNECTING:
            if line.strand.ripen():
                line.checking = self._spawn(line, self.options.check_command, self._checked)
        elif line.strand.state is TunnelState.ENDING and line.child is not None:
            line.strand.lose_patience()
            self._processes.kill(line.child, signal.SIGKILL)
        self._changed(line)

    def _start(self, line: _Line, now: float) -> None:
        line.port = free_port({other.port for other in self._lines}) if self._needs_port() else 0
        line.strand.start(now)
        line.child = self._spawn(line, self.options.command, self._died)
        port = f" for port {line.port}" if line.port else ""
        self._log("Tunnel", f"{self.name}: process {line.child.pid} started{port}")

    def _needs_port(self) -> bool:
        return any(LOCALPORT in argument for argument in (*self.options.command, *self.options.check_command))

    def _spawn(self, line: _Line, command: Iterable[bytes], ended: Callable[[_Line, Child, int], None]) -> Child:
        argv = fill(command, self.options.localhost, line.port)
        return self._processes.spawn(argv, on_exit=lambda child, code: ended(line, child, code), is_transfer=False)

    # ---- what happened ------------------------------------------------------------------------

    def _checked(self, line: _Line, child: Child, exit_code: int) -> None:
        if child is not line.checking:
            return  # of a process that has ended meanwhile
        line.checking = None
        line.strand.check(self._clock.now(), exit_code)
        said = f"{self.name}: the check ended with exit code {exit_code}"
        if line.strand.state is TunnelState.ENDING and line.child is not None:
            self._log("Warn", said, f", ending process {line.child.pid}.")
            self._processes.kill(line.child, signal.SIGTERM)
        else:
            self._log("Tunnel", said)
        self._changed(line)

    def _died(self, line: _Line, child: Child, exit_code: int) -> None:
        line.child = None
        if line.checking is not None:
            self._processes.kill(line.checking, signal.SIGKILL)
            line.checking = None
        if self._is_closed:
            return
        pause = line.strand.die(self._clock.now())
        again = f"in {counted(pause, 'second')}" if pause else "now"
        # a tunnel that can't be made says so once, not at every try
        self._log(
            "Warn" if line.strand.failures <= 1 else "Tunnel",
            f"{self.name}: process {child.pid} ended with exit code {exit_code}, starting it again {again}.",
        )
        self._changed(line)

    def _changed(self, line: _Line) -> None:
        strand = line.strand
        if strand.due is not None:
            self._alarms.add(strand.due, self._turn)
        if line.child is not None:
            category = "Normal" if strand.state is TunnelState.UP and strand.failures else "Tunnel"
            self._log(category, f"{self.name}: process {line.child.pid} is {strand.state.value}")
        if self.status is self._status:
            return
        was_up, self._status = self._status is TunnelState.UP, self.status
        self._log("Tunnel", f"{self.name} is {self._status.value}")
        if self._status is TunnelState.UP and not was_up:
            for callback in self._when_up:
                callback()


def free_port(but: Iterable[int] = ()) -> int:
    """A TCP port that nobody listens on now, none of `but`. Somebody else may take it before we do."""
    while True:
        import socket

        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in but:
            return port
