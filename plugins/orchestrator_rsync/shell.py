"""The remote shell of rsync: what the config has it log in by, and through which ssh connection (spec 4.2, 4.8)."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator.api import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.api import Config, SshConnection

    Argument = str | bytes

_TAKE_A_VALUE: Final = frozenset("BTMf@")
"""rsync's short options beside -e that have a value, which may follow in the same word (rsync(1))."""

_HOST: Final = re.compile(r"((?:[^/:]*@)?(?:\[[^\]/]+\]|[^/:@\[]+)):(?!:|//)")

WRAPPERS: Final = frozenset({"env", "ionice", "nice", "sshpass"})
"""Programs that run an ssh as the same user, and that may stand before it."""

_FLAGS: Final = "[46AaCfGgKkNnqsTtVvXxYy]*"
_OWN_SHARING: Final = re.compile(rf"-{_FLAGS}[MS].*|(?:-{_FLAGS}o)?\s*(?i:control(?:master|path|persist))\b.*")
"""A word of ssh's that is about shared connections (ssh(1)): -M, -S, -o Control…"""


class Login(NamedTuple):
    """What rsync runs to reach the other side: `shell` as a value of --rsh, `command` the same as words."""

    shell: str
    command: tuple[str, ...]
    host: str


def login_of(target: str, words: Sequence[str], environment: Mapping[str, str] = os.environ) -> Login | None:
    """By which ssh rsync logs in, with these words of the config's; None: by none whose connection could be shared."""
    host = _HOST.match(target)
    if host is None or host[1].startswith("-"):
        return None
    shell = own_remote_shell(words) or environment.get("RSYNC_RSH") or "ssh"
    command = split_as_rsync(shell)
    return Login(shell, command, destination(host[1])) if may_share(command) else None


def through(connection: SshConnection, login: Login, argv: Sequence[Argument]) -> list[Argument]:
    """A run's arguments, which end with its operands, for a shared ssh connection."""
    return [*argv[:-2], f"--rsh={login.shell} {' '.join(connection.options)}", *argv[-2:]]


def may_share(command: Sequence[str]) -> bool:
    """Whether a command is ssh, and says nothing itself about shared connections."""
    programs = [os.path.basename(word) for word in command]
    if "ssh" not in programs or (programs[0] != "ssh" and programs[0] not in WRAPPERS):
        return False
    return not any(_OWN_SHARING.fullmatch(word) for word in command[programs.index("ssh") + 1 :])


def own_remote_shell(words: Sequence[str]) -> str | None:
    """What rsync's arguments have it log in by. The last one counts."""
    found = [value for value in _remote_shells(words) if value.strip()]
    return found[-1] if found else None


def destination(host: str) -> str:
    """The host as ssh takes it: of an IPv6 address, without the brackets that rsync needs."""
    user, at, name = host.rpartition("@")
    return user + at + (name[1:-1] if name.startswith("[") and name.endswith("]") else name)


def split_as_rsync(shell: str) -> tuple[str, ...]:
    """The words of a remote shell: at blanks outside quotes; a doubled quote within quotes is one."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(shell):
        character = shell[at]
        if quote and character == quote and shell[at + 1 : at + 2] == quote:
            word = (word or "") + character
            at += 1
        elif quote and character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote, word = character, word or ""
        elif not quote and character == " ":
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + character
        at += 1
    return (*words, *(() if word is None else (word,)))


def check_share(config: Config) -> None:
    """Raise ConfigError where `sshShare` is no number of seconds."""
    value: Any = config.get("sshShare")
    if value is None or value is False:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ConfigError('Parameter "sshShare" must be a number of seconds, or false.')


def _remote_shells(arguments: Sequence[str]) -> Iterator[str]:
    """The values of -e and --rsh, in all their forms."""
    words = iter(arguments)
    for word in words:
        if word.startswith("--rsh="):
            yield word[len("--rsh=") :]
        elif word == "--rsh":
            yield next(words, "")
        elif word.startswith("-") and not word.startswith("--"):
            flags = word[1:]
            end = next((at for at, flag in enumerate(flags) if flag == "e" or flag in _TAKE_A_VALUE), None)
            if end is not None and flags[end] == "e":
                yield flags[end + 1 :].removeprefix("=") or next(words, "")
