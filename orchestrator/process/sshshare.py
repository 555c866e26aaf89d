"""ssh connections that the transfers of all syncs to one host share (`sshShare`, spec 4.8).

A shared connection is an ssh of the daemon's own (`ControlMaster` in ssh_config(5)): a helper, started with the first
transfer to a host, ended when no transfer has used it for some time, and with the daemon. No transfer waits for it or
depends on it: an ssh that finds nobody at the socket connects by itself. An ssh that accepts and does not answer could
keep a transfer from its end: so each transfer that uses a connection sends a question of its own through the socket,
and where no answer comes, the connection is killed. A way that is dead beyond the socket is found by ssh
itself (`ServerAliveInterval`). A transfer that ended with its connection is started again at once, without it.
"""

from __future__ import annotations

import os
import signal
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.logic.backoff import Backoff
from orchestrator.logic.cause import cause_of
from orchestrator.logic.endpoint import UNREACHABLE
from orchestrator.logic.text import counted, text_of, to_bytes
from orchestrator.process.privatedir import make_private_directory

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from orchestrator.clock import Clock
    from orchestrator.logic.alarms import Alarms
    from orchestrator.process.child import Child
    from orchestrator.process.processes import LogLike, Processes

MOST: Final = 10
"""Transfers that use one connection at the same time: sshd's MaxSessions, unless somebody has changed it."""

PATIENCE: Final = 5.0
"""Seconds that the ssh of a connection has for an answer, which it gives within milliseconds."""

FIRST_PAUSE: Final = 10.0
"""Seconds until a connection that has failed is opened again; doubled while it fails."""

LONGEST_SOCKET: Final = 107
"""Bytes of the path of a Unix socket (unix(7)), without the NUL."""

SUFFIX: Final = ".1234567890123456"
"""ssh binds its socket under the name with such a suffix, and then renames it."""

GRACE: Final = 10.0
"""Seconds after a reload until a connection is closed that no transfer has asked for since."""

_NAME = 8

_OPTIONS: Final = (
    ("ControlMaster", "yes"),
    ("ControlPersist", "no"),
    ("ClearAllForwardings", "yes"),
    ("ServerAliveInterval", "5"),
    ("ServerAliveCountMax", "3"),
    ("LogLevel", "ERROR"),
)
"""Of a connection's ssh. The user's own come before, and the first value counts."""

_HELLO = struct.pack(">III", 8, 1, 4)
_ARE_YOU_ALIVE = struct.pack(">III", 8, 0x10000004, 0)
"""Messages of ssh's protocol for shared connections (PROTOCOL.mux in its source)."""


class SshReport(NamedTuple):
    """A shared connection, for the status. `pid` None: it is not open. `transfers`: that use it now."""

    host: str
    pid: int | None
    transfers: int


class SshConnections:
    """Those of one configuration. `deadlines`: alarms that are minded while the daemon fades, too."""

    def __init__(self, processes: Processes, clock: Clock, alarms: Alarms, deadlines: Alarms, log: LogLike) -> None:
        self.processes = processes
        self.clock = clock
        self.alarms = alarms
        self.deadlines = deadlines
        self.log = log
        self._connections: dict[tuple[str, ...], SshConnection] = {}
        self._directory: str | None = None
        self._has_directory = True
        self._is_closed = False

    def share(self, command: Sequence[str], host: str, idle: float) -> SshConnection | None:
        """The connection of `COMMAND… HOST`; None: a transfer has to connect by itself, now.

        It is opened if it is not. `idle`: seconds after which it is closed when no transfer uses it.
        """
        import hashlib  # late: most daemons have no use for it, and it brings OpenSSL along

        directory = self._private_directory()
        if directory is None or self._is_closed:
            return None
        key = (*command, host)
        connection = self._connections.get(key)
        if connection is None:
            name = hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()[:_NAME]
            connection = self._connections[key] = SshConnection(self, key, f"{directory}/{name}")
        return connection if connection.is_to_be_used(idle) else None

    def report(self) -> list[SshReport]:
        """All that were opened so far."""
        return [connection.report() for connection in self._connections.values()]

    def renew(self) -> None:
        """Another configuration is at work: what it does not need is closed."""
        for connection in self._connections.values():
            connection.renew()

    def close(self) -> None:
        """Tell all of them to end. None is opened any more, and nobody waits for an answer."""
        self._is_closed = True
        for connection in self._connections.values():
            connection.close()
            connection.forget_questions()
        if self._directory is not None:
            try:
                os.rmdir(self._directory)
            except OSError:
                pass  # somebody else's file in it: leave that to him

    def _private_directory(self) -> str | None:
        if self._directory is None and self._has_directory:
            self._directory = make_private_directory(LONGEST_SOCKET - len("/") - _NAME - len(SUFFIX))
            self._has_directory = self._directory is not None
            if not self._has_directory:
                self.log("Warn", "sshShare: there is no safe place for a socket, so no ssh connection is shared.")
        return self._directory


