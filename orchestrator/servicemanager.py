"""What systemd, or another service manager, is sent of a daemon: sd_notify(3), sd_watchdog_enabled(3).

Our own lines rather than a library: the protocol is one datagram to a socket that the environment names, and those
that there are (sdnotify, cysystemd) leave out the watchdog's process id, the full socket or the end of a fork.
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from orchestrator.clock import Clock

SUMMARY_INTERVAL = 1.0
"""Seconds between two lines of STATUS, at least."""

START_INTERVAL = 10.0
"""Seconds between two messages of a start that takes long, at least."""

START_EXTENSION = 60.0
"""Seconds that a start asks for each time; TimeoutStartSec would end that of a large tree otherwise."""

_DONT_WAIT = 0x40
"""socket.MSG_DONTWAIT, of a module that few daemons need."""

PATIENCE = 1
"""Seconds for which the daemon waits for room in the socket, where the service manager must hear of it."""


class ServiceManager:
    """The service manager that has started this process, if one wants to hear of it; else no method does anything.

    No method raises: what cannot be sent is left out, and no transfer is the worse for it. The socket stays open, so a
    daemon without descriptors still feeds the watchdog. `environment` is read once, before any fork: a daemon that
    goes to the background is the process that WATCHDOG_PID means.
    """

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._clock = clock
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = _open() if self._address else None
        self._feed_interval = _watchdog(environment) / 2 if self._socket else 0.0
        self._next_feed = clock.now() + self._feed_interval
        self._next_summary = self._next_extension = float("-inf")
        self._is_pending = False  # a summary that fell inside the interval
        self._summary = ""
        self._is_stopping = False

    @property
    def is_there(self) -> bool:
        """Whether anything is sent."""
        return self._socket is not None

    def ready(self) -> None:
        """The start, or a reload, is done."""
        self._send("READY=1", is_urgent=True)

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}", is_urgent=True)

    def stopping(self) -> None:
        """The end has begun."""
        if not self._is_stopping:
            self._is_stopping = True
            self._send("STOPPING=1", is_urgent=True)

    def main_process(self, pid: int) -> None:
        """The daemon is another process from now on. Only its parent is believed (systemd.service(5), NotifyAccess)."""
        self._send(f"MAINPID={pid}", is_urgent=True)

    def busy(self, *, is_starting: bool) -> None:
        """Long work goes on while the loop stands still. May be called often."""
        if self._socket is None:
            return
        now = self._clock.now()
        self._feed(now)
        if is_starting and now >= self._next_extension:
            self._next_extension = now + START_INTERVAL
            microseconds = int(START_EXTENSION * 1e6)
            self._send(f"EXTEND_TIMEOUT_USEC={microseconds}\nSTATUS=looking through the sources")

    def turned(self, summarize: Callable[[], str]) -> None:
        """The loop has come round: feed the watchdog, and send the summary where it is another one.

        A summary that comes too soon after the one before is sent when `limited` says.
        """
        if self._socket is None:
            return
        now = self._clock.now()
        self._feed(now)
        if now < self._next_summary:
            self._is_pending = True
            return
        self._next_summary = now + SUMMARY_INTERVAL
        summary = summarize()
        self._is_pending = summary != self._summary and not self._send(f"STATUS={summary}")
        if not self._is_pending:
            self._summary = summary

    def limited(self, timeout: float | None) -> float | None:
        """The seconds that the loop may sleep, where it would sleep for `timeout` seconds (None: for ever)."""
        if self._socket is None:
            return timeout
        times = [] if timeout is None else [timeout]
        now = self._clock.now()
        if self._feed_interval:
            times.append(max(0.0, self._next_feed - now))
        if self._is_pending:
            times.append(max(0.0, self._next_summary - now))
        return min(times, default=None)

    def close(self) -> None:
        """Send nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _feed(self, now: float) -> None:
        if self._feed_interval and now >= self._next_feed:
            self._next_feed = now + self._feed_interval
            self._send("WATCHDOG=1")

    def _send(self, message: str, *, is_urgent: bool = False) -> bool:
        """Whether it was sent. The loop waits for room only with what is urgent."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(message.encode(), 0 if is_urgent else _DONT_WAIT, self._address)
        except OSError:
            return False
        return True


def _open() -> socket.socket | None:
    import socket  # late: few daemons need it

    try:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    except OSError:
        return None
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE, 0))
    return opened


def _address(named: str) -> bytes:
    """That of a socket in the file system, or an abstract one; empty for none, and for kinds that are no AF_UNIX."""
    if named.startswith("@"):
        return b"\0" + os.fsencode(named[1:])
    return os.fsencode(named) if named.startswith("/") else b""


def _watchdog(environment: Mapping[str, str]) -> float:
    """The seconds after which a process that was not heard of is killed; 0: nobody waits for this one."""
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        pid = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return 0.0
    return max(0, microseconds) / 1e6 if pid == os.getpid() else 0.0
