"""What rsync complains of, line by line as it writes it to stderr: of which paths, and whether of more than attributes.

Pure. The lines are those of rsync 3.0 to 3.5. A name in them is hostile data: it is only ever compared with what
is known, so the worst that one can do is that more is tried again than need be. A line of rsync's own that is not
understood makes all of it unclear; others (of ssh, of a login script) are passed over.
"""

from __future__ import annotations

import functools
import re
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 20_000
"""Complaints that are kept of one run; with more it is unclear what else there was."""

LONGEST: Final = 65_536
"""Bytes of a line, which may hold two paths with every byte escaped as four."""


class About(Enum):
    """What of the path is wrong."""

    CONTENT = "content"
    ATTRIBUTES = "attributes"
    """Times, permissions, owner, group, access lists: all else of it has arrived."""
    BELOW = "below"
    """A directory that could not be made or read: nothing below it was transferred."""


class Complaint(NamedTuple):
    """`path`: as rsync names it, absolute on one of the two sides or relative to the target."""

    path: bytes
    about: About


_WHY = rb"(?: \(in [^\"]*\))?(?: failed)?(?:: [^\"]* \(\d+\))?"
"""The text behind a quoted name: the module of an rsync daemon, the error in words and as a number."""

_FORMS: Final = (
    (
        About.ATTRIBUTES,
        rb"rsync: (?:\[\w+\] )?(?:failed to set \w+ on|failed to modify permissions on|chown|chgrp"
        rb'|failed to (?:read|re-read|write) xattr [^"]* for|delete of stat xattr failed for) "(.*)"' + _WHY,
    ),
    (About.ATTRIBUTES, rb'rsync: (?:\[\w+\] )?\w+: \w*xattr\("(.*)",.*\) failed: .* \(\d+\)'),
    (About.ATTRIBUTES, rb"rsync: (?:\[\w+\] )?\w+: sys_acl_\w+\((.*), \w+\): .* \(\d+\)"),
    (About.CONTENT, rb'rsync: (?:\[\w+\] )?(?:symlink|rename|link|mknod) "(.*)" [-=]> (?:".*"|\S+)' + _WHY),
    (About.CONTENT, rb'rsync: (?:\[\w+\] )?rename failed for "(.*)" \(from .*\): .* \(\d+\)'),
    (About.CONTENT, rb"rsync: (?:\[\w+\] )?delete_file: \w+\((.*)\) failed: .* \(\d+\)"),
    (About.BELOW, rb'rsync: (?:\[\w+\] )?(?:opendir|recv_generator: mkdir|change_dir) "(.*)"' + _WHY),
    (About.CONTENT, rb'rsync: (?:\[\w+\] )?[\w#: -]+ "(.*)"' + _WHY),
    (About.CONTENT, rb'symlink has no referent: "(.*)"'),
    (About.CONTENT, rb"cannot delete non-empty directory: (.*)"),
    (About.CONTENT, rb"cannot delete mount point: (.*)"),
    (About.CONTENT, rb"could not make way for [^:]*: (.*)"),
    (About.CONTENT, rb"ERROR: (.*) failed verification -- update .*"),
)
"""Tried one after the other."""


@functools.cache
def _forms() -> tuple[tuple[About, re.Pattern[bytes]], ...]:
    """Compiled with the first complaint, which for most daemons never comes: that takes milliseconds of each start."""
    return tuple((about, re.compile(form + rb"\Z", re.DOTALL)) for about, form in _FORMS)


_SAYS_NOTHING: Final = re.compile(
    rb"rsync error: |rsync warning: |\*\*\* Skipping any contents |(?:file|directory) has vanished: "
    rb"|IO error encountered|skipping non-regular file|WARNING: .* \(will try again\)|rsync: \[\w+\] write error: "
)
"""Beginnings of lines that add nothing: sums, what was said before, and what has an event of its own."""

_IS_OWN: Final = re.compile(rb"rsync: |ERROR: |\[\w+\] |temporary filename too long|skipping |Unable to |path too long")
"""Beginnings of lines of rsync's."""

_ESCAPED: Final = re.compile(rb"\\#([0-7]{3})")


class Complaints:
    """Of one run. `is_unclear`: there may be more than those that are `named`."""

    def __init__(self) -> None:
        self.named: list[Complaint] = []
        self.is_unclear = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """What rsync has written next."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._read(lines)
        if len(self._rest) > LONGEST:
            self._rest = b""
            self.is_unclear = True

    def end(self) -> None:
        """Nothing more comes."""
        self._read([self._rest])
        self._rest = b""

    def _read(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if not line or _SAYS_NOTHING.match(line):
                continue
            complaint = understood(line)
            if complaint is not None and len(self.named) < MOST:
                self.named.append(complaint)
            elif complaint is not None or _IS_OWN.match(line):
                self.is_unclear = True


def understood(line: bytes) -> Complaint | None:
    """What a line says; None for one that is not known."""
    for about, form in _forms():
        if match := form.match(line):
            return Complaint(unescaped(match[1]), about)
    return None


def unescaped(name: bytes) -> bytes:
    """A name that rsync has written, with `\\#ooo` for each byte that is none of text."""
    return _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8) & 0xFF]), name)