class SshConnection:
    """One connection. `options`: what the ssh of a transfer gets to use it."""

    def __init__(self, owner: SshConnections, key: Sequence[str], path: str) -> None:
        self.options = ("-o", "ControlMaster=no", "-o", f"ControlPath={path}")
        self.child: Child | None = None
        self.path = path
        self._owner = owner
        self._command = key[:-1]
        self._host = key[-1]
        self._idle = 0.0
        self._unused_since = 0.0
        self._has_idle_timer = False
        self._has_hang_timer = False
        self._is_wanted = True
        self._uses: dict[SshUse, None] = {}
        self._backoff = Backoff(FIRST_PAUSE)
        self._not_before = 0.0

    def is_to_be_used(self, idle: float) -> bool:
        """Whether one more transfer is to use it. It is opened if it is not."""
        self._idle = max(self._idle, idle)
        self._is_wanted = True
        if self.child is None:
            if self._owner.clock.now() < self._not_before:
                return False
            self._open()
        return len(self._uses) < MOST

    def begin(self) -> SshUse:
        """A transfer begins that was given `options`."""
        use = SshUse(self, self._owner.clock.now())
        self._uses[use] = None
        if use.went_through and not self._has_hang_timer:
            self._set_hang_timer(use.started + PATIENCE)
        return use

    def over(self, use: SshUse, exit_code: int) -> None:
        """A transfer has ended."""
        self._uses.pop(use, None)
        self._unused_since = self._owner.clock.now()
        if use.went_through and exit_code not in UNREACHABLE:
            self._backoff.succeed()
        self._set_idle_timer()

    def report(self) -> SshReport:
        return SshReport(self._host, None if self.child is None else self.child.pid, len(self._uses))

    def renew(self) -> None:
        """It is closed if nobody asks for it from now on, and stays open for as long as the next ones say."""
        self._idle = 0.0
        self._is_wanted = False
        self._set_grace_timer()

    def _set_grace_timer(self) -> None:
        self._owner.alarms.add(self._owner.clock.now() + GRACE, self._close_if_unwanted)

    def _close_if_unwanted(self) -> None:
        if self._is_wanted:
            return
        if self._uses:
            self._set_grace_timer()
        else:
            self.close()

    def close(self) -> None:
        """Tell it to end."""
        child, self.child = self.child, None
        if child is not None:
            self._owner.processes.kill(child, signal.SIGTERM)
        self._unlink()

    def forget_questions(self) -> None:
        for use in self._uses:
            use.forget_question()

    def fail(self, why: str) -> None:
        """It is of no use any more; the next transfers connect by themselves."""
        child, self.child = self.child, None
        if child is not None:
            self._owner.processes.kill(child, signal.SIGKILL)
        self._unlink()
        is_news = not self._backoff.failures
        pause = self._backoff.fail()
        self._not_before = self._owner.clock.now() + pause
        self._owner.log(
            "Warn" if is_news else "Debug",
            f"the ssh connection that transfers to {self._host} share {why}; they connect by themselves, "
            f"and it is tried again after {counted(round(pause), 'second')}.",
        )

    def answers(self) -> bool:
        """Whether there is still somebody at the socket."""
        probe = _knock(self.path)
        if probe is None:
            return False
        probe.close()
        return True

    def _open(self) -> None:
        self._unused_since = self._owner.clock.now()
        self._unlink()
        options = [word for key, value in _OPTIONS for word in ("-o", f"{key}={value}")]
        argv = [*self._command, "-N", *options, "-o", f"ControlPath={self.path}", self._host]
        self.child = self._owner.processes.spawn(
            list(map(to_bytes, argv)),
            stdin=b"",
            on_exit=self._ended,
            stderr_tail=True,
            on_stderr_line=lambda line: None,  # the transfers' own ssh says the same
            is_transfer=False,
        )
        self._set_idle_timer()

    def _ended(self, child: Child, exit_code: int) -> None:
        if child is self.child:
            self.child = None
            cause = child.error or text_of(cause_of(child.stderr_tail))
            self.fail(f"has ended ({exit_code}{': ' if cause else ''}{cause})")

    def _unlink(self) -> None:
        try:
            os.unlink(self.path)
        except OSError:
            pass

    # ---- timers: one of each kind, however many transfers there are ----------------------------

    def _set_idle_timer(self) -> None:
        if self.child is not None and not self._uses and not self._has_idle_timer:
            self._has_idle_timer = True
            self._owner.alarms.add(self._unused_since + self._idle, self._close_if_unused)

    def _close_if_unused(self) -> None:
        self._has_idle_timer = False
        if self._owner.clock.now() >= self._unused_since + self._idle and not self._uses:
            self.close()
        self._set_idle_timer()

    def _set_hang_timer(self, when: float) -> None:
        self._has_hang_timer = True
        self._owner.deadlines.add(when, self._look_for_hang)

    def _look_for_hang(self) -> None:
        self._has_hang_timer = False
        now = self._owner.clock.now()
        due = [use for use in self._uses if use.asked_at is not None and use.asked_at + PATIENCE <= now]
        if not all(use.was_answered() for use in due):
            self.fail("does not answer")
            return
        waiting = [use.asked_at for use in self._uses if use.asked_at is not None]
        if waiting:
            self._set_hang_timer(min(waiting) + PATIENCE)


