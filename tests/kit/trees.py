"""Small trees on disk: names that lead programs astray, and what a tree holds, for comparing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    b"[x]", b"]", b"[", b"[a-z]", b"*", b"**", b"***", b"?", b"b\\s", b"b\\*s", b"b\\[s", b"b\\", b"\\", b"\\*",
    b"-rf", b"--delete", b"#h", b";s", b" s p ", b"nl\nx", b"\n", b"\xff\xfe", b"- q", b"+ q", b"!", b"'", b'"',
    b"$(touch x)", b"`touch x`", b"a;b", b"..x", b"{a,b}", b"~", b"\r", b"\t", b"%", b"host:x", b"x" * 200,
)  # fmt: skip
"""Names with any bytes but `/` and NUL: wildcards, escapes, options, comments, prefixes, line ends, no UTF-8."""

CONTROLS = tuple(bytes([byte]) for byte in (*range(1, 32), 127))

CANARY = b"canary"
"""A program that some names try to run, where a name gets into a shell."""

EVERY_NAME = (
    *HOSTILE,
    *(b"c%sd" % control for control in CONTROLS),
    *(b" ", b"  ", b" front", b"back ", b"new\nline\n", b"\n\n", b"tab\ttab", b"\t ", b"\r\n"),
    *(b"it's", b'"quoted"', b"'quoted'", b"a\\'b", b"$HOME", b"${IFS}", b"!!", b"a b'c\"d", b"(x)", b"<x>", b"x=y"),
    *(
        b"$(canary)",
        b"`canary`",
        b";canary;",
        b"|canary",
        b"||canary",
        b"&canary&",
        b"\ncanary\n",
        b"'$(canary)'",
        b'";canary;"',
    ),
    *(b"';canary;'", b"$(canary", b">canary-out", b"\\$(canary)", b"a'$(canary)'b\"`canary`\""),
    *(b"--", b"-", b"-e canary", b"--rsh=canary", b"--rsync-path=canary", b"-exec", b"--help", b"-T", b"--exclude=*"),
    *(b"+ x", b"- x", b"- *", b"+ *", b"! ", b"merge x", b". x", b": x", b"P x", b"# x", b"; x", b"x***"),
    *(
        b"a\\b",
        b"a\\\\b",
        b"a\\*b",
        b"a\\?b",
        b"[a",
        b"a]",
        b"[]a]",
        b"[!a]",
        b"[^a]",
        b"[[:alpha:]]",
        b"a**b",
        b"**a",
        b"a*",
        b"a?",
    ),
    *(
        b"%s",
        b"%20",
        b"%n%n",
        b"^path",
        b"^sourcePath",
        b"^o.path",
        b"{}",
        b"<red>",
        b"a:b",
        b"::mod",
        b"...",
        b".hidden",
        b"~root",
    ),
    *(
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xe2\x80\xa8",
        b"\xe2\x80\xaeoediv",
        b"\xf0\x9f\x98\x80",
        b"\xc3\xa4",
        b"a\xcc\x88",
        b"\x80\xbf",
    ),
    *(b"00:00:00 Error: forged", b"x\n00:00:00 Error: forged", b"x\nMon Jan  1 00:00:00 2024 Error: forged"),
    *(b"x\r00:00:00 Error: forged", b"\x1b[2J\x1b[31m", b"Error: forged", b"x\nError: forged"),
    *(b"n" * 255, b"\xff" * 255, b"'" * 255, b"*" * 254 + b"\\", b" " * 255),
)
"""All that people and attackers call things: those above; every control character; what shells, rsync, csync2, config
files, formats and terminals take for more than a name; log lines; names as long as may be."""

DECOYS = (b"x", b"a", b"s", b"bs", b"b*s", b"b[s", b"b\\\\s", b"bxs", b"q", b"h", b"p", b"rf", b"zz", b"b")
"""Names that a pattern made carelessly of a hostile one matches."""


def write(path: bytes, data: bytes = b"data") -> None:
    """Make the file, and the directories it lies in."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def text_of(path: Path) -> str:
    """What a file holds; nothing where it is not there (yet, or any more)."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def snapshot(root: bytes) -> dict[bytes, bytes | None]:
    """Relative path → content; None for a directory, `-> TARGET` for a link.

    The tree may change meanwhile: what vanishes is not there.
    """
    found: dict[bytes, bytes | None] = {}
    for top, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(top, name)
            try:
                found[path[len(root) :].lstrip(b"/")] = _content(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
    return found


def _content(path: bytes) -> bytes | None:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return b"-> " + os.readlink(path)
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return b"special"
    with open(path, "rb") as file:
        return file.read()


class Pair:
    """A source and a target below one directory of the test's own, and nowhere else."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = os.fsencode(os.path.realpath(tmp_path))
        if self.root.count(b"/") < 2:
            raise ValueError("a test's tree must not lie at the top of the file system")
        self.source = self.root + b"/src/"
        self.target = self.root + b"/trg/"
        os.makedirs(self.source)
        os.makedirs(self.target)

    def both(self, path: bytes, data: bytes = b"data") -> None:
        """Make a file on both sides, of the same time."""
        write(self.source + path, data)
        write(self.target + path, data)
        status = os.stat(self.source + path)
        os.utime(self.target + path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def config(self, **more: object) -> dict[str, object]:
        """A config for this pair."""
        return {"target": os.fsdecode(self.target), **more}
