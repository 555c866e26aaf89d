"""The loop that everything happens in: waits for descriptors, signals and other threads (spec 3.8).

It decides when something is called, never what is done. Time comes in as a timeout: what is due
when is the runner's knowledge.

How signals get here. The ways weighed:

* Doing the work in the handler: runs between any two bytecodes, so every structure would have to
  bear being half changed.
* signalfd(2): needs the signals blocked, and a blocked mask is inherited by every child and by
  every program that a Lua config starts with os.execute.
* pidfd_open(2) for children: exact, but one descriptor for each child, and none can be had at the
  very moment when descriptors have run out, which is when children must still be collected.
* signal.set_wakeup_fd: C writes one byte into a pipe, poll returns, and the Python handler has
  done nothing but note the number. One pipe for all signals and for all threads that want the
  loop awake, nothing is blocked. This one.

SIGCHLD says that some child ended, not which. So the collector asks waitpid for each child of its
own and never for "any": a child that Lua's io.popen started must be left for Lua to collect.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from types import FrameType

Callback = Callable[[], object]

_IS_READABLE, _IS_WRITABLE = select.POLLIN, select.POLLOUT
_KINDS = ((0, ~_IS_WRITABLE), (1, ~_IS_READABLE))
"""Place of a reader, and of a writer, among a descriptor's callbacks; the events that it is called for: the end and
errors of a descriptor are both's."""

MAX_TIMEOUT = 86400.0
"""Seconds. poll(2) counts milliseconds in an int; waking once a day early harms nobody."""


PATIENCE = 0.05
"""Seconds for which another thread lets the loop's go first."""

SHARE = 50
"""Pieces of work that a thread does without waiting, after a full wait: a loop that never rests leaves time to jobs."""


class LoopLike(Protocol):
    """What the rest of the program may ask of the loop."""

    def add_reader(self, fd: int, callback: Callback) -> None: ...
    def add_writer(self, fd: int, callback: Callback) -> None: ...
    def remove_reader(self, fd: int) -> None: ...
    def remove_writer(self, fd: int) -> None: ...
    def on_signal(self, signum: int, callback: Callback) -> None: ...
    def soon(self, callback: Callback) -> None: ...
    def soon_threadsafe(self, callback: Callback) -> None: ...
    def yield_turn(self) -> None: ...


class TurnedLoop(LoopLike, Protocol):
    """What the daemon, which turns it, asks of it besides (see Loop)."""

    def turn(self, timeout: float | None) -> bool: ...
    def has_caught(self, signum: int) -> bool: ...
    def close(self) -> None: ...