class SshUse:
    """One transfer that uses a connection. `went_through`: the connection was open at its start, so that it goes
    through it and not by itself. `asked_at`: when an answer was asked for that is not known to have come."""

    def __init__(self, connection: SshConnection, started: float) -> None:
        self.started = started
        self.asked_at: float | None = None
        self._connection = connection
        self._child = connection.child
        self._probe = None if connection.child is None else _knock(connection.path)
        self.went_through = self._probe is not None
        if self.went_through:
            self.asked_at = started

    def was_answered(self) -> bool:
        """Whether the answer has come, or the connection has ended, which is known otherwise."""
        if self._probe is None:
            return True
        try:
            self._probe.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            pass
        self.forget_question()
        return True

    def end(self, exit_code: int) -> bool:
        """The transfer has ended. Whether its connection ended before: it is to be started again, without that."""
        self.forget_question()
        connection = self._connection
        connection.over(self, exit_code)
        if not self.went_through or exit_code not in UNREACHABLE:
            return False
        if connection.child is self._child:
            if connection.answers():
                return False  # it is the other side's affair
            connection.fail("is broken")
        return True

    def forget_question(self) -> None:
        """No answer is waited for any more."""
        if self._probe is not None:
            self._probe.close()
        self._probe = None
        self.asked_at = None


def _knock(path: str) -> socket.socket | None:
    """Ask whoever is at a socket for an answer; None: nobody is."""
    import socket  # late: few daemons need it

    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
        probe.send(_HELLO + _ARE_YOU_ALIVE)
    except OSError:
        probe.close()
        return None
    return probe
