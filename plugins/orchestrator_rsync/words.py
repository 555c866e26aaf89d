"""The meaning of rsync's own words, however they are spelled (rsync(1), "OPTION SUMMARY"). Pure.

`-Rv`, `-v -R` and `--relative` say the same; in `--exclude -R` and `-e -R` it is a value. rsync takes no
abbreviations of long options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator_rsync.options import SHORT_FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VALUED_SHORT: Final = {
    "e": "rsh",
    "f": "filter",
    "B": "block-size",
    "T": "temp-dir",
    "M": "remote-option",
    "@": "modify-window",
}

_VALUED: Final = frozenset(
    {
        *_VALUED_SHORT.values(),
        *(
            "address",
            "backup-dir",
            "bwlimit",
            "checksum-choice",
            "cc",
            "checksum-seed",
            "chmod",
            "chown",
            "compare-dest",
        ),
        *("compress-choice", "zc", "compress-level", "zl", "compress-threads", "zt", "config", "confine-root"),
        *("contimeout", "copy-as", "copy-dest", "debug", "dparam", "early-input", "exclude", "exclude-from"),
        *("files-from", "groupmap", "iconv", "include", "include-from", "info", "link-dest", "log-file"),
        *("log-file-format", "log-format", "max-alloc", "max-delete", "max-size", "min-size", "only-write-batch"),
        *("out-format", "outbuf", "partial-dir", "password-file", "port", "protocol", "read-batch", "rsync-path"),
        *("skip-compress", "sockopts", "stderr", "stop-after", "stop-at", "time-limit", "suffix", "timeout"),
        *("usermap", "write-batch"),
    }
)
"""Long options whose value may be the next word."""

_SHORT: Final = {
    **{letter: key.replace("_", "-") for key, letter, _ in SHORT_FLAGS},
    "0": "from0",
    "R": "relative",
    "d": "dirs",
    "V": "version",
    "h": "human-readable",
    "a": "archive",
    "r": "recursive",
    "y": "fuzzy",
    "i": "itemize-changes",
    "N": "crtimes",
    "U": "atimes",
    "F": "F",
    "P": "P",
}

_SAME: Final = {"remove-sent-files": "remove-source-files", "ignore-non-existing": "existing", "no-R": "no-relative"}


class Word(NamedTuple):
    """One option: its long name without dashes (or its letter, if it has none), its value, and how it was written."""

    name: str
    value: str | None
    written: str


def options_of(words: Iterable[str]) -> Iterator[Word]:
    """The options among these words, in order. Other words are passed over; `--` ends them, and is the last."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield Word("", None, word)
            return
        if word.startswith("--"):
            name, has_value, value = word[2:].partition("=")
            if has_value:
                yield Word(_SAME.get(name, name), value, word)
            elif name in _VALUED:
                value = next(rest, "")
                yield Word(name, value, f"{word} {value}")
            else:
                yield Word(_SAME.get(name, name), None, word)
        elif word.startswith("-") and word != "-":
            yield from _short(word, rest)


def _short(word: str, rest: Iterator[str]) -> Iterator[Word]:
    for place, letter in enumerate(word[1:], 2):
        name = _VALUED_SHORT.get(letter)
        if name is not None:
            value = word[place:].removeprefix("=")
            if not value:
                value = next(rest, "")
                word = f"{word} {value}"
            yield Word(name, value, word)
            return
        yield Word(_SHORT.get(letter, letter), None, word)
