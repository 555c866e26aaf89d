"""Words for rsync that destroy or lose something are refused when the config is loaded, however they are spelled.

They may come from `_extra`, from `rsync_path` (what runs on the other side), or from the user's own aliases for
options, which rsync reads from the files of popt(3).
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.api import ConfigError
from orchestrator_rsync.options import READS_STDIN, UNSAFE, UNSAFE_WITH_DELETIONS
from orchestrator_rsync.words import options_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator_rsync.words import Word

_FROM_STDIN: Final = re.compile(r"(?:\.|merge)[^ _]*[ _]+-\s*\Z")
"""A filter rule that reads more rules from standard input."""

_RISK: Final = re.compile(r"(?:R|risk|\+[^ _]*r|include,[^ _]*r)")
"""How a filter rule begins that lets what it matches be deleted on the target though it is not sent (rsync(1))."""

_OURS: Final = ("-r", "--no-r", "--dirs", "--delete", "--ignore-errors", "--force", "--checksum")
"""Words of our own that somebody's alias may have made into more."""


def check_words(computed: Sequence[str], extra: Sequence[str], rsync_path: str | None, *, deletes: bool) -> None:
    """Raises ConfigError for a word that is refused. `computed`: all words, `extra`: those of `_extra` among them."""
    _check("rsync._extra", options_of(extra), deletes)
    if rsync_path is not None:
        _check("rsync.rsync_path", options_of(_split(rsync_path)[1:]), deletes)
    for place, words in _aliased([*computed, *_OURS], aliases()):
        _check(place, options_of(words), deletes)


def _check(place: str, words: Iterable[Word], deletes: bool) -> None:
    for word in words:
        if word.name == "remote-option":
            _check(place, options_of([word.value or ""]), deletes)
        reason = UNSAFE.get(word.name) or (UNSAFE_WITH_DELETIONS.get(word.name) if deletes else None)
        value = word.value or ""
        if reason is None and word.name in READS_STDIN and (value == "-" or _FROM_STDIN.match(value)):
            reason = "what it would read there is the list of what to transfer"
        if reason is None and deletes and word.name == "filter" and _RISK.match(value):
            reason = (
                "between full runs it deletes on the target what has not just changed;"
                " say rsync = { delete_excluded = true }, which is for full runs"
            )
        if reason is not None:
            raise ConfigError(f'{place}: "{word.written}" cannot be used: {reason}.')


Aliases = dict[str, tuple[str, list[str]]]
"""Option as it is written (`-x`, `--xyz`) → file and line, and what stands for it."""


def aliases(environment: Mapping[str, str] = os.environ) -> Aliases:
    """The user's aliases for options of rsync (popt(3), "CONFIGURATION FILES"); the last one counts."""
    found: Aliases = {}
    home = environment.get("HOME")
    for path in (Path("/etc/popt"), *sorted(Path("/etc/popt.d").glob("*")), *([Path(home, ".popt")] if home else [])):
        try:
            text = path.read_text(errors="surrogateescape")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            words = _split(line)
            if words[:2] == ["rsync", "alias"] and len(words) > 3:
                found[words[2]] = (f"{path}:{number}", words[3:])
    return found


def _aliased(words: Sequence[str], known: Aliases) -> Iterable[tuple[str, list[str]]]:
    """The words that aliases among these stand for."""
    if not known:
        return
    for word in words:
        name = word.partition("=")[0]
        names = [name] if name.startswith("--") else [f"-{letter}" for letter in name[1:]] if name[:1] == "-" else []
        for one in names:
            if one in known:
                yield known[one]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
