"""Addresses and token files: one line for whatever is wrong with them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.control.exits import WRONG_CALL, Refused
from orchestrator.control.web.listening import find_address, listen, read_token

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:9324", True),
        ("127.8.0.1:0", True),
        ("localhost:9324", True),
        ("[::1]:9324", True),
        ("0.0.0.0:9324", False),
        ("[::]:9324", False),
        ("192.0.2.1:80", False),
        ("[::ffff:192.0.2.1]:80", False),
    ],
)
def test_an_address_is_loopback_or_not(text: str, is_loopback: bool) -> None:
    assert find_address(text).is_loopback is is_loopback


@pytest.mark.parametrize(
    "text",
    ["", "9324", ":9324", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:9324", "[::1]", "a b:1"],
)
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(Refused) as refused:
        find_address(text)
    assert refused.value.status == WRONG_CALL
    assert "\n" not in str(refused.value)


def test_the_port_is_the_one_that_was_found() -> None:
    listening = listen(find_address("127.0.0.1:0"))
    with listening.socket, socket.create_connection(("127.0.0.1", listening.port)):
        pass


def test_a_taken_address_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Refused, match="in use"):
        listen(find_address(f"127.0.0.1:{taken.getsockname()[1]}"))


def written(place: Path, content: bytes, mode: int = 0o600) -> str:
    path = place / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_token_is_the_line_in_the_file(tmp_path: Path, end: bytes) -> None:
    assert read_token(written(tmp_path, b"0123456789abcdef" + end)) == "0123456789abcdef"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"0123456789abcde\n", 0o600, "16 or more"),
        (b"", 0o600, "16 or more"),
        (b"0123456789abcdef\nmore\n", 0o600, "one line"),
        (b"0123456789 abcdef\n", 0o600, "without blanks"),
        (b"0123456789abcdef\xff\n", 0o600, "ASCII"),
        (b"0123456789abcdef\n", 0o640, "chmod 600"),
        (b"0123456789abcdef\n", 0o604, "chmod 600"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, mode: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        read_token(written(tmp_path, content, mode))
    assert refused.value.status == WRONG_CALL
    assert "\n" not in str(refused.value)


def test_what_is_no_file_is_refused_and_waited_for_by_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path, words in (
        (tmp_path / "fifo", "no regular file"),
        (tmp_path, "regular"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(Refused, match=words):
            read_token(str(path))
    with pytest.raises(Refused, match="null"):
        read_token("a\0b")
