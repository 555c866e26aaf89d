"""Passwords in what is shown: which words they are, by what stands around them. Rules in two tables.

What a config says of a target or a command is shown in logs, in the status and by `orchestrator check`, and these
are read by more people than the config. Where a rule can't know where a password ends, it takes too
much rather than too little. Pure; nothing that is run or sent is ever changed.

No rule may take more than linear time, whatever somebody names a file: nothing follows the `word` in a
pattern, so that nothing is tried twice; what has to be followed by something is short; and of a line only so many
commands are looked into.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MASK: Final = "***"

WORDS_AT_MOST: Final = 16
"""Of the arguments of a program so many are looked at."""

COMMANDS_AT_MOST: Final = 16
"""Of the programs in a line so many are looked at. More are no command that somebody wrote: the rest is masked."""

SHORTEST: Final = 4
"""Characters of a value that a config declares secret. A shorter one is part of many words, and is shown."""

_NAMES: Final = r"password|passwd|passphrase|passcode|pwd|secret|token|api[_-]?key|access[_-]?key|sshpass"
_READERS: Final = (
    r"sudo|su|kinit|gpg2?|openssl|cryptsetup|chpasswd|passwd|smbclient|docker|podman|lftp|sshpass|restic|borg|rclone"
    r"|ssh-add|rsync|7z[ar]?|zip|gocryptfs|encfs|mysql|psql|vault|mount[.\w]*"
)
_NAME_HINTS: Final = (b"pass", b"pwd", b"secret", b"token", b"key")


class Rule(NamedTuple):
    """One way in which passwords are written.

    `pattern` finds what stands before a secret (group 1) and the secret itself. In it `{begin}` is the beginning
    of a word, `{gap}` what parts two words, `{word}` a word, `{value}` what stands between two spaces or quotes.
    `hints`: a text without any of these (in small letters) holds no secret of the kind.
    """

    what: str
    hints: tuple[bytes, ...]
    pattern: str


RULES: Final = (
    # before a slash a number is a port: what follows is a path, which may have an @
    Rule("the password in a URL", (b"://",), r"(://[^\s/:@\"'\0]*:)(?!\d{1,5}/)[^\s\"'\0]{1,256}(?=@)"),
    Rule(
        "the password before an rsync daemon", (b"::",), r"({begin}[\w.]+:)[^\s:/\"'\0]{1,256}(?=@[\w.:\[\]-]{1,256}::)"
    ),
    Rule(
        "a header of HTTP",
        (b"authorization", b"cookie", b"-key:", b"token:", b"secret:"),
        r"({begin}(?:proxy-)?(?:authorization|cookie|(?:[a-z0-9]+-)*(?:key|token|secret)):[ \t]*"
        r"(?:(?:bearer|basic|token|negotiate)[ \t]+)?){value}",
    ),
    Rule(
        "an option with such a name",
        _NAME_HINTS,
        rf"({{begin}}--?(?:[a-z0-9]+-)*(?:pass|{_NAMES})(?:=|{{gap}}(?!-))){{word}}",
    ),
    Rule("a variable or key with such a name", _NAME_HINTS, rf"({{begin}}[a-z0-9_.]*(?:pass|{_NAMES})=){{word}}"),
    # options of a file system or a backend: PLACE,key=VALUE,…
    Rule("a key in a list", _NAME_HINTS, rf"((?<=[,:?&;])[a-z0-9_.]*(?:pass|key|{_NAMES})=){{word}}"),
    Rule(
        "what is given to a program's input",
        (b"|",),
        rf"({{begin}}(?:echo|printf)[ \t]+)[^|\n\0]{{1,256}}?(?=[ \t]*\|[ \t]*(?:[\w/]+/)?(?:{_READERS})(?![\w-]))",
    ),
)


class Program(NamedTuple):
    """A program with flags of its own for passwords.

    `secret`: what comes after one of these is one, in the same word or (unless `is_attached`) in the next.
    `user`: the same with `user:password`. `leads`: the first word that is no option is another program; `valued`
    are the options before it that take a value.
    """

    secret: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    is_attached: bool = False
    leads: bool = False
    valued: tuple[str, ...] = ()


_SSH_OF_PUTTY: Final = Program(secret=("-pw",))
_MYSQL: Final = Program(secret=("-p",), is_attached=True)

PROGRAMS: Final = {
    "sshpass": Program(secret=("-p",), leads=True, valued=("-P", "-f", "-d")),
    **dict.fromkeys(("plink", "pscp", "psftp"), _SSH_OF_PUTTY),
    "curl": Program(user=("-u", "-U", "--user", "--proxy-user")),
    "ncat": Program(user=("--proxy-auth",)),
    "redis-cli": Program(secret=("-a",)),
    "openssl": Program(secret=("-k", "-K", "-pass", "-passin", "-passout")),
    **dict.fromkeys(("7z", "7za", "7zr"), Program(secret=("-p",), is_attached=True)),
    "lftp": Program(user=("-u", "--user")),
    "smbclient": Program(user=("-U", "--user")),
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump"), _MYSQL),
}

_ALL_HINTS: Final = {*(hint for rule in RULES for hint in rule.hints), *(name.encode() for name in PROGRAMS)}
_HINTS: Final = tuple(hint for hint in _ALL_HINTS if not any(other in hint for other in _ALL_HINTS - {hint}))

_SHELL_WORD: Final = r"(?:'[^'\n]*'|\"(?:[^\"\\\n]|\\.)*\"|\\.|[^\s'\"\\]|['\"\\])+"

# Compiled when they are first needed, which for most daemons is never: that would take milliseconds at each start.


@functools.cache
def _named() -> re.Pattern[str]:
    names = "|".join(sorted(PROGRAMS, key=len, reverse=True))
    return re.compile(rf"(?<![\w.-])(?:{names})(?=[ \t])")


@functools.cache
def _gap_and_word() -> re.Pattern[str]:
    return re.compile(rf"[ \t]+({_SHELL_WORD})")


@functools.cache
def _in_text(rule: Rule) -> re.Pattern[str]:
    return _compiled(rule, begin=r"(?<![\w./-])", gap=r"[ \t]+", word=_SHELL_WORD, value=r"[^\s\"']+")


@functools.cache
def _in_words(rule: Rule) -> re.Pattern[str]:
    return _compiled(rule, begin=r"(?<=\0)(?<!\0-c\0)", gap=r"\0", word=r"[^\0]+", value=r"[^\0]+")


def _compiled(rule: Rule, **parts: str) -> re.Pattern[str]:
    pattern = rule.pattern
    for name, part in parts.items():
        pattern = pattern.replace(f"{{{name}}}", part)
    return re.compile(pattern, re.IGNORECASE)


_declared: Final[set[str]] = set()


def declare(secret: str) -> None:
    """A value that a config marks as secret (see config.model.Option) is masked from now on, wherever it shows up."""
    if len(secret) >= SHORTEST:
        # arguments and what programs write are looked through byte by byte
        _declared.update((secret, secret.encode("utf-8", "surrogateescape").decode("latin-1")))


def _without_declared(text: str) -> str:
    for secret in sorted(_declared, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask(text: str) -> str:
    """The text with every password in it replaced by `***`; the very same text where there is none."""
    if _declared:
        text = _without_declared(text)
    data = text.encode("utf-8", "replace").lower()
    if not any(map(data.__contains__, _HINTS)):  # a microsecond for a line; a generator would take three times as long
        return text
    return _by_programs(_by_rules(text, data, _in_text))


def mask_words(words: Sequence[bytes]) -> list[bytes]:
    """The same for the arguments of a program, where a word may hold spaces; after `-c` it is a shell's script."""
    joined = b"".join(b"\0" + word for word in words)
    if not _declared and not any(map(joined.lower().__contains__, _HINTS)):
        return list(words)
    text = _by_rules(joined.decode("latin-1"), joined.lower(), _in_words)
    masked = text[1:].split("\0")
    for number, word in enumerate(masked):
        program = PROGRAMS.get(word.rpartition("/")[2])
        if program is not None:
            for place, offset in _secrets(program, masked[number + 1 : number + 1 + WORDS_AT_MOST]):
                masked[number + 1 + place] = masked[number + 1 + place][:offset] + MASK
    return [mask(word).encode("latin-1") for word in masked]


