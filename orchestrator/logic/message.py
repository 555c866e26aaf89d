"""The text of a log message: harmless, whatever it is made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.logic.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASKED = 1 << 16
"""Characters of a message in which passwords are looked for."""

_CONTROLS = bytes(set(range(32)) - {0x09, 0x0A}) + b"\x7f"
_TURNS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that turn the direction of writing: `txt.exe` may be shown as `exe.txt`."""

_FORGERY = re.compile(
    # moves a terminal's cursor, as a character or (in the last range) as a byte that is no UTF-8; ends a line for some
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_TURNS}\udc80-\udc9f]"
    # would start a line that looks like one of ours: of the log file, the terminal, the syslog
    r"|\n(?=(?:\w{3} \w{3} [ \d]\d )?\d\d:\d\d:\d\d |(?:Normal|Warn|Error)[:,] )"
)
_UNSEEN = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_TURNS}\ud800-\udfff]")
_ESCAPES = {"\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    """Make a text harmless for a log: nothing in it can pass for another line or steer a terminal.

    Newlines between the items of a list stay, so do tabs. Costs one pass over the bytes where there
    is nothing to do, which is nearly always, also for a list of 200,000 paths.
    """
    if text.isascii():
        data = text.encode()
        if len(data.translate(None, _CONTROLS)) == len(data) and not (b":" in data or b", " in data):
            return text
    return _FORGERY.sub(lambda match: _ESCAPES.get(match[0]) or _numbered(ord(match[0])), text)


def printable(text: str) -> str:
    """Make a text harmless for a terminal, as one line: whatever is no character to be seen is written out."""
    return _UNSEEN.sub(lambda match: _ESCAPES.get(match[0]) or _numbered(ord(match[0])), text)


_MEANT: Final = frozenset({"Warning", "Critical", "Fatal"})
"""Names of other logs for Warn and Error. Nobody would ask for them by `-log`."""


def is_category(name: object) -> bool:
    """Whether a log line may have this category: one with another would be seen by nobody, whatever is asked for."""
    return isinstance(name, str) and name[:1].isalpha() and name[:1].isupper() and name not in _MEANT


def without_passwords(text: str) -> str:
    """Without passwords. What a config says stands at a message's beginning; what follows is a list of paths."""
    return mask(text) if len(text) <= _MASKED else mask(text[:_MASKED]) + text[_MASKED:]


LISTED: Final = 10
"""Lines of a list that is shortened."""


def shortened(lines: Sequence[bytes]) -> Sequence[bytes]:
    """The first of these lines, and in one more how many are left out."""
    more = len(lines) - LISTED
    return [*lines[:LISTED], b"(and %d more)" % more] if more > 0 else lines


def _numbered(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def to_bytes(text: str) -> bytes:
    """Bytes become the same bytes again; a stray half of a surrogate pair is written out."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def to_text(part: Any) -> str:
    """One argument of a log call as lsyncd prints it. Bytes keep every byte (surrogateescape)."""
    if isinstance(part, str):
        return part
    if isinstance(part, bytes):
        return part.decode("utf-8", "surrogateescape")
    if part is None:
        return "(nil)"
    if isinstance(part, bool):
        return "(true)" if part else "(false)"
    return str(part)
