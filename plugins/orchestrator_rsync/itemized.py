"""The differences that rsync itemizes in a dry run (rsync(1), --itemize-changes).

Each line begins with a word of ours that nobody can guess, as with some options of the user's rsync writes lines with
nothing but a file's name in them, and any name can be given to a file. A byte that is not printable, and a backslash
that would look like one that was escaped, comes as `\\#` and three octal digits, so no name ends a line.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from orchestrator.api import ATTRIBUTES, CONTENT, EXTRA, MISSING, Difference

if TYPE_CHECKING:
    from collections.abc import Callable

_ESCAPED = re.compile(rb"\\#([0-7]{3})")
_ITEM = re.compile(rb"(?P<flags>[<>ch.][fdLDS][^|]{7,}|\*deleting *)\|(?P<name>.+)")
_FILES = b"Number of files: "
_CHECKED, _SIZE = 2, 3
"""Places of the flags."""


class Itemized:
    """Takes what rsync writes, line by line. `by_checksum`: file contents are compared, else sizes and times."""

    def __init__(self, found: Callable[[Difference], None], *, by_checksum: bool) -> None:
        self.in_source: int | None = None
        """Files and directories of the source; None: rsync did not say."""
        self._found = found
        self._by_checksum = by_checksum
        self._word = secrets.token_hex(8).encode()

    def arguments(self) -> tuple[bytes, ...]:
        """The arguments that make rsync write these lines."""
        return (b"--dry-run", b"--no-human-readable", b"--stats", b"--out-format=%b %%i|%%n" % self._word)

    def feed(self, line: bytes) -> None:
        """One line, without its end."""
        lead = self._word + b" "
        if line.startswith(lead):
            match = _ITEM.fullmatch(line, len(lead))
            if match is not None:
                self._item(match["flags"].rstrip(b" "), match["name"])
        elif line.startswith(_FILES):
            # `1,234 (reg: 1,000, dir: 234)`, grouped as the locale has it; the root is one of them
            number = re.sub(rb"\D", b"", line[len(_FILES) :].partition(b"(")[0])
            self.in_source = max(0, int(number or b"1") - 1)

    def _item(self, flags: bytes, name: bytes) -> None:
        kind = EXTRA if flags == b"*deleting" else kind_of(flags, by_checksum=self._by_checksum)
        if kind is not None:
            self._found(Difference(_path(name), kind))


def kind_of(flags: bytes, *, by_checksum: bool) -> str | None:
    """The difference that the flags of an item stand for, `>f.st......`; None: none."""
    update, details = flags[:1], flags[2:]
    if details.startswith(b"+"):
        return MISSING
    if flags[1:2] == b"f":
        differs = flags[_CHECKED : _CHECKED + 1] == b"c" or flags[_SIZE : _SIZE + 1] == b"s"
        if differs or (update in b"<>" and not by_checksum):
            return CONTENT
    elif flags[1:2] in b"LDS" and flags[_CHECKED : _CHECKED + 1] == b"c":
        return CONTENT
    # `T`: a time that would be set to that of the transfer, as the source's own is not wanted
    if details.strip(b".T ") or update == b"h":
        return ATTRIBUTES
    return None


def _path(name: bytes) -> bytes:
    """The path that a name stands for: as the daemon has it, with a leading slash."""
    plain = _ESCAPED.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), name)
    return b"/" if plain == b"./" else b"/" + plain