def mask_output(data: bytes) -> bytes:
    """The same for what a program writes, whatever its encoding."""
    return mask(data.decode("latin-1")).encode("latin-1")


def is_secret_input(words: Sequence[bytes]) -> bool:
    """Whether a program with these arguments reads a password from its stdin."""
    if b"--password-file=-" in words:
        return True
    if not words or words[0].rpartition(b"/")[2] != b"sshpass":
        return False
    options = itertools.takewhile(lambda word: word.startswith(b"-"), words[1:])
    return not any(word[1:2] in (b"p", b"f", b"d", b"e") for word in options)


def _by_rules(text: str, data: bytes, pattern_of: Callable[[Rule], re.Pattern[str]]) -> str:
    """`data`: the text in small letters."""
    for rule in RULES:
        if any(hint in data for hint in rule.hints):
            text = pattern_of(rule).sub(rf"\g<1>{MASK}", text)
    return text


def _by_programs(text: str) -> str:
    """Each command of a text: up to the end of its line or the next such program, or so many words."""
    shown: list[str] = []
    end = line_end = seen = 0
    for named in _named().finditer(text):
        if named.start() < end:
            continue  # a part of a secret
        if named.start() >= line_end:
            line_end, seen = text.find("\n", named.start()), 0
            line_end = len(text) if line_end < 0 else line_end
        seen += 1
        if seen > COMMANDS_AT_MOST:
            shown += [text[end : named.end() + 1], MASK]
            end = line_end
            continue
        spans = _words_from(text, named.end())
        words = [text[start:stop] for start, stop in spans]
        for place, offset in _secrets(PROGRAMS[named[0]], words):
            start, stop = spans[place]
            shown += [text[end : start + offset], MASK]
            end = stop
    return "".join([*shown, text[end:]])


def _words_from(text: str, position: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    while len(spans) < WORDS_AT_MOST and (found := _gap_and_word().match(text, position)):
        if found[1].rpartition("/")[2] in PROGRAMS:
            break
        spans.append(found.span(1))
        position = found.end()
    return spans


def _secrets(program: Program, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which of a program's arguments are secret from which character on."""
    place = 0
    while place < len(words):
        word = words[place]
        if program.leads and not word.startswith("-"):
            return
        if word in program.valued:
            place += 1
        elif not program.is_attached and word in (*program.secret, *program.user):
            place += 1
            if place < len(words):
                yield from _offset(program, word, words[place], place, 0)
        else:
            for flag in (*program.secret, *program.user):
                attached = f"{flag}=" if flag.startswith("--") else flag
                if word.startswith(attached) and word != attached:
                    yield from _offset(program, flag, word, place, len(attached))
                    break
        place += 1


def _offset(program: Program, flag: str, word: str, place: int, begin: int) -> Iterator[tuple[int, int]]:
    if flag in program.secret:
        yield place, begin
        return
    ends = [end for mark in ":,%" if (end := word.find(mark, begin)) >= 0]
    if ends:
        yield place, min(ends) + 1
