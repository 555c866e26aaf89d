"""Layer 3: what a handler string becomes, and that no value of a name is ever text for a shell."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.layer3 import VARIABLES, split_words, translate

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {
    "sourcePathname": b"/src/a b",
    "targetPathname": b"/trg/$(id)",
    "path": b"a b",
    "pathname": b"a b",
    "source": b"/src/",
    "target": b"/trg/",
    "o.path": b"from",
    "d.path": b"to",
}


def value(name: str) -> bytes:
    return VALUES[name]


@pytest.mark.parametrize(
    ("string", "argv"),
    [
        (b"cp ^sourcePathname ^targetPathname", [b"sh", b"-c", b'cp "$1" "$2"', b"sh", b"/src/a b", b"/trg/$(id)"]),
        (b"^false", [b"sh", b"-c", b"false", b"sh"]),
        (b"  echo ^path.x^path  ", [b"sh", b"-c", b'echo "$1".x"$1"', b"sh", b"a b"]),
        (b"x ^target ^source ^path", [b"sh", b"-c", b'x "$3" "$2" "$1"', b"sh", b"a b", b"/src/", b"/trg/"]),
        (b"mv ^o.path ^d.path", [b"sh", b"-c", b'mv "$1" "$2"', b"sh", b"from", b"to"]),
        (b"echo ^pathname", [b"sh", b"-c", b'echo "$1"', b"sh", b"a b"]),
        (b"echo ^unknown ^^", [b"sh", b"-c", b"echo ^unknown ^^", b"sh"]),
        (b"ls ^source*", [b"sh", b"-c", b'ls "$1"*', b"sh", b"/src/"]),
        (b"/bin/cp ^sourcePathname ^target", [b"/bin/cp", b"/src/a b", b"/trg/"]),
        (b'/bin/echo "a b ^path"  x', [b"/bin/echo", b'"a b a b"', b"x"]),
        (b"/bin/true", [b"/bin/true"]),
    ],
)
def test_translates(string: bytes, argv: list[bytes]) -> None:
    assert translate(string).argv(value) == argv


def test_messages_are_lsyncds() -> None:
    shell = translate(b"cp -r ^sourcePathname ^target")
    assert shell.message(b"Event Create", value) == b'Event Create spawns shell "cp -r /src/a b /trg/"'
    binary = translate(b'/bin/echo "x ^path"')
    assert binary.message(b"Event Modify", value) == b'Event Modify spawns action "/bin/echo "x ^path""'


def test_words_are_split_outside_double_quotes() -> None:
    assert split_words(b'/bin/x "a b" c"d e"f  \t g') == [b"/bin/x", b'"a b"', b'c"d e"f', b"g"]
    assert split_words(b'/bin/x "never closed') == [b"/bin/x", b'"never closed']


def test_the_tenth_variable_is_not_the_first_and_a_zero() -> None:
    template = translate(b"printf %s. " + b" ".join(b"^" + name.encode() for name in VARIABLES))
    done = subprocess.run(template.argv(str.encode), stdout=subprocess.PIPE, check=True)
    assert done.stdout == "".join(f"{name}." for name in VARIABLES).encode()


@pytest.mark.parametrize(
    "name", [b"$(touch pwned)", b"`touch pwned`", b"a; touch pwned", b'"; touch pwned; "', b"\n\xff'"]
)
def test_a_name_is_never_run(name: bytes, tmp_path: Path) -> None:
    template = translate(b"printf %s ^pathname")
    done = subprocess.run(template.argv(lambda _: name), stdout=subprocess.PIPE, check=True, cwd=tmp_path)
    assert done.stdout == name
    assert list(tmp_path.iterdir()) == []


def test_every_variable_of_the_spec_is_one() -> None:
    ends = "pathname pathdir path sourcePathname sourcePathdir sourcePath targetPathname targetPathdir targetPath"
    assert set(VARIABLES) == {
        *ends.split(),
        "source",
        "target",
        *(f"{end}.{name}" for end in "od" for name in ends.split()),
    }
