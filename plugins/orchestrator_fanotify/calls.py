"""The system calls behind the fanotify monitor, and their constants: fanotify(7), open_by_handle_at(2).

Decides nothing. All raise OSError.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

CREATE = 0x100
DELETE = 0x200
MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
RENAME = 0x1000_0000
ONDIR = 0x4000_0000
Q_OVERFLOW = 0x4000

FID_RECORD = 1
NAME_RECORD = 2
OLD_NAME_RECORD = 10
NEW_NAME_RECORD = 12

_FAN_CLOEXEC = 0x1
_FAN_NONBLOCK = 0x2
_FAN_UNLIMITED = 0x10 | 0x20  # queue and marks
_FAN_REPORT_DFID_NAME = 0x400 | 0x800
_FAN_REPORT_FID = 0x200
_FAN_REPORT_TARGET_FID = 0x1000
_FAN_MARK_ADD = 0x1
_FAN_MARK_REMOVE = 0x2
_FAN_MARK_FILESYSTEM = 0x100
_AT_FDCWD = -100
_MAX_HANDLE_SIZE = 128

_libc = ctypes.CDLL(None, use_errno=True)


def open_group() -> tuple[int, bool]:
    """A fanotify descriptor, and whether it reports a rename in one event (FAN_RENAME, since Linux 5.17)."""
    flags = _FAN_CLOEXEC | _FAN_NONBLOCK | _FAN_UNLIMITED | _FAN_REPORT_DFID_NAME
    event_flags = ctypes.c_uint(os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_LARGEFILE", 0))
    try:
        with_targets = ctypes.c_uint(flags | _FAN_REPORT_FID | _FAN_REPORT_TARGET_FID)
        return _checked(_libc.fanotify_init(with_targets, event_flags)), True
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return _checked(_libc.fanotify_init(ctypes.c_uint(flags), event_flags)), False


def mark(group: int, mask: int, path: bytes) -> None:
    """Asks for the events of `mask` on the whole file system that holds `path`."""
    _mark(group, _FAN_MARK_ADD, mask, path)


def unmark(group: int, mask: int, path: bytes) -> None:
    _mark(group, _FAN_MARK_REMOVE, mask, path)


def _mark(group: int, what: int, mask: int, path: bytes) -> None:
    flags = ctypes.c_uint(what | _FAN_MARK_FILESYSTEM)
    _checked(_libc.fanotify_mark(group, flags, ctypes.c_uint64(mask), _AT_FDCWD, ctypes.c_char_p(path)))


def file_system_id(path: bytes) -> bytes:
    """The identity of the file system that holds `path`, as it stands in events."""
    return struct.pack("=Q", os.statvfs(path).f_fsid)


def handle_of(path: bytes) -> bytes:
    """The `struct file_handle` of a file or directory, as it stands in events."""
    handle = ctypes.create_string_buffer(struct.pack("=Ii", _MAX_HANDLE_SIZE, 0), 8 + _MAX_HANDLE_SIZE)
    mount_id = ctypes.c_int()
    _checked(_libc.name_to_handle_at(_AT_FDCWD, ctypes.c_char_p(path), handle, ctypes.byref(mount_id), 0))
    size: int = struct.unpack_from("=I", handle.raw)[0]
    return handle.raw[: 8 + size]


def open_handle(mount: int, handle: bytes) -> int:
    """A descriptor (O_PATH) of a file or directory by its handle; `mount`: one of anything on its file system."""
    flags = os.O_PATH | os.O_CLOEXEC
    return _checked(_libc.open_by_handle_at(mount, ctypes.c_char_p(handle), flags))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
