"""Moves as the other side reads them (spec 4.3). Pure.

Whatever shell an account there has, it only gets `sh`: a script comes on its stdin. csh ends a quoted
word at a newline, fish takes a backslash in quotes for more than itself; neither ever sees a name. Where a forced
command (sshd(8), authorized_keys) lets no `sh` through, a move is one `mv` of its own, and only of names that no
shell misreads.

The script goes to the directory of either end and compares where it has come to with where it wants to be: whoever
owns a part of the target could have put a symlink there, and root's `mv` would reach through it. The origin's
directory stays open meanwhile, and is named by its descriptor where the system can do that (Linux), so that it
can't be exchanged between the look and the move.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Argument = str | bytes

FAILED: Final = 1
"""The script's exit code where at least one of its moves could not be done."""


LINK: Final = b"lsyncd: a symlink is on the way to what is to be moved"
"""What the script says where it does not go on for that reason; no name in it, they are hostile."""


class Mv(Enum):
    """The option that keeps `mv` over there from moving something into a directory instead of onto it; the value is the
    probe's exit code for it."""

    NO_TARGET_DIRECTORY = 81
    """`-T`: GNU's, busybox's."""
    NO_DEREFERENCE = 82
    """`-h`: FreeBSD's, macOS's. A directory in the way must be removed before."""
    NEITHER = 83


PROBE: Final = (
    b"case $(mv --help 2>&1) in *--no-target-directory*|*-T*) exit 81 ;;"
    b" *-h]*|*-hv]*) exit 82 ;; *) exit 83 ;; esac </dev/null\n"
)
"""Found out by the exit code, which no refusal has by chance: a script that lets nothing but rsync through
(validate-rsync and its like) ends with 0."""

_OPTION: Final[Mapping[Mv, bytes]] = {
    Mv.NO_TARGET_DIRECTORY: b"mv -T --",
    Mv.NO_DEREFERENCE: b"onto -h",
    Mv.NEITHER: b"onto",
}

_WALK: Final = rb"""LC_ALL=C; export LC_ALL; unset CDPATH
cd -P -- %b || exit 2
b=$(pwd -P; echo .); b=${b%%??}; [ "$b" != / ] || b=
f=0
at() {
  cd -P -- "$b$1/" && p=$(pwd -P; echo .) || return 1
  [ "${p%%??}" = "$b$1" ] || [ "$b$1${p%%??}" = / ] || { echo "%b" >&2; return 1; }
}
"""

_ONTO: Final = rb"""onto() {
  h=; [ "$1" != -h ] || { h=-h; shift; }
  [ -e "$1" ] || [ -h "$1" ] || return 1
  if [ -h "$2" ]; then rm -f -- "$2"
  elif [ -d "$2" ]; then [ -d "$1" ] && [ ! -h "$1" ] && rmdir -- "$2"
  fi && mv -f $h -- "$1" "$2"
}
"""

_MOVE: Final = rb"""m() {
  at "$1" || return 1
  if [ "$1" = "$3" ]; then %b "./$2" "./$4"; else across "$@" 3<.; fi
}
across() {
  at "$3" || return 1
  o=/proc/self/fd/3; [ -d "$o/." ] || o=$b$1
  %b "$o/$2" "./$4"
}
"""

_TIMES: Final = rb"""t() { at "$1" && { touch -c -m -d "$2" . 2>/dev/null || TZ=UTC0 touch -c -m -t "$3" .; }; }
"""

_MISREAD: Final = re.compile(rb"[\x00-\x1f\x7f'!\\]")
"""What some login shell takes for more than itself in single quotes: csh a newline and `!`, fish a backslash."""


class Move(NamedTuple):
    """Origin and destination, relative to the target directory, without slashes at either end."""

    origin: bytes
    destination: bytes


class Time(NamedTuple):
    """When a directory was changed last: both as `touch -d` and as `touch -t` take it, in UTC."""

    directory: bytes
    exact: str
    coarse: str


def script(targetdir: bytes, moves: Iterable[Move], mv: Mv, times: Iterable[Time] = ()) -> bytes:
    """What `sh` over there reads. All is one group: half of a script that is cut off does nothing.

    A script has no limit to its length. One move that fails does not keep the others from being tried. `times`: of
    the directories that the moves have changed, set once all is done.
    """
    command = _OPTION[mv]
    parts = [b"{\n", _WALK % (_quoted(_as_operand(targetdir)), LINK)]
    if mv is not Mv.NO_TARGET_DIRECTORY:
        parts.append(_ONTO)
    parts.append(_MOVE % (command, command))
    for move in moves:
        ends = [_quoted(part) for end in move for part in _split(end)]
        parts.append(b"m " + b" ".join(ends) + b" || f=1\n")
    times = list(times)
    if times:
        parts.append(_TIMES)
    for time in times:
        words = (_quoted(_above(time.directory)), _quoted(time.exact.encode()), _quoted(time.coarse.encode()))
        parts.append(b"t " + b" ".join(words) + b"\n")
    parts.append(b"exit $f\n} </dev/null\n")
    return b"".join(parts)


def single(targetdir: bytes, move: Move) -> list[Argument] | None:
    """One move as one command; None: some shell might misread it."""
    origin, destination = (_join(targetdir, end) for end in move)
    if _MISREAD.search(origin) or _MISREAD.search(destination):
        return None
    return ["mv", "-T", "--", _quoted(origin), _quoted(destination)]


def single_probe(targetdir: bytes, name: bytes) -> list[Argument]:
    """A move that can't be done, of what is not there: mv, if it is that which runs, complains of the name."""
    return ["mv", "-T", "--", *(_quoted(_join(b"" if _MISREAD.search(targetdir) else targetdir, name)),) * 2]


def ran_mv(exit_code: int, stderr: bytes, name: bytes) -> bool:
    """Whether `single_probe` has really been mv's, and of one that knows -T."""
    return exit_code == FAILED and any(line.startswith(b"mv: ") and name in line for line in stderr.splitlines())


def remote(command: Sequence[str], host: str, argv: Sequence[Argument]) -> list[Argument]:
    return [*command, host, *argv]


def _split(path: bytes) -> tuple[bytes, bytes]:
    """`/d/e` and `f` of `d/e/f`; nothing and `f` at the top."""
    directory, _, name = path.rpartition(b"/")
    return _above(directory), name


def _above(directory: bytes) -> bytes:
    return b"/" + directory if directory else b""


def _join(targetdir: bytes, path: bytes) -> bytes:
    return (targetdir if targetdir.endswith(b"/") or not targetdir else targetdir + b"/") + path


def _as_operand(targetdir: bytes) -> bytes:
    """cd(1) takes `-` for the last directory."""
    return targetdir if targetdir.startswith(b"/") else b"./" + targetdir


def _quoted(path: bytes) -> bytes:
    """The path as one word of the shell, whatever bytes it holds."""
    return b"'" + path.replace(b"'", b"'\"'\"'") + b"'"
