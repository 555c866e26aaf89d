"""A timer that is a descriptor: timerfd_create(2). Python has it since 3.13, the C library since long."""

from __future__ import annotations

import ctypes
import os
import time

_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


class _Spec(ctypes.Structure):
    """`struct itimerspec`: seconds and nanoseconds of the interval, then of the first expiry."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every", "every_ns", "first", "first_ns"))


class Timer:
    """Readable once its time has come, until it is set again."""

    def __init__(self) -> None:
        self._fd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def fileno(self) -> int:
        return self._fd

    def set(self, seconds: float) -> None:
        """Expires once, in so many seconds."""
        nanoseconds = max(1, int(seconds * 1e9))
        spec = _Spec(0, 0, nanoseconds // 10**9, nanoseconds % 10**9)
        _libc.timerfd_settime(self._fd, 0, ctypes.byref(spec), None)

    def has_expired(self) -> bool:
        """Whether its time has come since last asked."""
        try:
            return bool(os.read(self._fd, 8))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)