class Loop:
    """One per process, made on the main thread (signals are Python's to give only there).

    poll(2) is used rather than epoll(7): it needs no descriptor of its own, is not shared with the
    parent after a fork, and takes regular files, which a Lua config may observe. It is linear in
    the number of descriptors, of which there are a few.

    Order within a turn, whatever came first: descriptors in the order they were added, SIGCHLD,
    the other signals in the order they came, then what `soon` put down before or meanwhile. So the
    kernel's events are read before anything is decided, and a child's end is known before a signal
    is handled.

    Python runs one thread at a time, and a thread that makes a system call has to wait for its turn again. So the loop
    holds a lock whenever it is not asleep, and threads with long work ask for it between two pieces (`yield_turn`).
    """

    def __init__(self) -> None:
        # not selectors.PollSelector: it is slower by fifteen calls for each descriptor that comes and goes
        self._poll = select.poll()
        self._callbacks: dict[int, list[Callback | None]] = {}
        self._soon: deque[Callback] = deque()
        self._on_signal: dict[int, Callback] = {}
        self._old_handlers: dict[int, Any] = {}
        self._caught: dict[int, None] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake_read, _IS_READABLE)
        self._old_wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # Whoever started us may have left signals blocked; children would inherit that as well.
        self._old_mask = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._thread = threading.get_ident()
        self._awake = threading.Lock()
        self._awake.acquire()
        self._share = 0

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call `callback` in each turn in which `fd` can be read, or is at its end, or broken."""
        self._set(fd, 0, callback)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call `callback` in each turn in which `fd` can be written, or is broken."""
        self._set(fd, 1, callback)

    def remove_reader(self, fd: int) -> None:
        """Forget the reader; no error where there is none. To be done before `fd` is closed."""
        self._set(fd, 0, None)

    def remove_writer(self, fd: int) -> None:
        """Forget the writer; no error where there is none. To be done before `fd` is closed."""
        self._set(fd, 1, None)

    def on_signal(self, signum: int, callback: Callback) -> None:
        """Call `callback` from the loop, once for all signals `signum` that came since the last turn."""
        self._on_signal[signum] = callback
        if signum not in self._old_handlers:
            self._old_handlers[signum] = signal.signal(signum, self._note)

    def has_caught(self, signum: int) -> bool:
        """Whether a signal has come whose callback is still to be called: for long work within a turn."""
        return signum in self._caught

    def soon(self, callback: Callback) -> None:
        """Call `callback` at the end of this turn, or of the next one, which then does not sleep."""
        self._soon.append(callback)

    def soon_threadsafe(self, callback: Callback) -> None:
        """As `soon`, from any thread: wakes the loop."""
        self._soon.append(callback)
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            pass  # a full pipe wakes as well

    def yield_turn(self, patience: float = PATIENCE) -> None:
        """From another thread, before a piece of work of some microseconds up to milliseconds: let the loop's go first.

        Waits for `patience` seconds at most; after such a wait some calls return at once. Nothing to the loop's own.
        """
        if not self._awake.locked() or threading.get_ident() == self._thread:
            return
        if self._share > 0:
            self._share -= 1
        elif self._awake.acquire(timeout=patience):
            self._awake.release()
        else:
            self._share = SHARE

    def turn(self, timeout: float | None) -> bool:
        """Wait at most `timeout` seconds (None: until something happens), then call what is due.

        Gives whether something may have changed: a reader or writer that returns False says that nothing has.
        An exception of a callback ends the turn; what it kept from being called comes in the next.
        """
        has_changed = False
        for fd, events in self._wait(timeout):
            if fd == self._wake_read:
                self._drain()
                continue
            for index, kinds in _KINDS:
                # Asked again for each: an earlier callback of this turn may have removed it.
                pair = self._callbacks.get(fd) if events & kinds else None
                callback = pair[index] if pair else None
                if callback is not None and callback() is not False:
                    has_changed = True
        has_changed = has_changed or bool(self._caught)
        if signal.SIGCHLD in self._caught:
            self._call_signal(signal.SIGCHLD)
        while self._caught:
            for signum in list(self._caught):  # in one step: a handler may note another one at any moment
                self._call_signal(signum)
        # Only those there are now: one that puts down another must not keep the turn from ending. Counted once, as
        # other threads put some down at any moment.
        count = len(self._soon)
        has_changed = has_changed or count > 0
        for _ in range(count):
            self._soon.popleft()()
        return has_changed

    def close(self) -> None:
        """Give the signals back to whoever had them, and close."""
        for signum, handler in self._old_handlers.items():
            # None: a handler set by C code, which Python can't set again.
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        self._old_handlers.clear()
        signal.set_wakeup_fd(self._old_wakeup)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)
        self._awake.release()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _set(self, fd: int, index: int, callback: Callback | None) -> None:
        pair = self._callbacks.get(fd)
        if pair is None:
            if callback is None:
                return
            pair = [None, None]
        pair[index] = callback
        if pair == [None, None]:
            del self._callbacks[fd]
            self._poll.unregister(fd)
        else:
            self._callbacks[fd] = pair
            self._poll.register(fd, (_IS_READABLE if pair[0] else 0) | (_IS_WRITABLE if pair[1] else 0))

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if self._soon or self._caught:
            timeout = 0.0
        elif timeout is not None:
            # Written so that a NaN, too, becomes something that poll takes.
            timeout = max(0.0, timeout) if timeout < MAX_TIMEOUT else MAX_TIMEOUT
        self._awake.release()
        try:
            return self._poll.poll(None if timeout is None else ceil(timeout * 1000))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        finally:
            self._awake.acquire()
        # More descriptors than the process may have by now (prlimit(1)): poll(2) refuses, select(2) does not mind.
        readers = [self._wake_read, *(fd for fd, pair in self._callbacks.items() if pair[0])]
        writers = [fd for fd, pair in self._callbacks.items() if pair[1]]
        can_read, can_write, _ = select.select(readers, writers, (), timeout)
        return [
            *((fd, _IS_READABLE) for fd in can_read),
            *((fd, _IS_WRITABLE) for fd in can_write),
        ]

    def _call_signal(self, signum: int) -> None:
        # Taken out first: one that comes while its callback runs is a new one.
        del self._caught[signum]
        self._on_signal[signum]()

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._caught[signum] = None

    def _drain(self) -> None:
        # The bytes only wake. The signals that came stand in _caught, which can't overflow as the pipe can;
        # should a handler run later than this, the next turn finds _caught filled and does not sleep.
        try:
            while len(os.read(self._wake_read, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass
