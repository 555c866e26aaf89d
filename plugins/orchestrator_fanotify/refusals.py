"""Why a file system cannot be watched, in words for the user. Pure."""

from __future__ import annotations

import errno

from orchestrator.api import to_text

_REASONS = {
    errno.EPERM: "it needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, which root has outside of containers",
    errno.EINVAL: "it needs Linux 5.9 or newer",
    errno.ENOSYS: "the kernel is built without it",
    errno.EXDEV: "it is a part of a file system (a btrfs subvolume) that can only be watched as a whole",
    errno.ENODEV: "the file system has no identity",
    errno.EOPNOTSUPP: "the file system has no file handles",
}


def refusal(error: OSError, root: bytes = b"", kind: str = "") -> str:
    """That a source (all of them: no `root`) goes unwatched. One line: what, why, and what to do."""
    place = f" for {to_text(root)} ({kind})" if root else ""
    return f'The monitor "fanotify" cannot be used{place}: {_reason(error)}. The monitor "inotify" needs none of this.'


def gap(error: OSError, point: bytes, kind: str) -> str:
    """That something mounted below a source goes unwatched."""
    return f"changes below {to_text(point)} ({kind}) go unnoticed by fanotify: {_reason(error)}."


def _reason(error: OSError) -> str | None:
    return _REASONS.get(error.errno or 0, error.strerror)
